#!/bin/bash
# Tuning a table from SQL, beside scikit-learn and Optuna with PyTorch on the same table, two cores each.
#
#   test/bench/hpo.sh DATA_FOLDER [full]
#
# PG* variables name a running server on this machine with hyperband installed; superuser.  DATA_FOLDER holds load.sql and
# the tables that it loads (schema real_shared); Fashion-MNIST comes from Debian's package dataset-fashion-mnist.  PYTHON
# names an interpreter with numpy, psycopg, torch, optuna and scikit-learn; without one the peers are skipped.
# Short: letter and 12,000 Fashion-MNIST images, R = 27, one seed.  full: adult, synthetic 100,000 x 30 and all 60,000
# images, too, R = 27 and 81, seeds 1 to 5.  TASKS, MODELS, RS, SEEDS, PEERS, METHODS and PRECISIONS (these two of ours;
# "high medium") choose otherwise.
#
# Ours: the default (Hyperband, random draws), Hyperband with tpe, one bracket of Successive Halving, and random search, so that
# each peer has its like; and with Sobol points one bracket and ASHA, which were best of all on recorded curves (replay.sh).
# The same search space, batch size (128), longest training and trial counts for all, but where hpo_peer.py says that a peer
# cannot; every method sets a fifth of the rows aside for validation (a sixth of 12,000), others for each seed.  Wall and CPU time run from the first byte read to the tuned model; the
# error on test rows that nobody saw is measured after.  What differs is written in hpo_peer.py.
# Standard output: Markdown and goals (goal.sh).  OUT names a folder for hpo.csv, which is written after each measurement, and
# hpo_busy.csv, what the server's log says of ours; with KEEP=1 what hpo.csv holds already is not measured again but
# reported with the rest, since full takes about ten hours.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/hpo_lib.sh"
data=${1:?usage: hpo.sh DATA_FOLDER [full]}
python=${PYTHON:-python3}

if [ "${2:-short}" = full ]; then
	: "${TASKS=letter adult synthetic fashion_10k fashion_60k}" "${RS=27 81}" "${SEEDS=1 2 3 4 5}"
else
	: "${TASKS=letter fashion_10k}" "${RS=27}" "${SEEDS=1}"
fi
: "${MODELS=linear mlp}" "${PEERS=halving optuna random}" "${PRECISIONS=high}"
: "${METHODS=hyperband tpe halving random sobol_halving sobol_asha}"

linear='"optimizer": ["nesterov", "adam"], "schedule": "constant", "batch_size": 128,
	"l2": {"type": "float", "low": 1e-7, "high": 0.1, "log": true},
	"learning_rate": {"cases": [{"type": "float", "low": 0.001, "high": 1, "log": true, "when": {"optimizer": "nesterov"}},
		{"type": "float", "low": 0.0001, "high": 0.1, "log": true, "when": {"optimizer": "adam"}}]}'
mlp='"optimizer": ["nesterov", "adam"], "schedule": "constant", "batch_size": 128, "dropout": 0, "activation": ["relu", "tanh"],
	"l2": {"type": "float", "low": 1e-7, "high": 0.001, "log": true}, "layers": {"type": "int", "low": 1, "high": 2},
	"units": {"type": "int", "low": 32, "high": 256, "log": true},
	"learning_rate": {"cases": [{"type": "float", "low": 0.001, "high": 0.3, "log": true, "when": {"optimizer": "nesterov"}},
		{"type": "float", "low": 0.0001, "high": 0.02, "log": true, "when": {"optimizer": "adam"}}]}'

bench_begin
sql -c "CREATE TABLE hpo_bench.result (task text, model text, r int, seed int, method text, wall float8, cpu float8, validation float8,
	test float8, trials int, epochs bigint, test_rows int, PRIMARY KEY (task, model, r, seed, method))"
sql -c "CREATE TABLE hpo_bench.busy (task text, model text, r int, seed int, method text, cohorts int, passes float8, trainers_cpu float8,
	trained float8, late float8, late_cpu float8, PRIMARY KEY (task, model, r, seed, method))"
work=$(mktemp -d)
chmod 755 "$work"
csv=${OUT:-$work}/hpo.csv busy_csv=${OUT:-$work}/hpo_busy.csv
if [ -n "${KEEP:-}" ] && [ -s "$busy_csv" ]; then
	sql -c "\\copy hpo_bench.busy FROM '$busy_csv' (FORMAT csv, HEADER)"
fi
if [ -n "${KEEP:-}" ] && [ -s "$csv" ]; then
	sql -c "\\copy hpo_bench.result FROM '$csv' (FORMAT csv, HEADER)"
