#!/bin/bash
# How the time of a study grows with rows, columns, trials and trainers; none should grow faster than its cause.
#
#   test/bench/hpo_growth.sh [full]
#
# PG* variables name a running server on this machine with hyperband installed; superuser.  Rows 10,000 to 1 million (full:
# 10 million), columns 10 to 2000, trials 10 to 10,000 (of one epoch each; halved: in
# one bracket of Successive Halving to 9 epochs), trainers 1 and 2.
# ROWS, COLUMNS, TRIALS and TRAINERS choose otherwise.  Standard output: Markdown; OUT names a folder for growth.csv
# and growth-*.svg.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hpo_lib.sh"
if [ "${1:-short}" = full ]; then : "${ROWS=10000 100000 1000000 10000000}"; fi
: "${ROWS=10000 100000 1000000}" "${COLUMNS=10 50 200 500 2000}" "${TRIALS=10 100 1000 10000}" "${TRAINERS=1 2}"

bench_begin
sql -c "CREATE TABLE hpo_bench.result (cause text, amount bigint, wall float8, cpu float8, loss float8)"

# make_table NAME ROWS COLUMNS: one array of real columns, values by a hash of the position, so that a larger table begins like a smaller one
make_table()
{
	sql >/dev/null <<-SQL
		CREATE TABLE hpo_bench.$1 (x real[], y boolean);
		ALTER TABLE hpo_bench.$1 ALTER x SET STORAGE EXTERNAL;
		INSERT INTO hpo_bench.$1
		SELECT x, x[1] + x[2] * x[3] > 0 FROM (
			SELECT array_agg((hashint8extended(n::bigint * 4096 + k, 7) / 5.3e18)::real ORDER BY k) AS x
			FROM generate_series(1, $2) AS n, generate_series(1, $3) AS k GROUP BY n) AS r;
		VACUUM ANALYZE hpo_bench.$1;
	SQL
}

# measure CAUSE AMOUNT TABLE "ARGUMENTS"
measure()
{
	study "'hpo_bench.$3', 'y', model => 'mlp', name => 'hpo bench', $4"
	sql -c "INSERT INTO hpo_bench.result VALUES ('$1', $2, $wall, $cpu, $loss)"
	note "$1 $2: $wall s wall, $cpu s CPU"
	forget "$study"
	sql -c "SELECT hyperband_drop_model('hpo bench')" >/dev/null
}

net='"optimizer": "nesterov", "layers": 1, "units": 16, "activation": "relu", "dropout": 0, "batch_size": 128'
for n in $ROWS; do
	make_table rows "$n" 10
	measure rows "$n" rows "max_resource => 3, search_space => '{$net}'"
	sql -c "DROP TABLE hpo_bench.rows"
done
for n in $COLUMNS; do
	make_table columns 10000 "$n"
	measure columns "$n" columns "max_resource => 3, search_space => '{$net}'"
	sql -c "DROP TABLE hpo_bench.columns"
done
make_table small 2000 10
for n in $TRIALS; do
	measure trials "$n" small "scheduler => 'full', n_trials => $n, max_resource => 1, search_space => '{$net}'"
	measure halved "$n" small "scheduler => 'halving', n_trials => $n, max_resource => 9, search_space => '{$net}'"
done
make_table trainers 50000 30
for n in $TRAINERS; do
	measure trainers "$n" trainers "max_resource => 9, trainers => $n, search_space => '{\"units\": 128, \"layers\": 1}'"
done

machine
echo
echo "Power: of the amount, by which wall time grew since the row before; at most 1 is no worse than linear."
echo
table "SELECT cause, amount, round(wall::numeric, 3) AS \"wall s\", round(cpu::numeric, 2) AS \"CPU s\",
	round((ln(wall / lag(wall) OVER w) / ln(amount::float8 / lag(amount) OVER w))::numeric, 2) AS power
	FROM hpo_bench.result WINDOW w AS (PARTITION BY cause ORDER BY amount) ORDER BY 1, 2"
if [ -n "${OUT:-}" ]; then
	sql -c "COPY (SELECT * FROM hpo_bench.result ORDER BY 1, 2) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/growth.csv"
	for cause in rows columns trials halved trainers; do
		{
			echo "$cause,wall,CPU"
			awk -F, -v cause="$cause" '$1 == cause { print $2 "," $3 "," $4 }' "$OUT/growth.csv"
		} | perl "$here/plot.pl" "Time of a study by its $cause" "seconds" >"$OUT/growth-$cause.svg"
	done
fi
echo
goals "SELECT 'time of a study by ' || cause, 'no worse than linear: power at most 1', format('at most %s (%s to %s: %s s)', power, before, amount, round(wall::numeric, 2)), power <= 1,
	format('%s of %s steps are worse than linear, this one by %s %%; CPU time grew by the power %s', worse, steps, round((100 * (wall / linear - 1))::numeric), cpu_power)
FROM (SELECT DISTINCT ON (cause) *, count(*) FILTER (WHERE power > 1) OVER c AS worse, count(*) OVER c AS steps FROM (
	SELECT cause, amount, wall, lag(amount) OVER w AS before, lag(wall) OVER w * amount / lag(amount) OVER w AS linear,
		round((ln(wall / lag(wall) OVER w) / ln(amount::float8 / lag(amount) OVER w))::numeric, 2) AS power,
		round((ln(nullif(cpu, 0) / lag(nullif(cpu, 0)) OVER w) / ln(amount::float8 / lag(amount) OVER w))::numeric, 2) AS cpu_power
	FROM hpo_bench.result WINDOW w AS (PARTITION BY cause ORDER BY amount)) AS g WHERE power IS NOT NULL WINDOW c AS (PARTITION BY cause) ORDER BY cause, power DESC) AS x"
