#!/usr/bin/env bash
# Test figures with the default search spaces: R = 27, seeds 1 to 5, median, each beside its goal.
#
#   test/bench/quality.sh DATA_FOLDER [TABLE ...]
#
# DATA_FOLDER holds load.sql and the tables it loads (schema real_shared).  Uses the server that the
# PG* variables name, as a superuser, with the extension installed; everything lives in the schema
# hyperband_quality of that database and is made anew.  Training rows are folds 0 to 7, test rows
# folds 8 and 9; no identifier, fold or origin column is trained on.  Fashion-MNIST: all 60,000
# training rows, the 10,000 test rows of the set, seed 1 alone.
set -euo pipefail

. "$(dirname "$0")/goal.sh"
data=${1:?usage: quality.sh DATA_FOLDER [TABLE ...]}
shift
wanted=${*:-adult adult_linear letter california_housing diamonds digits fashion_mnist}
seeds=${SEEDS:-1 2 3 4 5}
psql=(psql -X -q -A -t -v ON_ERROR_STOP=1)

run() { "${psql[@]}" "$@"; }

if [ "$(run -c "SELECT to_regclass('real_shared.adult') IS NULL")" = t ]; then
	run -v dir="$(cd "$data" && pwd)" -v skip_images=1 -v skip_big=1 -f "$data/load.sql" >/dev/null
fi
run <<'SQL' 2>/dev/null
CREATE EXTENSION IF NOT EXISTS hyperband;
DROP SCHEMA IF EXISTS hyperband_quality CASCADE;
CREATE SCHEMA hyperband_quality;
SQL

# split TABLE "COLUMNS TO LEAVE OUT": hyperband_quality.TABLE_train and TABLE_test
split() {
	run -v t="$1" -v drops="$2" <<'SQL'
SELECT format('CREATE TABLE hyperband_quality.%I AS SELECT %s FROM real_shared.%I WHERE fold %s',
			  :'t' || part, string_agg(quote_ident(attname), ', ' ORDER BY attnum), :'t', condition)
  FROM pg_attribute,
	   (VALUES ('_train', '< 8'), ('_test', '>= 8')) AS p(part, condition)
 WHERE attrelid = ('real_shared.' || quote_ident(:'t'))::regclass AND attnum > 0 AND NOT attisdropped
   AND attname <> ALL (string_to_array(:'drops', ' '))
 GROUP BY part, condition \gexec
SQL
}

fashion() {
	local dir
	dir=$(mktemp -d)
	chmod 755 "$dir"
	for n in train t10k; do
		zcat /usr/share/datasets/fashion-mnist/$n-images-idx3-ubyte.gz >"$dir/$n-images"
		zcat /usr/share/datasets/fashion-mnist/$n-labels-idx1-ubyte.gz >"$dir/$n-labels"
	done
	run -v dir="$dir" <<'SQL'
CREATE FUNCTION hyperband_quality.idx(images text, labels text, n int)
RETURNS TABLE (label smallint, pixels bytea) LANGUAGE sql AS $$
WITH f AS MATERIALIZED (SELECT pg_read_binary_file(images) AS img, pg_read_binary_file(labels) AS lab)
SELECT get_byte(lab, 8 + i)::smallint, substring(img FROM 17 + 784 * i FOR 784)
  FROM f, generate_series(0, n - 1) AS i $$;
\set i :dir '/train-images'
\set l :dir '/train-labels'
CREATE TABLE hyperband_quality.fashion_mnist_train AS SELECT * FROM hyperband_quality.idx(:'i', :'l', 60000);
\set i :dir '/t10k-images'
\set l :dir '/t10k-labels'
CREATE TABLE hyperband_quality.fashion_mnist_test AS SELECT * FROM hyperband_quality.idx(:'i', :'l', 10000);
SQL
	rm -rf "$dir"
}

# tune NAME TABLE TARGET MODEL SEED KIND: prints "test figure, validation loss, seconds"
tune() {
	local id began figure
	began=$(date +%s.%N)
	id=$(run -c "SELECT hyperband_tune('hyperband_quality.$2_train', '$3', model => '$4',
		name => 'quality $1 $5', seed => $5, max_resource => 27)" 2>/dev/null)
	run -c "SELECT hyperband_wait($id)" >/dev/null
	local seconds
	seconds=$(echo "$(date +%s.%N) $began" | awk '{printf "%.1f", $1 - $2}')
	if [ "$6" = error ]; then
		figure=$(run -c "SELECT avg((hyperband_classify('quality $1 $5', t) <> $3::text)::int)
			FROM hyperband_quality.$2_test AS t")
	else
		figure=$(run -c "SELECT sqrt(avg((hyperband_predict('quality $1 $5', t) - $3) ^ 2))
			FROM hyperband_quality.$2_test AS t")
	fi
	echo "$figure $(run -c "SELECT best_loss FROM hyperband.study WHERE study_id = $id") $seconds"
}

median() { printf '%s\n' "$@" | sort -g | awk '{ v[NR] = $1 } END { printf "%.4f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

# measure NAME TABLE TARGET MODEL KIND GOAL SEEDS
measure() {
	local figures=() losses=() line
	for seed in $7; do
		line=$(tune "$1" "$2" "$3" "$4" "$seed" "$5")
		set -- "$1" "$2" "$3" "$4" "$5" "$6" "$7"
		printf '  %s seed %s: test %s, validation loss %s, %s s\n' "$1" "$seed" $line
		figures+=("${line%% *}")
		losses+=("$(awk '{ print $2 }' <<<"$line")")
	done
	printf '%s\n' "${figures[@]}" | sort -g | awk -v name="$1" -v kind="$5" -v goal="$6" '
		{ v[NR] = $1 }
		END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2;
			printf "%-20s %-5s median %.4f  goal %s  %s\n", name, kind, m, goal, m <= goal ? "met" : "MISSED" }'
	goal_most "test $5 of $1, default search space, R = 27, median of ${#figures[@]} seeds" "$6" "$(median "${figures[@]}")" "" \
		"single seeds ${figures[*]}; validation loss, median $(median "${losses[@]}")"
}

echo "machine: $(nproc) cores, $(awk -F: '/model name/ {print $2; exit}' /proc/cpuinfo); $(run -c 'SHOW server_version')"
for table in $wanted; do
	case $table in
		adult) split adult "id fold orig_test"; measure adult adult income mlp error 0.147 "$seeds" ;;
		adult_linear)
			run -c "SELECT to_regclass('hyperband_quality.adult_train') IS NULL" | grep -q f || split adult "id fold orig_test"
			measure adult_linear adult income linear error 0.150 "$seeds" ;;
		letter) split letter "id fold"; measure letter letter lettr mlp error 0.045 "$seeds" ;;
		california_housing) split california_housing "id fold"
			measure california_housing california_housing median_house_value mlp rmse 53000 "$seeds" ;;
		diamonds) split diamonds "id fold"; measure diamonds diamonds price mlp rmse 590 "$seeds" ;;
		digits) split digits "id fold"; measure digits digits digit mlp error 0.03 "$seeds" ;;
		fashion_mnist) fashion; measure fashion_mnist fashion_mnist label mlp error 0.112 1 ;;
		*) echo "unknown table $table" >&2; exit 2 ;;
	esac
done