fi
sql -c "CREATE FUNCTION hpo_bench.spread(v float8[], digits int) RETURNS text LANGUAGE sql AS \$\$
	SELECT round((percentile_cont(0.5) WITHIN GROUP (ORDER BY x))::numeric, digits)
		|| CASE WHEN count(*) > 1 THEN format(' (%s-%s)', round(min(x)::numeric, digits), round(max(x)::numeric, digits)) ELSE '' END
	FROM unnest(v) AS x \$\$"
case $TASKS in *fashion*)
	for name in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
		zcat "/usr/share/datasets/fashion-mnist/$name-ubyte.gz" >"$work/$name-ubyte"
	done ;;
esac
case " $TASKS " in *" letter "* | *" adult "* | *" digits "*)
	if [ "$(sql -c "SELECT to_regclass('real_shared.adult') IS NULL")" = t ]; then
		sql -v dir="$(cd "$data" && pwd)" -v skip_images=1 -v skip_big=1 -f "$data/load.sql" >/dev/null
	fi ;;
esac

target_of()
{
	case $1 in letter) echo lettr ;; adult) echo income ;; digits) echo digit ;; synthetic) echo class ;; fashion*) echo label ;; esac
}

# measured METHOD: whether an earlier run did.
measured()
{
	[ "$(sql -c "SELECT count(*) FROM hpo_bench.result WHERE (task, model, r, seed, method) = ('$task', '$model', $R, $seed, '$1')")" = 1 ]
}

# record METHOD WALL CPU VALIDATION TEST TRIALS EPOCHS: of the current task, model, R and seed.
record()
{
	sql -c "INSERT INTO hpo_bench.result VALUES ('$task', '$model', $R, $seed, '$1', $2, $3, $4, $5, $6, $7, (SELECT count(*) FROM hpo_bench.${task}_test))"
	sql -c "\\copy hpo_bench.result TO '$csv' (FORMAT csv, HEADER)"
	note "$task $model R=$R seed $seed $1: $2 s wall, $3 s CPU, validation $4, test $5"
}

# ours METHOD "MORE ARGUMENTS": in the precision that is current.
ours()
{
	local space target validation=0.2 test name=$1
	[ "$precision" = high ] || name+=", $precision"
	! measured "$name" || return 0
	target=$(target_of "$task")
	[ "$task" != fashion_10k ] || validation='1.0/6'
	if [ "$model" = mlp ]; then space=$mlp; else space=$linear; fi
	study "'hpo_bench.${task}_train', '$target', model => '$model', task => 'classification', search_space => '{$space}',
		name => 'hpo bench', validation => $validation, max_resource => $R, seed => $seed, trainers => 2, options => '{\"precision\": \"$precision\", \"split_seed\": $seed}' $2"
	test=$(sql -c "SELECT avg((hyperband_classify('hpo bench', t) <> $target::text)::int) FROM hpo_bench.${task}_test AS t")
	busy
	sql -c "INSERT INTO hpo_bench.busy VALUES ('$task', '$model', $R, $seed, '$name', $cohorts, $passes, $trainers_cpu, $trained, $late, $late_cpu)
		ON CONFLICT (task, model, r, seed, method) DO UPDATE SET (cohorts, passes, trainers_cpu, trained, late, late_cpu)
			= (excluded.cohorts, excluded.passes, excluded.trainers_cpu, excluded.trained, excluded.late, excluded.late_cpu)"
	sql -c "\\copy hpo_bench.busy TO '$busy_csv' (FORMAT csv, HEADER)"
	record "$name" "$wall" "$cpu" "$loss" "$test" "$(sql -c "SELECT count(*) FROM hyperband.trial WHERE study_id = $study")" \
		"$(sql -c "SELECT resource_spent FROM hyperband.study WHERE study_id = $study")"
	forget "$study"
	sql -c "SELECT hyperband_drop_model('hpo bench')" >/dev/null
}

