#!/bin/sh
# What reading a training table costs beside a query over the same rows.
#
#   test/bench/load.sh        PG* variables name a running cluster with hyperband installed; superuser;
#                             on the server's own machine, as a user who may read its log
#
# Makes Fashion-MNIST tables (60,000 rows of 784 values, as bytea and as real[] in default storage) from the
# files of Debian's package dataset-fashion-mnist, then five times, in turn: SELECT count(*), sum(last value) in
# a fresh session, and a study whose supervisor reads the table.  Prints CPU milliseconds, medians and ratios.
# HB_LOG names the server's log where it is not the postmaster's standard error.
#
# On a virtual machine that hands free memory back to its host, each new page costs the guest a fault there (up to 2 ms
# a megabyte), which a query does not pay and a load does: look at the single figures, too.
set -eu

files=/usr/share/datasets/fashion-mnist
rounds=${ROUNDS:-5}
. "$(dirname "$0")/goal.sh"
work=$(mktemp -d)
trap 'psql -qX -c "DROP SCHEMA IF EXISTS load_bench CASCADE" >/dev/null 2>&1; rm -rf "$work"' EXIT
chmod 755 "$work"

sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

postmaster=$(sql -c "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)")
log=${HB_LOG:-$(readlink "/proc/$postmaster/fd/2" || true)}
[ -r "$log" ] || { echo "cannot read the server's log ($log): set HB_LOG" >&2; exit 1; }
[ -r "$files/train-images-idx3-ubyte.gz" ] || { echo "package dataset-fashion-mnist is missing" >&2; exit 1; }

zcat "$files/train-images-idx3-ubyte.gz" > "$work/images"
zcat "$files/train-labels-idx1-ubyte.gz" > "$work/labels"
sql -v images="$work/images" -v labels="$work/labels" >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS hyperband;
DROP SCHEMA IF EXISTS load_bench CASCADE;
CREATE SCHEMA load_bench;
CREATE TABLE load_bench.as_bytea (label smallint NOT NULL, pixels bytea NOT NULL);
WITH f AS MATERIALIZED (SELECT pg_read_binary_file(:'images') AS img, pg_read_binary_file(:'labels') AS lab)
INSERT INTO load_bench.as_bytea
  SELECT get_byte(lab, 8 + n), substring(img FROM 17 + 784 * n FOR 784) FROM f, generate_series(0, 59999) AS n;
CREATE TABLE load_bench.as_real AS
  SELECT label, (SELECT array_agg(get_byte(pixels, i)::real ORDER BY i) FROM generate_series(0, 783) AS i) AS px
  FROM load_bench.as_bytea;
VACUUM (ANALYZE) load_bench.as_bytea;
VACUUM (ANALYZE) load_bench.as_real;
CHECKPOINT;
SQL

# CPU milliseconds of one query in a backend of its own, from the kernel's account of it.
query_cost()
{
	sql <<SQL | tail -n 1
SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1) AS before \gset
$1
SELECT round((split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric - :before) / 1e6, 2);
SQL
}

# CPU milliseconds that the supervisor of one study says it took to read the table.
load_cost()
{
	mark=$(wc -c < "$log")
	study=$(PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" sql -c "SELECT hyperband_tune('load_bench.$1', 'label',
		model => 'linear', name => 'load bench', max_resource => 1, scheduler => 'full', n_trials => 1,
		search_space => '{\"learning_rate\": 0.01}', trainers => 1)")
	sql -c "SELECT hyperband_wait($study)" >/dev/null
	tail -c "+$((mark + 1))" "$log" | sed -n 's/.*hyperband: read 60000 rows.* in \([0-9.]*\) s of CPU time: \(.*\)/\1 \2/p' |
		tail -n 1 | tee "$work/parts" | awk '{ printf "%.2f\n", $1 * 1000 }'
	sql -c "SELECT hyperband_drop($study)" >/dev/null
}

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

measure()
{
	: > "$work/query"; : > "$work/load"
	i=0
	while [ "$i" -lt "$rounds" ]
	do
		query_cost "$2" >> "$work/query"
		load_cost "$1" >> "$work/load"
		i=$((i + 1))
	done
	q=$(median "$work/query"); l=$(median "$work/load")
	echo "$1: SELECT $(tr '\n' ' ' < "$work/query")ms, load $(tr '\n' ' ' < "$work/load")ms"
	awk -v t="$1" -v q="$q" -v l="$l" 'BEGIN { printf "%s: medians %.2f and %.2f ms of CPU, ratio %.2f\n", t, q, l, l / q }'
	goal_most "load of 60,000 x 784 in that of a query over the same rows, $1" 2 "$(awk -v q="$q" -v l="$l" 'BEGIN { printf "%.2f", l / q }')" times \
		"of $l ms the query's $q are reading the rows; the last load's CPU seconds: $(sed 's/^[^ ]* //' "$work/parts")"
}

measure as_bytea "SELECT count(*), sum(get_byte(pixels, 783)) FROM load_bench.as_bytea;"
measure as_real "SELECT count(*), sum(px[784]) FROM load_bench.as_real;"
sql -c "SELECT hyperband_drop_model('load bench')" >/dev/null 2>&1 || true
