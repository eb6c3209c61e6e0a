#!/bin/sh
# What a prediction costs: hyperband_predict over a table of 30 real columns, beside a function that does nothing.
#
#   test/bench/predict.sh [ROWS]      default: 1000000
#
# PG* variables name a running cluster with hyperband installed, on this machine; superuser.  Makes schema
# predict_bench, tunes a linear model and networks of one and two layers of 64 units on 20,000 of its rows, then ROUNDS
# times (5), in turn: SELECT count(f(t)) FROM table t where f is num_nulls (a function of the server that looks at no
# column) or hyperband_predict, without parallel workers.  Prints CPU nanoseconds a row above num_nulls, medians and
# lowest; CPU milliseconds of the first call in a session, and of the first after another version became current.  With
# an interpreter that has psycopg and scikit-learn (PYTHON) also what scikit-learn's predict costs a row, fed from the
# same table through psycopg's binary cursor and through COPY BINARY.
set -eu

rows=${1:-1000000}
rounds=${ROUNDS:-5}
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
. "$here/goal.sh"
work=$(mktemp -d)
trap 'psql -XqAt -c "SET client_min_messages = error" -c "DROP SCHEMA IF EXISTS predict_bench CASCADE" \
	-c "SELECT hyperband_drop_model(n) FROM (SELECT DISTINCT name AS n FROM hyperband.model WHERE name LIKE '\''predict bench %'\'') x" >/dev/null 2>&1
	rm -rf "$work"' EXIT

sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }

columns=$(seq -s ', ' -f 'c%.0f' 30)
sql -c "SET client_min_messages = error" -c "CREATE EXTENSION IF NOT EXISTS hyperband" -c "DROP SCHEMA IF EXISTS predict_bench CASCADE" \
	-c "CREATE SCHEMA predict_bench" -c "CREATE TABLE predict_bench.t AS SELECT $(seq -s ', ' -f '(random() * 2 - 1)::real AS c%.0f' 30), 0::real AS y
		FROM generate_series(1, $rows)" -c "UPDATE predict_bench.t SET y = c1 + 2 * c2 * c3 - c4 + sin(c5 * 3)" -c "VACUUM (FULL, ANALYZE) predict_bench.t"

# tune NAME MODEL SPACE
tune()
{
	id=$(sql -c "SET client_min_messages = error" -c "SELECT hyperband_tune('predict_bench.t', 'y', model => '$2', name => 'predict bench $1',
		max_resource => 1, scheduler => 'full', n_trials => 1, trainers => 1, search_space => '$3', options => '{\"max_rows\": 20000}')")
	sql -c "SELECT hyperband_wait($id)" -c "SELECT hyperband_drop($id)" >/dev/null
}
tune linear linear '{"learning_rate": 0.01}'
tune 64 mlp '{"layers": 1, "units": 64, "activation": "relu", "learning_rate": 0.003, "optimizer": "adam"}'
tune 64x64 mlp '{"layers": 2, "units": 64, "activation": "tanh", "learning_rate": 0.003, "optimizer": "adam"}'

cpu="coalesce(split_part(pg_read_file('/proc/self/schedstat'), ' ', 1), '0')::numeric"

# cost EXPRESSION: CPU nanoseconds a row, in a session of its own that has called it before
cost()
{
	sql <<SQL
SET max_parallel_workers_per_gather = 0;
SELECT count($1) FROM (SELECT * FROM predict_bench.t LIMIT 1) t \g /dev/null
SELECT $cpu AS before \gset
SELECT count($1) FROM predict_bench.t t \g /dev/null
SELECT round(($cpu - :before) / $rows, 1);
SQL
}

i=0
while [ "$i" -lt "$rounds" ]; do
	cost "num_nulls('predict bench 64'::text, t, NULL)" >> "$work/nothing"
	cost "num_nulls('predict bench 64'::text, t.c30)" >> "$work/last"
	for name in linear 64 64x64; do cost "hyperband_predict('predict bench $name', t)" >> "$work/$name"; done
	i=$((i + 1))
done
summary() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[1] }'; }
base=$(summary "$work/nothing")
echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1); $rows rows of 30 real columns; CPU time"
echo "$base" | awk '{ printf "scan, row and a function that does nothing: %.0f ns a row (lowest %.0f); with a prediction in its place", $1, $2 }'
for name in linear 64 64x64; do echo "$name $(summary "$work/$name")" | awk '{ printf ", %s: %.0f", $1, $2 }'; done
echo
more() { echo "$base $(summary "$work/$1")" | awk '{ printf "%.0f (lowest %.0f)", $3 - $1, $4 - $2 }'; }
for name in linear 64 64x64; do
	case $name in linear) what=linear ;; *) what="mlp of $name units" ;; esac
	echo "hyperband_predict, $what: $(more $name)" | sed 's/ (low/ ns a row more (low/'
done

# first calls: in a fresh session, and after a change of the current version
tune 64 mlp '{"layers": 1, "units": 64, "activation": "relu", "learning_rate": 0.003, "optimizer": "adam", "l2": 0}'
sql <<SQL > "$work/calls"
SET max_parallel_workers_per_gather = 0;
LOAD 'hyperband';
SELECT count(t) FROM (SELECT * FROM predict_bench.t LIMIT 1) t \g /dev/null
SELECT $cpu AS a \gset
SELECT $cpu AS b \gset
SELECT hyperband_predict('predict bench 64', t) FROM predict_bench.t t LIMIT 1 \g /dev/null
SELECT $cpu AS c \gset
SELECT hyperband_promote('predict bench 64', CASE WHEN version = 1 THEN 2 ELSE 1 END) FROM hyperband.model WHERE name = 'predict bench 64' AND is_current \g /dev/null
SELECT $cpu AS d \gset
SELECT hyperband_predict('predict bench 64', t) FROM predict_bench.t t LIMIT 1 \g /dev/null
SELECT $cpu AS e \gset
SELECT round((:c - :b) / 1e6, 2), round((:e - :d) / 1e6, 2), round((:b - :a) / 1e6, 2);
SQL
IFS='|' read -r first second without < "$work/calls"
echo "first call in a session: $first ms; first after a new version: $second ms (a query of its own without it: $without ms)"

if "$PYTHON" -c 'import numpy, psycopg, sklearn' 2>/dev/null; then
	"$PYTHON" "$here/predict_peer.py" predict_bench.t "$columns" "$rows"
else
	echo "scikit-learn skipped: no interpreter with numpy, psycopg and sklearn (PYTHON=$PYTHON)"
fi

# micro FILE: microseconds a row beyond the function that does nothing, by medians
micro() { echo "$base $(summary "$work/$1")" | awk '{ printf "%.3f", ($3 - $1) / 1000 }'; }
reading="of it deforming the row to its last column $(micro last) us"
goal_most "prediction of a row of 30 columns, linear, beyond a function that does nothing" 0.3 "$(micro linear)" us "$reading"
goal_most "the same, mlp of 64 units" 2.5 "$(micro 64)" us "$reading, all that the linear model does $(micro linear) us; the rest is the network"
goal_most "first call after a new version, decoding included" 5 "$second" ms "a query without a prediction takes $without ms, the first call in a session $first ms"
