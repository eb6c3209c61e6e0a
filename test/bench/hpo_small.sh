#!/bin/bash
# What a study of a small table costs: 150 rows of 4 columns, R = 81, end to end, and the fixed cost of any study.
#
#   test/bench/hpo_small.sh [REPETITIONS]     default: 5
#
# PG* variables name a running server on this machine with hyperband installed; superuser, with pg_waldump in PATH and the
# server's user or root able to read its data folder for the last column of the first table, else it is empty.
# The rows are drawn with the means and deviations of Fisher's iris.  Wall time runs from the call of hyperband_tune to the
# return of hyperband_wait in the same session; CPU time is all the server's; WAL is what pg_current_wal_insert_lsn moved.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hpo_lib.sh"
repetitions=${1:-5}

bench_begin
sql >/dev/null <<'SQL'
SELECT setseed(0.5);
CREATE FUNCTION pg_temp.noise() RETURNS float8 LANGUAGE sql VOLATILE AS 'SELECT 1.7320508 * (random() + random() + random() + random() - 2)';
CREATE TABLE hpo_bench.iris (sepal_length real, sepal_width real, petal_length real, petal_width real, species text);
INSERT INTO hpo_bench.iris
SELECT sl + 0.52 * pg_temp.noise(), sw + 0.34 * pg_temp.noise(), pl + 0.43 * pg_temp.noise(), pw + 0.2 * pg_temp.noise(), species
  FROM (VALUES (5.0, 3.4, 1.5, 0.2, 'setosa'), (5.9, 2.8, 4.3, 1.3, 'versicolor'), (6.6, 3.0, 5.6, 2.0, 'virginica')) AS s (sl, sw, pl, pw, species),
	   generate_series(1, 50);
CREATE TABLE hpo_bench.result (kind text, wall float8, cpu float8, wal float8, checkpoints float8, kept float8, wait float8,
	passes float8, trainers_cpu float8, trained float8, late float8, late_cpu float8);
SQL

# Bytes of WAL between two positions that belong to the table of checkpoints, its index and its TOAST table.
checkpoint_wal()
{
	local folder path total=0
	folder=$(sql -c "SHOW data_directory")
	for path in $(sql -c "SELECT pg_relation_filenode(c) FROM (SELECT 'hyperband.checkpoint'::regclass::oid AS t) AS s,
			LATERAL (SELECT t UNION SELECT reltoastrelid FROM pg_class WHERE oid = t) AS r (rel),
			LATERAL (SELECT rel UNION SELECT indexrelid FROM pg_index WHERE indrelid = rel) AS x (c)"); do
		path=$(sql -c "SELECT dattablespace || '/' || oid || '/$path' FROM pg_database WHERE datname = current_database()")
		pg_waldump -p "$folder/pg_wal" -s "$1" -e "$2" -R "$path" 2>/dev/null
	done | sed -n 's/.*len (rec\/tot): *[0-9]*\/ *\([0-9]*\),.*/\1/p' | awk '{ s += $1 } END { if (NR) print s }'
}

# measure KIND "ARGUMENTS"
measure()
{
	local from to i inside kept stored
	for ((i = 0; i <= repetitions; i++)); do
		from=$(sql -c "SELECT pg_current_wal_insert_lsn()")
		study "'hpo_bench.iris', 'species', name => 'hpo bench', seed => $i, $2"
		to=$(sql -c "SELECT pg_switch_wal()")
		[ "$i" -gt 0 ] || { forget "$study"; continue; }
		busy
		stored=$(checkpoint_wal "$from" "$to")
		kept=$(sql -c "SELECT coalesce(sum(octet_length(data)), 0) FROM hyperband.checkpoint WHERE study_id = $study")
		inside=$(sql -c "SELECT extract(epoch FROM finished_at - started_at) FROM hyperband.study WHERE study_id = $study")
		sql -c "INSERT INTO hpo_bench.result VALUES ('$1', $wall, $cpu, $wal, ${stored:-NULL}, $kept, $wall - $inside,
			$passes, $trainers_cpu, $trained, $late, $late_cpu)"
		note "$1: $wall s wall, $cpu s CPU, $wal bytes of WAL"
		forget "$study"
	done
	sql -c "SELECT hyperband_drop_model('hpo bench')" >/dev/null
}

