#!/bin/sh
# Every sampler x scheduler on benchmark functions, through hyperband_minimize.
#
#   test/bench/functions.sh [SEEDS [SAMPLERS]]     default: 5 random,grid,sobol,tpe,gp
#
# PG* variables name a running server with hyperband installed.
#
# Hartmann 3 and 6 and Branin with a fidelity z: Kandasamy, Dasarathy, Schneider, Poczos, "Multi-fidelity Bayesian
# Optimisation with Continuous Approximations", ICML 2017, appendix; counting ones with 8 categories and 8 means of
# Bernoulli draws: Falkner, Klein, Hutter, "BOHB", ICML 2018, section 5.1.  Prints, a function and combination, the
# trials, the full trainings spent (asha promotes as it goes: what it spends is not known beforehand), the regret
# (lower quartile, median, upper quartile), the average rank, and what was expected of it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
psql -XqAt -f "$here/functions.sql"
psql -XqAt -v ON_ERROR_STOP=1 -c "SET client_min_messages = warning" -c "CALL functions_bench.replay(${1:-5}, '{${2:-random,grid,sobol,tpe,gp}}')"
psql -Xq -v ON_ERROR_STOP=1 -P pager=off -P footer=off <<'SQL'
SELECT function, sampler, scheduler, count(*) AS seeds, avg(trials)::int AS trials, round(avg(spent)::numeric, 1) AS trainings,
	round((percentile_cont(0.25) WITHIN GROUP (ORDER BY regret))::numeric, 4) AS "25 %",
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY regret))::numeric, 4) AS median,
	round((percentile_cont(0.75) WITHIN GROUP (ORDER BY regret))::numeric, 4) AS "75 %"
FROM functions_bench.run GROUP BY 1, 2, 3 ORDER BY 1, 8;
CREATE VIEW functions_bench.mean AS SELECT sampler, scheduler, sampler || ' x ' || scheduler AS method, avg(rank) AS rank
FROM (SELECT *, rank() OVER w + (count(*) OVER (PARTITION BY function, seed, regret) - 1) / 2.0 AS rank FROM functions_bench.run
	WINDOW w AS (PARTITION BY function, seed ORDER BY regret)) r
GROUP BY 1, 2;
SELECT sampler, scheduler, round(rank, 2) AS "average rank" FROM functions_bench.mean ORDER BY rank;
CREATE VIEW functions_bench.expected AS
SELECT place, better, worse, a.rank <= b.rank AS met, format('%s and %s', round(a.rank, 2), round(b.rank, 2)) AS ranks
FROM (VALUES (1, 'random x hyperband', 'random x full'), (2, 'random x asha', 'random x full'), (3, 'tpe x full', 'random x full'), (4, 'gp x full', 'random x full'),
	(5, 'tpe x hyperband', 'random x hyperband'), (6, 'gp x hyperband', 'random x hyperband'), (7, 'sobol x full', 'random x full')) AS e(place, better, worse)
	JOIN functions_bench.mean a ON a.method = better JOIN functions_bench.mean b ON b.method = worse;
SQL
psql -XqAt -F '|' -v ON_ERROR_STOP=1 <<'SQL'
\echo Expected, by average rank
SELECT format('  %s %s at least as good as %s: %s', rpad(CASE WHEN met THEN 'met' ELSE 'not met' END, 8), better, worse, ranks)
FROM functions_bench.expected ORDER BY place;
WITH medians AS (SELECT function, sampler || ' x ' || scheduler AS method, percentile_cont(0.5) WITHIN GROUP (ORDER BY regret) AS regret FROM functions_bench.run GROUP BY 1, 2)
SELECT 'GOAL', better || ', average rank on benchmark functions', 'at least as good as ' || worse, ranks,
	CASE WHEN met THEN 'met' ELSE 'missed' END, CASE WHEN met THEN '' ELSE 'median regret higher on '
		|| coalesce((SELECT string_agg(m.function, ', ' ORDER BY m.function) FROM medians m JOIN medians o USING (function)
			WHERE m.method = better AND o.method = worse AND m.regret > o.regret), 'no function') END
FROM functions_bench.expected ORDER BY place;
SQL
psql -XqAt -c "SET client_min_messages = warning; DROP SCHEMA functions_bench CASCADE"
