#!/bin/sh
# Every sampler x scheduler, and Optuna, on recorded learning curves.
#
#   test/bench/replay.sh DATA_FOLDER [SEEDS]     PG* variables name a running server with hyperband installed
#
# DATA_FOLDER has the folder lc (tasks, configurations, curves as .csv.gz) and a README.md with the yardsticks.
# Prints, after 10 and 30 full trainings: the regret of each on each task (median, quartiles), average ranks, what was
# expected and whether it was met, random x hyperband on the table's own configurations beside the yardsticks, and whether
# hyperband_minimize with a SQL function that looks the loss up has the same history and regret as asking and telling.
#
# PYTHON    an interpreter with psycopg, numpy and optuna (default python3)
# RESULTS   one line a run; runs found there are not repeated, so that one may stop and go on (default: a new file)
# JOBS      processes at once (2)     LIMIT   seconds after which no run is started
# ONLY      a regular expression of combinations, such as 'random x|tpe x hyperband'     TASKS  one of tasks
# CHECK     seeds of the comparison with hyperband_minimize (1; 0: none)     CHECK_ONLY  its combinations
set -eu

[ $# -ge 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
results=${RESULTS:-$(mktemp -t replay.XXXXXX)}
export OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1

"$python" -c 'import psycopg, numpy, optuna' || { echo "set PYTHON to an interpreter with psycopg, numpy and optuna" >&2; exit 1; }
psql -XqAt -v ON_ERROR_STOP=1 -c "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS hyperband"
"$python" "$here/replay.py" "$1" "${2:-50}" "$results"
echo "hyperband $(psql -XqAt -c "SELECT extversion FROM pg_extension WHERE extname = 'hyperband'"), Optuna $("$python" -c 'import optuna; print(optuna.__version__)'), results in $results"
"$python" "$here/replay_report.py" "$results" "$1/README.md"
[ "${CHECK:-1}" = 0 ] || "$python" "$here/replay_minimize.py" "$1" "${CHECK:-1}"