missing=
"$python" -c 'import numpy, psycopg, torch, optuna, sklearn' 2>/dev/null || missing=yes
for task in $TASKS; do
	sql -v task="$task" -v folder="$work" -f "$here/hpo_tables.sql"
	for R in $RS; do
		trials=$(sql -c "SELECT sum(trials) FROM hyperband_plan($R) WHERE rung = 0")
		full=$(sql -c "SELECT trials FROM hyperband_plan($R, scheduler => 'full')")
		for model in $MODELS; do
			for seed in $SEEDS; do
				for precision in $PRECISIONS; do
					for method in $METHODS; do
						case $method in
							hyperband) ours 'hyperband' "" ;;
							tpe) ours 'hyperband, tpe' ", sampler => 'tpe'" ;;
							halving) ours 'hyperband, halving' ", scheduler => 'halving', n_trials => $R" ;;
							random) ours 'hyperband, random search' ", scheduler => 'full', n_trials => $full" ;;
							sobol_halving) ours 'hyperband, sobol, halving' ", sampler => 'sobol', scheduler => 'halving', n_trials => $R" ;;
							sobol_asha) ours 'hyperband, sobol, asha' ", sampler => 'sobol', scheduler => 'asha'" ;;
							*) echo "hpo.sh: METHODS has an unknown method: $method" >&2; exit 2 ;;
						esac
					done
				done
				[ -z "$missing" ] || continue
				for peer in $PEERS; do
					n=$trials
					[ "$peer" != random ] || n=$full
					case $peer in
						halving) label='scikit-learn halving' ;;
						optuna) label='Optuna Hyperband, PyTorch' ;;
						random) label='random search, PyTorch' ;;
					esac
					! measured "$label" || continue
					# its end is waited for: an interpreter needs one of the cores for half a second after it has said what it measured
					said=$("$python" "$here/hpo_peer.py" "$peer" "$task" "$(target_of "$task")" "$model" "$R" "$seed" "$n")
					IFS='|' read -r p_wall p_cpu p_validation p_test p_trials p_epochs <<<"$said"
					record "$label" "$p_wall" "$p_cpu" "$p_validation" "$p_test" "$p_trials" "$p_epochs"
				done
			done
		done
	done
done

machine
if [ -n "$missing" ]; then
	echo "peers skipped: no interpreter with numpy, psycopg, torch, optuna and sklearn (PYTHON=$python)"
else
	"$python" -c 'import torch, optuna, sklearn, sys; print(f"peers: Python {sys.version.split()[0]}, PyTorch {torch.__version__}, Optuna {optuna.__version__}, scikit-learn {sklearn.__version__}")'
fi
echo
echo "Medians over seeds (lowest-highest)."
echo
table "SELECT task, model, r AS \"R\", method,
	hpo_bench.spread(array_agg(wall), 2) AS \"wall s\", hpo_bench.spread(array_agg(cpu), 2) AS \"CPU s\",
	hpo_bench.spread(array_agg(validation), 4) AS \"validation error\", hpo_bench.spread(array_agg(test), 4) AS \"test error\", count(*) AS seeds,
	min(trials) AS trials, percentile_disc(0.5) WITHIN GROUP (ORDER BY epochs) AS epochs
	FROM hpo_bench.result GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
echo
echo "Where the time goes, medians over seeds.  Busy: CPU time as a share of two cores' wall time; trainers: what they trained alone."
echo "Passes: cohorts' passes over the training rows, a trainer (R are enough where trials have one batch size).  Late: stages of at"
echo "most 10 trials, their share of the wall time, and how busy the two trainers were in them."
echo
table "SELECT r.task, r.model, r.r AS \"R\", r.method, hpo_bench.mid(array_agg(100 * cpu / (2 * wall)), 0) AS \"busy %\",
	hpo_bench.mid(array_agg(100 * trainers_cpu / (2 * wall)), 0) AS \"trainers %\", hpo_bench.mid(array_agg(1000 * cpu / epochs), 2) AS \"CPU ms an epoch of a trial\",
	hpo_bench.mid(array_agg(passes / 2), 1) AS \"passes a trainer\", hpo_bench.mid(array_agg(100 * late / wall), 0) AS \"late, % of wall\",
	hpo_bench.mid(array_agg(100 * late_cpu / (2 * nullif(late, 0))), 0) AS \"late, busy %\"
	FROM hpo_bench.result AS r LEFT JOIN hpo_bench.busy AS b USING (task, model, r, seed, method) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
echo
goals "SELECT format('%s %s R=%s: passes over the training rows a trainer, a whole Hyperband run with one batch size', task, model, r), format('at most R = %s', r),
	hpo_bench.mid(array_agg(passes / 2), 1)::text, hpo_bench.mid(array_agg(passes / 2), 1) <= r,
	format('%s chunks: a stage that takes long is cut again, and each chunk passes over the rows by itself', hpo_bench.mid(array_agg(cohorts), 0))
	FROM hpo_bench.busy WHERE method = 'hyperband' AND passes IS NOT NULL GROUP BY task, model, r ORDER BY task, model, r"
if [ "$(sql -c "SELECT count(*) FROM hpo_bench.result WHERE method NOT LIKE 'hyperband%'")" = 0 ]; then
	goals "SELECT DISTINCT format('%s %s R=%s: beside scikit-learn, Optuna and PyTorch', task, model, r), '', '', NULL::boolean, 'no interpreter has them' FROM hpo_bench.result ORDER BY 1"
	exit 0
fi

"$python" "$here/hpo_goals.py" "$csv" "$busy_csv"
