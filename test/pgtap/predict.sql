-- Predictions: one value however the row reaches the model; errors and NULLs on every way; parallel plans; permissions and
-- new versions in the middle of a session.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA prediction;
SET search_path = prediction, public;
SELECT plan(34);

CREATE DOMAIN weight AS real;
CREATE TABLE numbers AS SELECT n AS id, (n % 7)::smallint AS s, n * 37 % 1000 AS i, (n * 1000003::bigint % 100000) AS b,
	sin(n)::real AS r, -0.0::float8 + cos(n) AS d, CASE WHEN n % 100 = 0 THEN -1e6 ELSE exp(sin(n * 2)) END AS wide, sin(n) + cos(n) * (n % 7) AS y FROM generate_series(1, 3000) n;
UPDATE numbers SET d = -0.0, r = -0.0 WHERE id % 10 = 0;
CREATE TABLE gaps AS SELECT id, CASE WHEN id % 5 <> 0 THEN s END AS s, i, CASE WHEN id % 3 <> 0 THEN r END AS r, 'k' || id % 4 AS k, y FROM numbers;
CREATE TABLE started (id bigint);
INSERT INTO started
	SELECT hyperband_tune('numbers', 'y', model => m, name => m, features => '{s,i,b,r,d,wide}', scheduler => 'full', n_trials => 1, max_resource => 2,
		search_space => CASE m WHEN 'mlp' THEN '{"layers": 2, "units": 40, "units_2": 11, "activation": "sigmoid", "learning_rate": 0.003, "optimizer": "adam"}' ELSE '{"learning_rate": 0.01}' END::jsonb)
	FROM unnest(ARRAY['linear', 'mlp']) m;
INSERT INTO started
	SELECT hyperband_tune('gaps', 'y', name => 'gaps', features => '{s,i,r,k}', scheduler => 'full', n_trials => 1, max_resource => 1, search_space => '{"units": 40}');
SELECT hyperband_wait(id) FROM started \g /dev/null

-- Each of these is another way into the model: fixed places, Datums (text before the numbers, NULLs, domains), other orders, JSON.
CREATE VIEW ways AS SELECT m.name, n.id,
	hyperband_predict(m.name, n) AS straight,
	ARRAY[hyperband_predict(m.name, to_jsonb(n)), hyperband_predict(m.name, t), hyperband_predict(m.name, o), hyperband_predict(m.name, f),
		hyperband_predict(m.name, ROW(n.s, n.i, n.b, n.r, n.d, n.wide)), hyperband_predict(m.name, w), hyperband_predict(m.name, x)] AS others
	FROM unnest(ARRAY['linear', 'mlp']) m(name), numbers n
	JOIN (SELECT 'text first' AS a, * FROM numbers) t USING (id)
	JOIN (SELECT id, wide, r, d, s, b, i FROM numbers) o USING (id)
	JOIN (SELECT id, s, i::bigint AS i, b::float8 AS b, r::float8 AS r, d, wide FROM numbers) f USING (id)
	JOIN (SELECT id, s, i, b, r::weight AS r, d, wide FROM numbers) w USING (id)
	JOIN (SELECT id, NULL::int AS nothing, s, i, b, r, d, wide FROM numbers) x USING (id);
SELECT is(count(*), 6000::bigint, 'every row, both models') FROM ways;
SELECT ok(bool_and((straight = ALL (others)) IS TRUE), 'the same prediction on every way, bit for bit') FROM ways;
SELECT ok(stddev(straight) > 0.01, 'and not the same for every row') FROM ways WHERE name = 'mlp';
SELECT ok(bool_and((hyperband_predict('gaps', g) = hyperband_predict('gaps', to_jsonb(g))) IS TRUE), 'indicators of missing values on both ways') FROM gaps g;
SELECT ok(bool_or(hyperband_predict('gaps', ROW(s, i, r, k)) <> hyperband_predict('gaps', ROW(s, i, NULL::real, k))), 'a missing value is none that is there') FROM gaps WHERE r IS NOT NULL;
SELECT ok(bool_and((hyperband_predict('linear', ROW(1::int2, 2, 3::bigint, v, 0::float8, 2::float8)) = hyperband_predict('linear', ROW(1::int2, 2, 3::bigint, v::real, 0::float8, 2::float8))) IS TRUE),
	'a double that feeds a real is rounded first') FROM (SELECT sin(n) AS v FROM generate_series(1, 500) n) x;
SELECT ok(bool_and((hyperband_predict('mlp', n) = hyperband_predict('mlp', p.p)) IS TRUE), 'by position where no name is a feature''s')
	FROM numbers n JOIN (SELECT id, (SELECT v FROM (VALUES (s, i, b, r, d, wide)) v) AS p FROM numbers) p USING (id);
SELECT throws_ok($$SELECT hyperband_predict('mlp', p) FROM (SELECT wide, s, i, b, r AS renamed, d FROM numbers) p$$, '42703',
	'column "r" of the model is missing from the input', 'one renamed column: not by position, where all others would be mistaken');

