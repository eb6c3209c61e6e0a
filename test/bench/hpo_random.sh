#!/bin/bash
# The paper's own comparison: how much more resource and time random search needs to reach Hyperband's validation error.
#
#   test/bench/hpo_random.sh DATA_FOLDER [full]
#
# PG* variables name a running server on this machine with hyperband installed; superuser.  DATA_FOLDER as for hpo.sh.
# A hard space: learning rates over six decades, l2 over six.  Random search is a pool of fully trained draws (scheduler
# full) of CAP times the resource of a Hyperband plan; each seed of Hyperband runs one whole plan with draws of its own.  There
# are POOLS pools (3) of other draws and another split of the rows; each seed is compared on the rows of one of them.
# Where m of the pool's N trials are as good as Hyperband's best, random search in a random order needs N (1 - 0.5^(1/m))
# trials in the median to find one; where none is, the whole pool is a lower bound.  Its time is that share of the pool's time: its
# trials train together as Hyperband's do.  Short: letter, R = 81, 9 seeds.  full: letter, adult and digits, R = 81 and 729,
# 15 seeds.  A ratio varies much between seeds: for draws that are ranked without error its median is 7.5 at R = 81.
# TASKS, MODELS, RS, SEEDS, POOLS and CAP choose otherwise.  Reference: Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar,
# "Hyperband", JMLR 18 (2018), section 4; R/(s_max + 1) is the most that one bracket can save.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hpo_lib.sh"
data=${1:?usage: hpo_random.sh DATA_FOLDER [full]}
if [ "${2:-short}" = full ]; then
	: "${TASKS=letter adult digits}" "${RS=81 729}" "${SEEDS=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15}"
else
	: "${TASKS=letter}" "${RS=81}" "${SEEDS=1 2 3 4 5 6 7 8 9}"
fi
: "${MODELS=linear mlp}" "${CAP=}" "${POOLS=3}"

hard='"optimizer": "nesterov", "batch_size": 128, "learning_rate": {"type": "float", "low": 1e-6, "high": 1, "log": true},
	"l2": {"type": "float", "low": 1e-7, "high": 0.1, "log": true}'
linear="$hard"
mlp="$hard, \"layers\": 1, \"units\": {\"type\": \"int\", \"low\": 16, \"high\": 64, \"log\": true},
	\"activation\": [\"relu\", \"tanh\"], \"momentum\": {\"type\": \"float\", \"low\": 0.5, \"high\": 0.99}"

bench_begin
sql -c "CREATE TABLE hpo_bench.result (task text, model text, r int, pool int, seed int, loss float8, resource bigint, wall float8, cpu float8)" \
	-c "CREATE TABLE hpo_bench.pool (task text, model text, r int, pool int, wall float8, cpu float8, losses float8[])"
if [ "$(sql -c "SELECT to_regclass('real_shared.adult') IS NULL")" = t ]; then
	sql -v dir="$(cd "$data" && pwd)" -v skip_images=1 -v skip_big=1 -f "$data/load.sql" >/dev/null
fi

# compare TASK TARGET MODEL R
compare()
{
	local space=$linear arguments spent seed pool
	[ "$3" = linear ] || space=$mlp
	arguments="'hpo_bench.$1_train', '$2', model => '$3', task => 'classification', search_space => '{$space}', name => 'hpo bench', max_resource => $4"
	for seed in $SEEDS; do
		pool=$((seed % POOLS))
		study "$arguments, seed => $seed, options => '{\"split_seed\": $pool}'"
		spent=$(sql -c "SELECT resource_spent FROM hyperband.study WHERE study_id = $study")
		forget "$study"
		sql -c "INSERT INTO hpo_bench.result VALUES ('$1', '$3', $4, $pool, $seed, $loss, $spent, $wall, $cpu)"
		note "$1 $3 R=$4 seed $seed: $spent epochs, $wall s, error $loss"
	done
	for ((pool = 0; pool < POOLS; pool++)); do
		study "$arguments, seed => $((1000 + pool)), scheduler => 'full', options => '{\"split_seed\": $pool}',
			n_trials => (SELECT (sum(trials * (resource - before)) / $4 * $5)::int FROM (SELECT *, lag(resource, 1, 0) OVER (PARTITION BY bracket ORDER BY rung) AS before
				FROM hyperband_plan($4)) AS p)"
		sql -c "INSERT INTO hpo_bench.pool SELECT '$1', '$3', $4, $pool, $wall, $cpu, array_agg(coalesce(loss, 'infinity')) FROM hyperband.trial WHERE study_id = $study"
		note "$1 $3 R=$4: pool $pool took $wall s"
		forget "$study"
	done
	sql -c "SELECT hyperband_drop_model('hpo bench')" >/dev/null
}

