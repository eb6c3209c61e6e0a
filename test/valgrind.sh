# Regression tests with the server and the trainers under valgrind: sourced by test/run, which has a stage and a private copy.
#
# An error is a read or write outside of allocated memory, or a value never set that decides a branch or leaves the process.
# Leaks are none: a server process leaves its memory to its end.  Valgrind has no AVX-512, so kernels run as AVX2.  The server is
# not built for it: what is allocated in pieces of a larger block is watched as the block.  Extension and databases are made by a
# server without valgrind where making them is not the test.

valgrind_files=(damaged models bad_input_fuzz)

# valgrind_server start|stop: the same cluster, its programs now those that valgrind runs.
valgrind_server()
{
	local valgrind=(valgrind --trace-children=yes "--trace-children-skip=*/sh,*/gzip" --leak-check=no --vgdb=no --num-callers=24
		--gen-suppressions=all --error-limit=no "--suppressions=$stage/valgrind.supp" "--log-file=$stage/valgrind/%p.log")
	case $1 in
	start)
		as_server setsid "${valgrind[@]}" "$bin/postgres" -D "$stage/valgrind_main" >"$stage/valgrind_main.log" 2>&1 </dev/null &
		for ((i = 0; i < 1200; i++)); do
			! sql valgrind_main -c "SELECT 1" >/dev/null 2>&1 || return 0
			sleep 0.1
		done
		return 1
		;;
	stop) cluster_stop valgrind_main ;;
	esac
}

# valgrind_verdict: prints TAP from what valgrind wrote of each process.
valgrind_verdict()
{
	local logs=("$stage"/valgrind/*.log) trainers bad=() log
	trainers=$( (grep -l '^==[0-9]*== Command: [^ ]*hyperband_trainer' "${logs[@]}" || true) | wc -l)
	for log in "${logs[@]}"; do
		! grep -qE 'insert_a_suppression_name_here|Process terminating with default action of signal (4|6|7|8|11) ' "$log" || bad+=("$log")
	done
	[ "$trainers" -ge 2 ] && echo "ok 1 - valgrind watched ${#logs[@]} processes, $trainers of them trainers" ||
		echo "not ok 1 - valgrind watched ${#logs[@]} processes, but only $trainers trainers"
	if [ ${#bad[@]} -eq 0 ]; then
		echo "ok 2 - and has nothing to report"
	else
		echo "not ok 2 - valgrind reports errors of ${#bad[@]} processes"
		cat "${bad[@]}" | grep -v '^[{} ]' | sed -n '1,200s/^/# /p'
	fi
	echo "1..2"
}

# valgrind_run: everything but the tally; the tests' logs are $log_dir/valgrind-*.log, it prints the verdict.  Status 1 when anything failed.
valgrind_run()
{
	local status=0 file tests=()
	for file in sql/*.sql; do [[ $file == sql/hyperband--* ]] || tests+=("$(basename "$file" .sql)"); done
	as_server mkdir -p "$stage/valgrind"
	as_server tee "$stage/valgrind.supp" <test/valgrind.supp >/dev/null
	cluster_start valgrind_main "hyperband.max_trainers = 2" "timezone = 'UTC'" "autovacuum = off" "jit = off"
	sql valgrind_main -c "CREATE DATABASE pgtap"
	sql valgrind_main -d pgtap -c "CREATE EXTENSION pgtap" -c "CREATE EXTENSION hyperband"
	cluster_stop valgrind_main
	valgrind_server start || status=1
	PGHOST=$stage/valgrind_main.s PGUSER=postgres timeout 600 "/usr/lib/postgresql/$pg_version/lib/pgxs/src/test/regress/pg_regress" \
		--bindir="$bin" --inputdir=. --outputdir="$root/build/valgrind" --dbname=walk --load-extension=hyperband "${tests[@]}" \
		>"$log_dir/valgrind-regress.log" 2>&1 || status=1
	[ ! -s build/valgrind/regression.diffs ] || cat build/valgrind/regression.diffs >>"$log_dir/valgrind-regress.log"
	for file in "${valgrind_files[@]}"; do
		PGHOST=$stage/valgrind_main.s PGUSER=postgres PGDATABASE=pgtap PATH=$bin:$PATH \
			timeout 600 pg_prove -v --set times=10 "test/pgtap/$file.sql" >"$log_dir/valgrind-$file.log" 2>&1 || status=1
	done
	valgrind_server stop || status=1
	valgrind_verdict
	return "$status"
}
