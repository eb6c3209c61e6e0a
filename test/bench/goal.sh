# shellcheck shell=sh
# How a benchmark says whether a goal was met: one line of its standard output a goal,
#
#   GOAL|what was measured|the goal|the figure|met, missed or not measured|why
#
# after its tables.  test/bench/run leaves these lines out of the benchmark's section and makes of them all the
# table with which its report begins.  "Why" is what else was measured that explains a missed goal, such as the share
# of the time that each part took; it is empty where a goal was met.  goal.py is the same for benchmarks in Python.

# goal WHAT GOAL FIGURE met|missed|'not measured' [WHY]
goal() { printf 'GOAL|%s|%s|%s|%s|%s\n' "$1" "$2" "$3" "$4" "$([ "$4" = met ] || printf '%s' "${5:-}")"; }

# goal_most WHAT MOST FIGURE [UNIT [WHY]]: the figure may be MOST at most; an empty one was not measured.
goal_most()
{
	goal "$1" "at most $2${4:+ $4}" "${3:+$3${4:+ $4}}" "$(awk -v f="$3" -v g="$2" 'BEGIN { print (f == "" ? "not measured" : f + 0 <= g + 0 ? "met" : "missed") }')" "${5:-}"
}

# goal_least WHAT LEAST FIGURE [UNIT [WHY]]
goal_least()
{
	goal "$1" "at least $2${4:+ $4}" "${3:+$3${4:+ $4}}" "$(awk -v f="$3" -v g="$2" 'BEGIN { print (f == "" ? "not measured" : f + 0 >= g + 0 ? "met" : "missed") }')" "${5:-}"
}
