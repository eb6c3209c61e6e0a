-- hyperband_plan: bracket arithmetic, in integers.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
BEGIN;
SELECT plan(37);

-- A plan as one line: trials·resource of each rung, brackets divided by slashes.
CREATE FUNCTION pg_temp.line(max_resource int, eta int DEFAULT 3, min_resource int DEFAULT 1, scheduler text DEFAULT 'hyperband',
							 n_trials int DEFAULT NULL, options jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(rungs, ' / ' ORDER BY first) FROM (
		SELECT min(ordinality) AS first, string_agg(trials || '·' || resource, ' ' ORDER BY rung) AS rungs
		FROM hyperband_plan($1, $2, $3, $4, $5, $6) WITH ORDINALITY GROUP BY bracket) b
$$;

SELECT is(pg_temp.line(81), '81·1 27·3 9·9 3·27 1·81 / 27·3 9·9 3·27 1·81 / 9·9 3·27 1·81 / 6·27 2·81 / 5·81', 'R = 81, eta = 3');
SELECT is(pg_temp.line(27), '27·1 9·3 3·9 1·27 / 9·3 3·9 1·27 / 6·9 2·27 / 4·27', 'R = 27');
SELECT is(pg_temp.line(243),
	'243·1 81·3 27·9 9·27 3·81 1·243 / 81·3 27·9 9·27 3·81 1·243 / 27·9 9·27 3·81 1·243 / 18·27 6·81 2·243 / 9·81 3·243 / 6·243',
	'R = 243: six brackets, which logarithms in doubles miss');
SELECT is(pg_temp.line(100, 10), '100·1 10·10 1·100 / 10·10 1·100 / 3·100', 'R = 100, eta = 10');
SELECT is(pg_temp.line(300, 4),
	'256·1 64·4 16·18 4·75 1·300 / 64·4 16·18 4·75 1·300 / 16·18 4·75 1·300 / 8·75 2·300 / 5·300', 'R = 300, eta = 4');
SELECT is(pg_temp.line(1), '1·1', 'R = 1: one trial');
SELECT is(pg_temp.line(2), '1·2', 'R = 2 < eta: one bracket');
SELECT is(pg_temp.line(2, 2), '2·1 1·2 / 2·2', 'R = 2, eta = 2');
SELECT is(pg_temp.line(81, 3, 9), '9·9 3·27 1·81 / 3·27 1·81 / 3·81', 'min_resource = 9');
SELECT is(pg_temp.line(81, 3, 81), '1·81', 'min_resource = R');
SELECT is(pg_temp.line(81, 3, 10), '3·27 1·81 / 2·81', 'min_resource = 10 allows one cut only');
SELECT is(pg_temp.line(81, options => '{"rounding": "ceil"}'),
	'81·1 27·3 9·9 3·27 1·81 / 34·3 11·9 3·27 1·81 / 15·9 5·27 1·81 / 8·27 2·81 / 5·81', 'rounding ceil: Algorithm 1 of the paper');
SELECT is(pg_temp.line(81, scheduler => 'full'), '17·81', 'full: as many trials as the Hyperband plan pays for');
SELECT is(pg_temp.line(27, scheduler => 'full', n_trials => 3), '3·27', 'full, 3 trials');
SELECT is((SELECT sum(trials)::int FROM hyperband_plan(81) WHERE rung = 0), 128, '128 configurations at R = 81');
SELECT is((SELECT sum(trials)::int FROM hyperband_plan(27, n_trials => 100) WHERE rung = 0), 100, 'n_trials larger than the plan repeats it');
SELECT is((SELECT array_agg(DISTINCT bracket ORDER BY bracket) FROM hyperband_plan(27, n_trials => 92)),
	ARRAY[0,1,2,3,4,5,6,7], 'the repetition has bracket numbers of its own');
SELECT is(pg_temp.line(27, n_trials => 30), '27·1 9·3 3·9 1·27 / 3·3 1·9 1·27', 'n_trials smaller takes the leading brackets, the last one cut');
SELECT results_eq('SELECT * FROM hyperband_plan(3)', 'VALUES (1, 0, 3, 1), (1, 1, 1, 3), (0, 0, 2, 3)', 'the columns: bracket, rung, trials, resource');

SELECT is(pg_temp.line(81, scheduler => 'halving', n_trials => 9), '9·9 3·27 1·81', 'halving, 9 trials: from the resource that leads to R');
SELECT is(pg_temp.line(81, scheduler => 'halving'), '81·1 27·3 9·9 3·27 1·81', 'halving: the largest bracket');
SELECT is(pg_temp.line(9, scheduler => 'asha'), '15·1 5·3 1·9', 'asha: as many trials as Hyperband has');
SELECT is(pg_temp.line(5, scheduler => 'racing', n_trials => 4), '4·1 4·2 4·3 4·4 4·5', 'racing: a rung for every pull');
SELECT is(pg_temp.line(NULL, 2, n_trials => 22), '2·1 / 2·2 / 4·1 2·3 / 2·4 / 4·2 2·6 / 2·8 / 6·1 3·3 1·8', 'infinite horizon: round by round');
SELECT is((SELECT sum(trials)::int FROM hyperband_plan(NULL, 2, n_trials => 1000) WHERE rung = 0), 1000, 'infinite horizon: up to n_trials');

SELECT throws_ok('SELECT * FROM hyperband_plan(27, 1)', '22023', '"eta" must be at least 2', 'eta = 1');
SELECT throws_ok('SELECT * FROM hyperband_plan(27, -3)', '22023', '"eta" must be at least 2', 'eta < 0');
SELECT throws_ok('SELECT * FROM hyperband_plan(0)', '22023', NULL, 'R = 0');
SELECT throws_ok('SELECT * FROM hyperband_plan(9, 3, 27)', '22023', '"max_resource" must be at least "min_resource"', 'R < min');
SELECT throws_ok('SELECT * FROM hyperband_plan(9, 3, 0)', '22023', NULL, 'min = 0');
SELECT throws_ok('SELECT * FROM hyperband_plan(9, n_trials => 0)', '22023', NULL, 'no trials');
SELECT throws_ok('SELECT * FROM hyperband_plan(NULL, 2)', '22023', '"n_trials" must be given where "max_resource" is null', 'an infinite horizon without an end');
SELECT throws_ok('SELECT * FROM hyperband_plan(NULL, n_trials => 9)', '22023', '"eta" must be 2 for an infinite horizon', 'an infinite horizon with eta = 3');
SELECT throws_ok($$SELECT * FROM hyperband_plan(NULL, 2, scheduler => 'halving', n_trials => 9)$$, '0A000', 'scheduler "halving" does not support an infinite horizon', 'an infinite horizon of another scheduler');
SELECT throws_ok($$SELECT * FROM hyperband_plan(9, scheduler => 'fastest')$$, '22023', 'unrecognized scheduler "fastest"', 'unknown scheduler');
SELECT throws_ok($$SELECT * FROM hyperband_plan(9, options => '{"rounding": "up"}')$$, '22023', NULL, 'unknown rounding');
SELECT throws_ok($$SELECT * FROM hyperband_plan(9, options => '{"roundin": "ceil"}')$$, '22023', NULL, 'unknown option');

SELECT * FROM finish();
ROLLBACK;
