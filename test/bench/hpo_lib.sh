# What the hpo benchmarks share: the connection, CPU time of the server, one study measured, Markdown.
#
# PG* variables name a running server on this machine with hyperband installed; superuser.  Everything lives in the
# schema hpo_bench, which begin makes and drops; hpo_bench.mid() is the median, rounded.  HB_LOG names the server's log where it is not the postmaster's standard error.

. "$here/goal.sh"

sql() { psql -XqAt -v ON_ERROR_STOP=1 "$@"; }
note() { printf '%s\n' "$*" >&2; }

bench_begin()
{
	sql >/dev/null <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS hyperband;
DROP SCHEMA IF EXISTS hpo_bench CASCADE;
CREATE SCHEMA hpo_bench;
CREATE FUNCTION hpo_bench.mid(v anyarray, digits int) RETURNS numeric LANGUAGE sql AS
	'SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY x::float8))::numeric, digits) FROM unnest(v) AS x';
SQL
	postmaster=$(sql -c "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)")
	HB_LOG=${HB_LOG:-$(readlink "/proc/$postmaster/fd/2" || true)}
	[ -r "$HB_LOG" ] || note "cannot read the server's log ($HB_LOG), set HB_LOG: how busy trainers were stays unknown"
	trap bench_end EXIT
	trap 'exit 130' INT TERM
}

bench_end()
{
	sql -c "SET client_min_messages = warning" -c "DROP SCHEMA IF EXISTS hpo_bench CASCADE" >/dev/null 2>&1 || true
	[ -z "${work:-}" ] || rm -rf "$work"
}

# CPU seconds of the postmaster, of its children and grandchildren, and of all that they have reaped: the server and its trainers.
server_cpu()
{
	{ cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v top="$postmaster" -v tick="$(getconf CLK_TCK)" '
		{ pid = $1; sub(/^.*\) /, ""); parent[pid] = $2; own[pid] = $12 + $13; reaped[pid] = $14 + $15 }
		END {
			for (pid in parent)
				if (pid == top || parent[pid] == top || (parent[pid] in parent && parent[parent[pid]] == top))
					sum += own[pid] + reaped[pid]
			printf "%.2f\n", sum / tick
		}'
}

# A supervisor ends a moment after its study.
settle()
{
	until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'")" = 0 ]; do sleep 0.05; done
}

# study "ARGUMENTS of hyperband_tune" [SQL before]: sets $study, $wall and $cpu (seconds), $wal (bytes), $loss.
study()
{
	local before
	settle
	before=$(server_cpu)
	read -r study wall wal loss < <(sql -F ' ' <<-SQL
		SET client_min_messages = warning;
		${2:-}
		SELECT pg_current_wal_insert_lsn() AS lsn \gset
		SELECT clock_timestamp() AS began \gset
		SELECT hyperband_tune($1) AS study \gset
		SELECT hyperband_wait(:study) AS state \gset
		SELECT :study, round(extract(epoch FROM clock_timestamp() - :'began'::timestamptz), 3),
			pg_wal_lsn_diff(pg_current_wal_insert_lsn(), :'lsn'), best_loss FROM hyperband.study WHERE study_id = :study;
	SQL
	)
	[ -n "${loss:-}" ] || { note "the study hyperband_tune($1) failed"; return 1; }
	settle
	cpu=$(awk -v a="$before" -v b="$(server_cpu)" 'BEGIN { printf "%.2f", b - a }')
}

# How well the study's trainers were used, as the server's log says: $cohorts, $passes over the training rows, $trainers_cpu and
# $trained (seconds), and of its stages of at most 10 trials $late and $late_cpu; NULL what it does not say.
busy()
{
	local said
	said=$(grep -a "hyperband: study $study trained" "$HB_LOG" 2>/dev/null || true)
	read -r cohorts passes trainers_cpu trained < <(sed -n 's/.* in \([0-9]*\) cohorts and \([0-9]*\) passes .*rows, \([0-9.]*\) s of .* in \([0-9.]*\) s$/\1 \2 \3 \4/p' <<<"$said" | tail -n 1) || true
	read -r late late_cpu < <(sed -n 's/.* stages of at most 10 trials in \([0-9.]*\) s, \([0-9.]*\) s of .*/\1 \2/p' <<<"$said" | tail -n 1) || true
	: "${cohorts:=NULL}" "${passes:=NULL}" "${trainers_cpu:=NULL}" "${trained:=NULL}" "${late:=NULL}" "${late_cpu:=NULL}"
}

forget() { sql -c "SELECT hyperband_drop($1)" >/dev/null; }

# Reads lines "a|b|c", the first the heads of the columns, and writes a Markdown table.
markdown()
{
	awk -F '|' 'function row(text) { gsub(/\|/, " | ", text); print "| " text " |" }
		{ row($0) }
		NR == 1 { line = "---"; for (i = 2; i <= NF; i++) line = line "|---"; row(line) }'
}

# table SQL: the result of a query as a Markdown table.
table() { psql -XqA -v ON_ERROR_STOP=1 -P footer=off -P null='' -F '|' -c "$1" | markdown; }

# goals SQL: lines of goal.sh from a query of what was measured, the goal, the figure, whether it was met, and why not.
goals()
{
	sql -F '|' -c "SELECT 'GOAL', what, goal, figure, CASE met WHEN true THEN 'met' WHEN false THEN 'missed' ELSE 'not measured' END,
		CASE WHEN met THEN '' ELSE why END FROM ($1) AS g (what, goal, figure, met, why)"
}

machine()
{
	echo "machine: $(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), $(awk '/MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)"
	sql -c "SELECT 'server: PostgreSQL ' || current_setting('server_version') || ', hyperband ' || extversion || ', shared_buffers '
		|| current_setting('shared_buffers') || ', fsync ' || current_setting('fsync') FROM pg_extension WHERE extname = 'hyperband'"
	echo "date: $(date -u +%Y-%m-%d)"
}