for task in $TASKS; do
	sql -v task="$task" -v folder=none -f "$here/hpo_tables.sql"
	case $task in letter) target=lettr ;; adult) target=income ;; digits) target=digit ;; *) note "unknown task $task"; exit 2 ;; esac
	for R in $RS; do
		for model in $MODELS; do
			compare "$task" "$target" "$model" "$R" "${CAP:-$([ "$R" -gt 81 ] && echo 45 || echo 12)}"
		done
	done
done

ratios="WITH found AS (
	SELECT r.*, p.wall AS pool_wall, cardinality(losses) AS n, (SELECT count(*) FROM unnest(losses) AS l WHERE l <= r.loss) AS m
	FROM hpo_bench.result AS r JOIN hpo_bench.pool AS p USING (task, model, r, pool)),
needed AS (SELECT *, n * CASE WHEN m = 0 THEN 1 ELSE 1 - 0.5 ^ (1.0 / m) END AS needed FROM found)
SELECT task, model, r, pool, seed, loss, resource, wall, m, n, needed * r / resource AS resource_ratio, needed * pool_wall / n / wall AS time_ratio FROM needed"
[ -z "${OUT:-}" ] || sql -c "COPY ($ratios) TO STDOUT (FORMAT csv, HEADER)" >"$OUT/hpo_random.csv"
machine
echo
echo "Resource and wall time of random search until it is as good as Hyperband's best, in units of the whole Hyperband plan's:"
echo "medians over seeds, quartiles in brackets, > where no trial of random search was as good.  Goals: median 5 at R = 81, 20 at"
echo "R = 729; ceiling R/(s_max + 1): 16 and 104."
echo
table "SELECT task, model, r AS \"R\", count(*) AS seeds, count(*) FILTER (WHERE m = 0) AS \"never reached\",
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY loss))::numeric, 4) AS \"validation error\",
	CASE WHEN 2 * count(*) FILTER (WHERE m = 0) >= count(*) THEN '>' ELSE '' END
		|| format('%s (%s-%s)', round((percentile_cont(0.5) WITHIN GROUP (ORDER BY resource_ratio))::numeric, 1),
			round((percentile_cont(0.25) WITHIN GROUP (ORDER BY resource_ratio))::numeric, 1),
			round((percentile_cont(0.75) WITHIN GROUP (ORDER BY resource_ratio))::numeric, 1)) AS \"times the resource\",
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY time_ratio))::numeric, 1) AS \"times the time\",
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY wall))::numeric, 2) AS \"Hyperband, s\"
	FROM ($ratios) AS q GROUP BY 1, 2, 3 ORDER BY 3, 1, 2"
echo
# What a ratio comes from: how far up in random search's pool Hyperband's best lies, beside where the best of as many draws lies.
goals "WITH q AS ($ratios), p AS (
	SELECT q.*, m / n::float8 AS place, (SELECT sum(trials) FROM hyperband_plan(r) WHERE rung = 0) AS draws
	FROM q)
SELECT format('%s %s R=%s: resource of random search to the same validation error, median of %s seeds', task, model, r, seeds),
	format('at least %s times', goal),
	CASE WHEN never THEN 'more than ' ELSE '' END || round(ratio::numeric, 1) || ' times (time: ' || round(time::numeric, 1) || ')', ratio >= goal,
	CASE WHEN never THEN 'no full training was as good, and there were no more: CAP is too low' ELSE
	format('Hyperband''s best is among the best %s %% of full trainings; the best of its %s draws would be among the best %s %%',
		round((100 * place)::numeric, 2), draws, round((100 * (1 - 0.5 ^ (1.0 / draws)))::numeric, 2)) END
FROM (SELECT task, model, r, draws, CASE WHEN r > 81 THEN 20 ELSE 5 END AS goal, 2 * count(*) FILTER (WHERE m = 0) >= count(*) AS never, count(*) AS seeds,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY resource_ratio) AS ratio, percentile_cont(0.5) WITHIN GROUP (ORDER BY time_ratio) AS time,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY place) AS place FROM p WHERE r >= 81 GROUP BY 1, 2, 3, 4) AS g
ORDER BY r, task, model"