-- Values that are errors are so on the straight way, too.
SELECT throws_ok($$SELECT hyperband_predict('mlp', ROW(1::int2, 2, 3::bigint, 'NaN'::real, 1::float8, 2::float8))$$, '22000', 'column "r" contains NaN or infinite values', 'NaN');
SELECT throws_ok($$SELECT hyperband_predict('mlp', ROW(1::int2, 2, 3::bigint, 1::real, '-Infinity'::float8, 2::float8))$$, '22000', 'column "d" contains NaN or infinite values', 'infinity');
SELECT throws_ok($$SELECT hyperband_predict('mlp', ROW(1::int2, 2, 3::bigint, 1::real, 1::float8, 1e39::float8))$$, '22003', 'value out of range in column "wide"', 'too large for a float');
SELECT ok(hyperband_predict('mlp', ROW(1::int2, 2, 3::bigint, 1::real, 1::float8, 1e38::float8)) IS NOT NULL, 'what fits is cut, not refused');
SELECT is(hyperband_predict('mlp', ROW(1::int2, 2, 3::bigint, 1::real, 1::float8, NULL::float8)),
	hyperband_predict('mlp', jsonb '{"s": 1, "i": 2, "b": 3, "r": 1, "d": 1, "wide": null}'), 'NULL where training had none');

-- A row type that changes in the session.
PREPARE changing AS SELECT sum(hyperband_predict('mlp', n)) FROM numbers n WHERE id < 100;
CREATE TEMP TABLE before AS EXECUTE changing;
ALTER TABLE numbers ADD COLUMN late int DEFAULT 5;
ALTER TABLE numbers ADD COLUMN gone int;
ALTER TABLE numbers DROP COLUMN gone;
SELECT results_eq('EXECUTE changing', 'TABLE before', 'a prepared statement outlives a change of its row type');
SELECT is(round(sum(hyperband_predict('mlp', n))::numeric, 6), round(sum(hyperband_predict('mlp', to_jsonb(n)))::numeric, 6), 'added and dropped columns do not matter') FROM numbers n;

-- Parallel plans.
SELECT results_eq($$SELECT DISTINCT proparallel::text FROM pg_proc WHERE proname IN ('hyperband_predict', 'hyperband_classify', 'hyperband_probabilities')$$, ARRAY['s'], 'PARALLEL SAFE');
CREATE TEMP TABLE alone AS SELECT count(*) AS n, sum(hyperband_predict('mlp', n)::numeric) AS total, min(hyperband_predict('linear', n)) AS least FROM numbers n;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off, ANALYZE, TIMING off, SUMMARY off, VERBOSE) ' || query; END $$;
CREATE TEMP TABLE plan AS SELECT plan_of('SELECT sum(hyperband_predict(''mlp'', n)::numeric) FROM prediction.numbers n') AS line;
SELECT ok(bool_or(line ~ 'Workers Launched: [12]') AND bool_or(line ~ 'Partial Aggregate'), 'predictions run in parallel workers') FROM plan;
SELECT results_eq($$SELECT count(*), sum(hyperband_predict('mlp', n)::numeric), min(hyperband_predict('linear', n)) FROM numbers n$$, $$SELECT n, total, least FROM alone$$, 'with the same result');
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'on', false) \g /dev/null
SELECT results_eq($$SELECT count(*), sum(hyperband_predict('mlp', n)::numeric), min(hyperband_predict('linear', n)) FROM numbers n$$, $$SELECT n, total, least FROM alone$$, 'also where the whole query runs in a worker');
SELECT set_config(CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END, 'off', false) \g /dev/null
SET max_parallel_workers_per_gather = 0;

