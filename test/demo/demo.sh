#!/bin/bash
# make demo: installs what is missing, builds, starts a private cluster, and shows Hyperband tune models of real tables.
#
# The cluster stays when the demo has ended; the last lines say how to look around in it and how to stop it.
#   test/demo/demo.sh stop    stops the cluster that the last demo left, and removes it
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
left_behind=build/demo

# stop_last: only a folder that a demo made and wrote down is ever removed.
stop_last()
{
	local stage owner=()
	[ -s "$left_behind" ] || return 1
	stage=$(cat "$left_behind")
	case ${stage##*/} in hyperband-demo.??????) ;; *) return 1 ;; esac
	if [ -d "$stage/demo" ]; then
		[ "$(id -u)" -ne 0 ] || owner=(runuser -u postgres --)
		(cd "$stage" && "${owner[@]}" "$stage/pg/usr/lib/postgresql/15/bin/pg_ctl" -D "$stage/demo" -m fast -w -s stop) 2>/dev/null || true
	fi
	rm -rf "$stage"
	rm -f "$left_behind"
}

if [ "${1:-}" = stop ]; then
	if stop_last; then echo "stopped"; else echo "no cluster of a demo is here"; fi
	exit 0
fi

test/install-deps
. test/lib.sh
mkdir -p "$log_dir"
stop_last || true

if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m' live=1
else
	bold='' dim='' plain='' live=
fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
query() { PGOPTIONS='-c client_min_messages=warning' sql demo -P pager=off "$@"; }
show() { query -P footer=off -P linestyle=unicode -P border=1 "$@"; }
value() { query -At "$@"; }

title "Building hyperband and a private PostgreSQL to run it in"
build
stage_make demo
echo "$stage" >"$left_behind"
failed()
{
	local status=$?
	[ "$status" -eq 0 ] && return
	echo "the demo failed; the server's log:" >&2
	as_server tail -n 20 "$stage/demo.log" >&2 2>/dev/null || true
	stop_last || true
}
trap failed EXIT
trap 'exit 130' INT TERM
install_privately
cluster_start demo "shared_buffers = 256MB" "max_wal_size = 2GB" "timezone = 'UTC'"
started=$SECONDS

title "Loading two real tables"
as_server mkdir -p "$stage/data"
for part in train t10k; do
	for what in images-idx3 labels-idx1; do
		gzip -dc "/usr/share/datasets/fashion-mnist/$part-$what-ubyte.gz" | as_server tee "$stage/data/$part-${what%-*}" >/dev/null
	done
done
gzip -dc test/demo/data/adult.csv.gz | as_server tee "$stage/data/adult.csv" >/dev/null
query -v dir="$stage/data" -f test/demo/load.sql
show -c "SELECT 'adult' AS table, count(*) FILTER (WHERE fold < 8) AS to_learn_from, count(*) FILTER (WHERE fold >= 8) AS to_test_on, 'does a person earn more than 50,000 dollars?' AS question FROM adult
	UNION ALL SELECT 'fashion', count(*) FILTER (WHERE NOT is_test), count(*) FILTER (WHERE is_test), 'which of 10 pieces of clothing is on a picture of 28×28 pixels?' FROM fashion"

title "The plan: SELECT * FROM hyperband_plan(27)"
show -f test/demo/plan.sql

# follow STUDY: draws the view hyperband.progress until the study has ended.  On a terminal it is drawn over.
follow()
{
	local study=$1 state text lines=0 last=-10
	while :; do
		text=$(show -c "SELECT name, state, bar, rungs_done || '/' || rungs AS rungs, trials_running AS running,
			resource_spent || '/' || resource_planned AS epochs, round(best_loss::numeric, 4) AS best_error, greatest(0, round(elapsed)) || ' s' AS elapsed,
			coalesce(extract(epoch FROM eta)::int || ' s', '') AS eta FROM hyperband.progress WHERE study_id = $study")
		state=$(value -c "SELECT state FROM hyperband.progress WHERE study_id = $study")
		if [ -n "$live" ]; then
			[ "$lines" -eq 0 ] || printf '\e[%dA\e[J' "$lines"
			printf '%s\n' "$text"
			lines=$(printf '%s\n' "$text" | wc -l)
		elif [ $((SECONDS - last)) -ge 5 ] || { [ "$state" != running ] && [ "$state" != queued ]; }; then
			printf '%s\n' "$text"
			last=$SECONDS
		fi
		case $state in queued | running) sleep 0.5 ;; *) break ;; esac
	done
	# Raises the study's error where it failed.
	[ "$(value -c "SELECT hyperband_wait($study)")" = done ]
}

# tune NAME CALL: shows the call, starts it and follows it; $study is its id.
tune()
{
	local name=$1 call=$2
	title "Tuning $name"
	printf '%sSELECT %s;%s\n' "$dim" "$call" "$plain"
	study=$(value -c "SELECT $call")
	follow "$study"
	eval "study_$name=$study"
}

tune adult_mlp "hyperband_tune('adult_train', 'income', model => 'mlp', name => 'adult_mlp', max_resource => 27, seed => 1)"
tune adult_linear "hyperband_tune('adult_train', 'income', model => 'linear', name => 'adult_linear', max_resource => 81, seed => 1)"
tune fashion_mlp "hyperband_tune('fashion_train', 'label', model => 'mlp', name => 'fashion_mlp', max_resource => 27, seed => 1, options => '{\"max_rows\": 12000}')"

# The default configuration: one parameter fixed at its default, one trial, no early stopping.
title "For comparison: the default configurations, trained as long"
for each in "adult_mlp adult_train income mlp 27 {}" "adult_linear adult_train income linear 81 {}" "fashion_mlp fashion_train label mlp 27 {\"max_rows\":12000}"; do
	read -r name table target model epochs options <<<"$each"
	value -c "SELECT hyperband_tune('$table', '$target', model => '$model', name => '${name}_default', max_resource => $epochs, seed => 1,
		scheduler => 'full', n_trials => 1, search_space => '{\"batch_size\": 128}', options => '$options')"
done | while read -r id; do
	[ "$(value -c "SELECT hyperband_wait($id)")" = done ]
done

show -v adult_mlp="$study_adult_mlp" -v fashion_mlp="$study_fashion_mlp" -f test/demo/demo.sql

title "How the brackets of adult_mlp went"
echo "A row is a trial, epochs go to the right, darker is better; behind it the error where it ended (★ is the best at any epoch)."
value -v study="$study_adult_mlp" -f test/demo/picture.sql

took=$((SECONDS - started))
trap - EXIT
as_user=''
[ "$(id -u)" -ne 0 ] || as_user=' (as root)'
title "That took $took s.  Look around$as_user:"
cat <<EOF
    $bin/psql -h $stage/demo.s -U postgres postgres

    SELECT * FROM hyperband.progress;
    SELECT place, number, bracket, resource, metric_value, curve, config FROM hyperband.leaderboard WHERE study_id = $study_adult_mlp;
    SELECT * FROM hyperband.rung_audit WHERE study_id = $study_adult_mlp;

Stop the server and remove it:
    test/demo/demo.sh stop
EOF