measure 'mlp, R = 81' "model => 'mlp'"
measure 'linear, R = 81' "model => 'linear'"
measure 'mlp, one trial of one epoch' "model => 'mlp', scheduler => 'full', max_resource => 1, n_trials => 1, search_space => '{\"layers\": 1, \"units\": 16}'"
measure 'linear, one trial of one epoch' "model => 'linear', scheduler => 'full', max_resource => 1, n_trials => 1"

[ -z "${OUT:-}" ] || sql -c "COPY (SELECT * FROM hpo_bench.result) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/hpo_small.csv"
machine
echo
echo "150 rows of 4 columns, medians of $repetitions; wait: wall time outside the study, from the call to the worker's start and from its end"
echo "to the return; passes: over the training rows, all trainers'; late: stages of at most 10 trials, and how busy trainers were in them."
echo
table "SELECT kind AS study, hpo_bench.mid(array_agg(wall), 3) AS \"wall s\", hpo_bench.mid(array_agg(cpu), 2) AS \"CPU s\", hpo_bench.mid(array_agg(wait), 3) AS \"wait s\",
	hpo_bench.mid(array_agg(wal / 1e6), 2) AS \"WAL MB\", hpo_bench.mid(array_agg(checkpoints / 1e6), 2) AS \"of it checkpoints MB\",
	hpo_bench.mid(array_agg(kept / 1e6), 2) AS \"kept checkpoints MB\", hpo_bench.mid(array_agg((wal - checkpoints) / 1e6), 2) AS \"the rest MB\",
	hpo_bench.mid(array_agg(passes), 0) AS passes, hpo_bench.mid(array_agg(trainers_cpu), 2) AS \"trainers' CPU s\",
	hpo_bench.mid(array_agg(late), 2) AS \"late s\", hpo_bench.mid(array_agg(100 * late_cpu / (2 * nullif(late, 0))), 0) AS \"late, busy %\"
	FROM hpo_bench.result GROUP BY 1 ORDER BY max(wal) DESC"
echo
goals "SELECT '150 rows of 4 columns, ' || kind || ', end to end', 'under 1 s', hpo_bench.mid(array_agg(wall), 2) || ' s', hpo_bench.mid(array_agg(wall), 3) < 1,
		format('%s s of CPU time, %s of it trainers''; %s s of waiting before and after; stages of at most 10 trials take %s s', hpo_bench.mid(array_agg(cpu), 2),
			hpo_bench.mid(array_agg(trainers_cpu), 2), hpo_bench.mid(array_agg(wait), 2), hpo_bench.mid(array_agg(late), 2))
	FROM hpo_bench.result WHERE kind LIKE '%R = 81' GROUP BY kind UNION ALL
SELECT '150 rows of 4 columns, ' || kind || ', WAL beside kept checkpoints', 'under 2 MB', round(rest, 2) || ' MB', rest < 2,
		format('%s MB in all, %s of it checkpoints, of which %s were kept to the end', wal, checkpoints, kept)
	FROM (SELECT kind, hpo_bench.mid(array_agg(wal / 1e6), 2) AS wal, hpo_bench.mid(array_agg(checkpoints / 1e6), 2) AS checkpoints,
		hpo_bench.mid(array_agg(kept / 1e6), 2) AS kept, hpo_bench.mid(array_agg((wal - kept) / 1e6), 3) AS rest
		FROM hpo_bench.result WHERE kind LIKE '%R = 81' GROUP BY kind) AS w"
