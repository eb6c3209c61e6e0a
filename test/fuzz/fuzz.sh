#!/bin/bash
# test/fuzz/fuzz.sh [target]...: each libFuzzer target for HB_FUZZ_SECONDS (60), two at a time, with the seeds of test/fuzz/seeds.
#
# Prints TAP.  An input that breaks something is left in build/fuzz/TARGET.found/: keep it in test/fuzz/seeds/TARGET.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${HB_FUZZ_SECONDS:-60}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(space plan wire checkpoint)

# fuzz_one TARGET: leaves its log and its status beside the program.
fuzz_one()
{
	local target=$1 status=0
	mkdir -p "build/fuzz/$target.corpus" "build/fuzz/$target.found"
	ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
		"build/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
		-artifact_prefix="build/fuzz/$target.found/" -print_final_stats=1 "build/fuzz/$target.corpus" \
		"test/fuzz/seeds/$target" >"build/fuzz/$target.log" 2>&1 || status=$?
	echo "$status" >"build/fuzz/$target.status"
}

for ((i = 0; i < ${#targets[@]}; i += 2)); do
	for target in "${targets[@]:i:2}"; do fuzz_one "$target" & done
	wait
done

n=0
for target in "${targets[@]}"; do
	n=$((n + 1))
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$target.log")
	if [ "$(cat "build/fuzz/$target.status")" -eq 0 ] && [ "${runs:-0}" -gt $((seconds * 10)) ]; then
		echo "ok $n - $target: $runs inputs in $seconds s break nothing"
	else
		echo "not ok $n - $target"
		tail -n 40 "build/fuzz/$target.log" | sed 's/^/# /'
	fi
done
echo "1..$n"