-- One statement, kept by its call site: permissions and versions are looked at again.
CREATE ROLE prediction_reader;
GRANT USAGE ON SCHEMA prediction TO prediction_reader;
GRANT SELECT ON numbers TO prediction_reader;
CREATE FUNCTION predict_one(input numbers) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN hyperband_predict('mlp', input); END $$;
SELECT ok(predict_one(n) IS NOT NULL, 'the owner predicts') FROM numbers n LIMIT 1;
SET ROLE prediction_reader;
SELECT throws_ok('SELECT predict_one(n) FROM numbers n LIMIT 1', '42704', NULL, 'another role does not, from the same call site');
RESET ROLE;
SELECT hyperband_grant('mlp', 'prediction_reader') \g /dev/null
SET ROLE prediction_reader;
SELECT lives_ok('SELECT predict_one(n) FROM numbers n LIMIT 1', 'after a grant it does');
RESET ROLE;
SELECT hyperband_revoke('mlp', 'prediction_reader') \g /dev/null
SET ROLE prediction_reader;
SELECT throws_ok('SELECT predict_one(n) FROM numbers n LIMIT 1', '42704', NULL, 'and no longer once that is revoked');
RESET ROLE;
CREATE TEMP TABLE first AS SELECT predict_one(n) AS p FROM numbers n ORDER BY id LIMIT 1;
SELECT hyperband_tune('numbers', 'y', name => 'mlp', features => '{s,i,b,r,d,wide}', scheduler => 'full', n_trials => 1, max_resource => 1, search_space => '{"learning_rate": 1e-7}') AS study \gset
INSERT INTO started VALUES (:study);
SELECT hyperband_wait(:study) \g /dev/null
SELECT hyperband_promote('mlp', 2) \g /dev/null
SELECT isnt((SELECT predict_one(n) FROM numbers n ORDER BY id LIMIT 1), (SELECT p FROM first), 'a new version is noticed by the same call site');
SELECT is((SELECT predict_one(n) FROM numbers n ORDER BY id LIMIT 1), (SELECT hyperband_predict('mlp', n, 2) FROM numbers n ORDER BY id LIMIT 1), 'and is the one that counts');
SELECT hyperband_promote('mlp', 1) \g /dev/null
SELECT is((SELECT predict_one(n) FROM numbers n ORDER BY id LIMIT 1), (SELECT p FROM first), 'so is the way back');

-- ROW(...) names its columns f1, f2, ...; a model may have a feature of such a name in another place.
CREATE TABLE named AS SELECT n AS id, 7 AS f1, sin(n) AS f2, cos(n) AS f3, sin(n) * 3 + cos(n) AS y FROM generate_series(1, 500) n;
INSERT INTO started SELECT hyperband_tune('named', 'y', model => 'linear', name => 'named', features => '{f1,f2,f3}', scheduler => 'full', n_trials => 1, max_resource => 9, search_space => '{"learning_rate": 0.05}');
SELECT hyperband_wait(max(id)) FROM started \g /dev/null
SELECT is(features, ARRAY['f2', 'f3'], 'a constant column is no feature') FROM hyperband.model WHERE name = 'named';
SELECT ok(bool_and((hyperband_predict('named', ROW(n.f2, n.f3)) = hyperband_predict('named', n)) IS TRUE), 'an anonymous row goes by position, whatever its columns are called') FROM named n;

-- A missing array or bytea is the mean where training had none, as a missing number is; padding is no part of a char(n), however it comes.
CREATE TABLE vectors AS SELECT n AS id, ARRAY[100 + sin(n), 100 + cos(n)]::real[] AS v, decode(lpad(to_hex(n % 256), 2, '0'), 'hex') AS b, (CASE WHEN n % 2 = 0 THEN 'ab' ELSE 'cd' END)::char(4) AS c,
	100 + sin(n) + (n % 256) * 0.01 + n % 2 AS y FROM generate_series(1, 2048) n;
INSERT INTO started SELECT hyperband_tune('vectors', 'y', model => 'linear', name => 'vectors', features => '{v,b,c}', scheduler => 'full', n_trials => 1, max_resource => 9, search_space => '{"learning_rate": 0.03}');
SELECT hyperband_wait(max(id)) FROM started \g /dev/null
SELECT ok(abs(hyperband_predict('vectors', ROW(NULL::real[], '\x80'::bytea, 'ab'::char(4))) - hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'ab'::char(4)))) < 0.1
	AND abs(hyperband_predict('vectors', ROW('{100,100}'::real[], NULL::bytea, 'ab'::char(4))) - hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'ab'::char(4)))) < 0.1,
	'NULL arrays and bytea where training had none: the mean');
SELECT is(hyperband_predict('vectors', '{"v": null, "b": "\\x80", "c": "cd  "}'::jsonb), hyperband_predict('vectors', ROW(NULL::real[], '\x80'::bytea, 'cd  ')), 'the same from JSON, and from a literal');
SELECT is(hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'cd  ')), hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'cd'::char(4))), 'char(n): a literal with its padding');
SELECT isnt(hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'cd  ')), hyperband_predict('vectors', ROW('{100,100}'::real[], '\x80'::bytea, 'ab  ')), 'char(n): and it says something');
SELECT throws_ok($$SELECT hyperband_tune('vectors', 'y', options => '{"clip": 1e39}')$$, '22003', 'value of option "clip" is out of range', 'a clip that no float can be');
SELECT throws_ok($$SELECT hyperband_tune('vectors', 'y', options => '{"clip": 1e-50}')$$, '22003', 'value of option "clip" is out of range', 'or that would become 0');

SELECT * FROM finish();
SELECT hyperband_drop_model(m) FROM unnest(ARRAY['vectors', 'named']) m \g /dev/null
SELECT hyperband_drop(id) FROM started \g /dev/null
SELECT hyperband_drop_model(m) FROM unnest(ARRAY['linear', 'mlp', 'gaps']) m \g /dev/null
DROP SCHEMA prediction CASCADE;
DROP ROLE prediction_reader;
