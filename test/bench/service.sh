#!/bin/sh
# How many ask + tell pairs a second a study takes, beside Optuna's RDBStorage on the same server.
#
#   test/bench/service.sh [short | TRIALS...]      default: 100 1000 10000 100000
#
# PG* variables name a running cluster with hyperband installed, on this machine; superuser; databases hyperband_service
# and optuna_service are made and dropped there.  PYTHON names an interpreter with psycopg2; with optuna and sqlalchemy,
# too, Optuna is measured on studies of OPTUNA trials (default 10000).  Every sampler that does not learn with every
# scheduler; METHODS is a regular expression of those wanted, such as 'random x (full|asha)'.  ROUNDS is how often (3),
# PAIRS how many at most at a time (2000).  short takes random x full and random x hyperband alone, once, in two to four
# minutes.  Both use the driver psycopg2, a process a connection, and the server's synchronous_commit.  hyperband's two
# statements are prepared, and a worker tells a result and asks for the next trial in one transaction; beside Optuna, whose
# study.tell and study.ask cannot be put together, also ten results and trials at a time, and as plain text in
# transactions of their own.
set -eu

here=$(dirname "$0")
PYTHON=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1
trap 'for d in hyperband_service optuna_service; do psql -XqAt -d postgres -c "DROP DATABASE IF EXISTS $d (FORCE)" >/dev/null 2>&1; done' EXIT

for database in hyperband_service optuna_service; do
	psql -XqAt -v ON_ERROR_STOP=1 -d postgres -c "SET client_min_messages = warning" \
		-c "DROP DATABASE IF EXISTS $database (FORCE)" -c "CREATE DATABASE $database" >/dev/null
done
psql -XqAt -v ON_ERROR_STOP=1 -d hyperband_service -c 'CREATE EXTENSION hyperband'

echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
psql -XqAt -d hyperband_service -c "SELECT 'server: PostgreSQL ' || current_setting('server_version') || ', hyperband ' || extversion
	|| ', synchronous_commit ' || current_setting('synchronous_commit') || ', fsync ' || current_setting('fsync')
	|| ', shared_buffers ' || current_setting('shared_buffers') FROM pg_extension WHERE extname = 'hyperband'"
if [ "${1:-}" = short ]; then
	set -- 100 10000
	export METHODS="${METHODS:-random x (full|hyperband)}" ROUNDS="${ROUNDS:-1}" PAIRS="${PAIRS:-400}"
fi
[ $# -gt 0 ] || set -- 100 1000 10000 100000
"$PYTHON" "$here/service.py" "$@"
