#!/bin/sh
# What reading a training table costs, beside the ways in which Python users get the same numbers.
#
#   test/bench/load_peers.sh [ADULT.csv.gz]
#
# PG* variables name a running cluster with hyperband installed, on this machine; superuser, as a user who may read the
# server's log (HB_LOG names it where it is not the postmaster's standard error).  PYTHON names an interpreter with
# numpy, psycopg and psycopg2; with pandas and the file of the adult table (with a header line), that
# table is measured, too.  Tables: 30 real columns (ROWS, default 1000000) and 784 values a row in a real[] (ARRAYS,
# default 20000), in PLAIN and in default storage.  ROUNDS (3) times, in turn: a study's load (hashing, splitting and
# ordering included), COPY BINARY to a numpy matrix, psycopg2's rows to a numpy matrix (the first FEW rows, default
# 100000, counted as all).  CPU seconds, lowest of all rounds; a peer's are those of its own process, and with those of
# its backend, too.  Beside each load stands a query that only looks at the last column: what reading the rows costs.  Then
# what memory a whole study takes (load_memory.py; MEMORY rows of 30 columns, default 1000000), and with BIG, a number of
# rows, whether such a table is tuned within hyperband.max_data_memory and sampled beyond it.  Goals as in goal.sh.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
. "$here/goal.sh"
rows=${ROWS:-1000000} arrays=${ARRAYS:-20000}
trap 'psql -XqAt -c "SET client_min_messages = error" -c "DROP SCHEMA IF EXISTS load_peers CASCADE" >/dev/null 2>&1' EXIT

sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

postmaster=$(sql -c "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)")
HB_LOG=${HB_LOG:-$(readlink "/proc/$postmaster/fd/2" || true)}
[ -r "$HB_LOG" ] || { echo "cannot read the server's log ($HB_LOG): set HB_LOG" >&2; exit 1; }
"$PYTHON" -c 'import numpy, psycopg, psycopg2' || { echo "set PYTHON to an interpreter with numpy, psycopg and psycopg2" >&2; exit 1; }

sql >/dev/null <<SQL
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS hyperband;
DROP SCHEMA IF EXISTS load_peers CASCADE;
CREATE SCHEMA load_peers;
CREATE TABLE load_peers.narrow AS SELECT $(seq -s ', ' -f 'random()::real AS c%.0f' 30), random()::real AS y FROM generate_series(1, $rows);
CREATE TABLE load_peers.plain (px real[], y real);
ALTER TABLE load_peers.plain ALTER px SET STORAGE plain;
INSERT INTO load_peers.plain SELECT (SELECT array_agg((CASE WHEN random() < 0.5 AND n + k > 0 THEN 0 ELSE floor(random() * 256) END)::real) FROM generate_series(1, 784) k), random() FROM generate_series(1, $arrays) n;
CREATE TABLE load_peers.stored AS TABLE load_peers.plain;
VACUUM ANALYZE load_peers.narrow;
VACUUM ANALYZE load_peers.plain;
VACUUM ANALYZE load_peers.stored;
SQL
if [ $# -gt 0 ]; then
	columns=$(gzip -dc "$1" | head -n 1)
	sql -c "CREATE TABLE load_peers.adult ($(echo "$columns" | sed 's/[^,]*/"&" text/g'))" \
		-c "\\copy load_peers.adult FROM PROGRAM 'gzip -dc $1' (FORMAT csv, HEADER)" \
		-c "DO \$\$ DECLARE c text; BEGIN
			FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'load_peers.adult'::regclass AND attnum > 0 LOOP
				BEGIN EXECUTE format('ALTER TABLE load_peers.adult ALTER %1\$I TYPE int USING %1\$I::int', c); EXCEPTION WHEN invalid_text_representation THEN NULL; END;
			END LOOP; END \$\$" \
		-c "ALTER TABLE load_peers.adult DROP COLUMN IF EXISTS id, DROP COLUMN IF EXISTS fold, DROP COLUMN IF EXISTS orig_test" \
		-c "VACUUM (FULL, ANALYZE) load_peers.adult"
fi
# random NAME ROWS: 30 real columns and a target; without WAL, it is only read
random()
{
	sql -c "CREATE UNLOGGED TABLE load_peers.$1 AS SELECT $(seq -s ', ' -f 'random()::real AS c%.0f' 30), random()::real AS y FROM generate_series(1, $2)" \
		-c "VACUUM ANALYZE load_peers.$1"
}
random tiny 1000
random memory "${MEMORY:-1000000}"
if [ -n "${BIG:-}" ]; then
	folder=$(sql -c "SHOW data_directory")
	free=$(df -P -B 1000000 "$folder" | awk 'NR == 2 { print $4 }')
	if [ "$((BIG / 1000000 * 400))" -lt "$free" ]; then
		random big "$BIG"
	else
		echo "$BIG rows skipped: the disk of $folder has $free MB left"
		goal "$BIG rows of 30 columns load and tune within hyperband.max_data_memory" "done" "" "not measured" "the disk has $free MB left"
	fi
fi
echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
"$PYTHON" "$here/load_peers.py" "$HB_LOG"
"$PYTHON" "$here/load_memory.py"
