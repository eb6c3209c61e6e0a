-- Bad input: each call fails with the right SQLSTATE and message, and writes nothing.  What only the data shows fails
-- the study, with the same SQLSTATE and message in the study and from hyperband_wait.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA bad;
SET search_path = bad, public;
SELECT plan(143);

-- Data.
CREATE TABLE good AS SELECT n AS id, n % 7 AS a, sin(n) AS b, 'c' || n % 3 AS c, n % 2 = 0 AS y, cos(n) AS r FROM generate_series(1, 200) n;
CREATE TABLE kinds AS SELECT *, '{}'::json AS j, '{}'::jsonb AS jb, '<x/>'::xml AS x, point '(0,0)' AS p FROM good;
CREATE TEMP TABLE temporary AS SELECT * FROM good;
CREATE MATERIALIZED VIEW unpopulated AS SELECT * FROM good WITH NO DATA;
CREATE SEQUENCE counter;
CREATE INDEX good_idx ON good (a);
CREATE TYPE composite AS (a int, y boolean);
CREATE ROLE reader;

-- rejects(arguments, SQLSTATE, message, label): hyperband_tune with these arguments.
CREATE FUNCTION rejects(arguments text, code text, message text, label text) RETURNS text LANGUAGE sql AS $$
	SELECT throws_ok('SELECT hyperband_tune(' || arguments || ')', code::char(5), message, label)
$$;
-- space(JSON, SQLSTATE, message, label): with this search space.
CREATE FUNCTION space(space text, code text, message text, label text) RETURNS text LANGUAGE sql AS $$
	SELECT rejects($x$'good', 'y', search_space => $x$ || quote_nullable(space) || '::jsonb', code, message, 'search space: ' || label)
$$;
-- failure(id): SQLSTATE and message with which a study failed, from hyperband_wait and as recorded.
CREATE FUNCTION failure(id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	raised text; detail text; state text;
BEGIN
	BEGIN
		RETURN 'ended: ' || hyperband_wait(id, '60 seconds');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		raised := concat_ws(' ', sqlstate, sqlerrm, nullif(detail, ''));
	END;
	SELECT concat_ws(' ', s.sqlstate, s.error, nullif(s.detail, '')) INTO state FROM hyperband.study s WHERE study_id = id;
	RETURN CASE WHEN state = raised THEN raised ELSE format('raised %s, recorded %s', raised, state) END;
END $$;

-- Arguments.
SELECT rejects($$NULL, 'y'$$, '22004', '"train_table" must not be null', 'train_table NULL');
SELECT rejects($$'good', NULL$$, '22004', '"target" must not be null', 'target NULL');
SELECT rejects($$'good', 'y', model => NULL$$, '22004', '"model" must not be null', 'model NULL');
SELECT rejects($$'good', 'y', eta => NULL$$, '22004', '"eta" must not be null', 'eta NULL');
SELECT rejects($$'missing', 'y'$$, '42P01', 'relation "missing" does not exist', 'table missing');
SELECT rejects($$4000000000::oid::regclass, 'y'$$, '42P01', NULL, 'no such oid');
SELECT rejects($$'good', 'z'$$, '42703', 'column "z" of relation "good" does not exist', 'target missing');
SELECT rejects($$'good', 'y', features => ARRAY['a', 'z']$$, '42703', 'column "z" of relation "good" does not exist', 'feature missing');
SELECT rejects($$'good', 'y', features => ARRAY['ctid']$$, '42703', NULL, 'system column');
SELECT rejects($$'good', 'y', features => ARRAY['a', 'b', 'a']$$, '42701', 'column "a" specified more than once', 'feature twice');
SELECT rejects($$'good', 'y', features => ARRAY['a', 'y']$$, '42701', 'column "y" specified more than once', 'target among the features');
SELECT rejects($$'good', 'y', features => ARRAY['a', NULL]$$, '22004', NULL, 'NULL among the features');
SELECT rejects($$'good', 'y', features => '{}'$$, '22023', NULL, 'no features');
SELECT rejects($$'temporary', 'y'$$, '0A000', 'cannot train on temporary table "temporary"', 'temporary table');
SELECT rejects($$'unpopulated', 'y'$$, '55000', 'materialized view "unpopulated" has not been populated', 'unpopulated materialized view');
SELECT rejects($$'good_idx', 'y'$$, '42809', '"good_idx" is not a table, view or materialized view', 'index');
SELECT rejects($$'counter', 'y'$$, '42809', '"counter" is not a table, view or materialized view', 'sequence');
SELECT rejects($$'composite', 'y'$$, '42809', '"composite" is not a table, view or materialized view', 'composite type');
SELECT rejects($$'kinds', 'y', features => ARRAY['a', 'j']$$, '42804', 'column "j" has type json, which cannot be used as a feature', 'json column');
SELECT rejects($$'kinds', 'y', features => ARRAY['a', 'jb']$$, '42804', 'column "jb" has type jsonb, which cannot be used as a feature', 'jsonb column');
SELECT rejects($$'kinds', 'y', features => ARRAY['a', 'x']$$, '42804', 'column "x" has type xml, which cannot be used as a feature', 'xml column');
SELECT rejects($$'kinds', 'y', features => ARRAY['a', 'p']$$, '42804', 'column "p" has type point, which cannot be used as a feature', 'point column');
SELECT rejects($$'kinds', 'j', features => ARRAY['a']$$, '42804', NULL, 'json target');
SELECT rejects($$'good', 'y', model => 'forest'$$, '22023', 'unrecognized model "forest"', 'unknown model');
SELECT rejects($$'good', 'y', metric => 'accuracy'$$, '22023', 'unrecognized metric "accuracy"', 'unknown metric');
SELECT rejects($$'good', 'y', metric => 'rmse'$$, '22023', NULL, 'a regression''s metric for a classification');
SELECT rejects($$'good', 'r', metric => 'auc'$$, '22023', NULL, 'a classification''s metric for a regression');
SELECT rejects($$'good', 'y', task => 'ranking'$$, '22023', 'unrecognized task "ranking"', 'unknown task');
SELECT rejects($$'good', 'c', task => 'regression'$$, '42804', NULL, 'regression of a text');
SELECT rejects($$'good', 'y', sampler => 'magic'$$, '22023', 'unrecognized sampler "magic"', 'unknown sampler');
SELECT rejects($$'good', 'y', scheduler => 'magic'$$, '22023', 'unrecognized scheduler "magic"', 'unknown scheduler');
SELECT rejects($$'good', 'y', resource => 'time'$$, '22023', 'unrecognized resource "time"', 'unknown resource');
SELECT rejects($$'good', 'y', resource => 'features'$$, '0A000', 'resource "features" is not supported', 'a resource that is yet to come');
SELECT rejects($$'good', 'y', device => 'tpu'$$, '22023', 'unrecognized device "tpu"', 'unknown device');
SELECT rejects($$'good', 'y', eta => 1$$, '22023', '"eta" must be at least 2', 'eta = 1');
SELECT rejects($$'good', 'y', max_resource => 0$$, '22023', NULL, 'max_resource = 0');
SELECT rejects($$'good', 'y', max_resource => 3, min_resource => 9$$, '22023', '"max_resource" must be at least "min_resource"', 'R < min');
SELECT rejects($$'good', 'y', n_trials => 0$$, '22023', NULL, 'n_trials = 0');
SELECT rejects($$'good', 'y', n_trials => -5$$, '22023', NULL, 'n_trials < 0');
SELECT rejects($$'good', 'y', trainers => 0$$, '22023', NULL, 'no trainers');
SELECT rejects($$'good', 'y', validation => 0$$, '22023', NULL, 'validation = 0');
SELECT rejects($$'good', 'y', validation => 1$$, '22023', NULL, 'validation = 1');
SELECT rejects($$'good', 'y', validation => 'NaN'$$, '22023', NULL, 'validation NaN');
SELECT rejects($$'good', 'y', time_limit => '0'$$, '22023', '"time_limit" must be positive', 'time_limit = 0');
SELECT rejects($$'good', 'y', time_limit => '-1 hour'$$, '22023', '"time_limit" must be positive', 'time_limit < 0');
SELECT rejects($$'good', 'y', time_limit => '1 month'$$, '22023', '"time_limit" must be positive', 'time_limit in months');
SELECT rejects($$'good', 'y', name => ''$$, '22023', NULL, 'empty name');
SELECT rejects($$'good', 'y', name => repeat('x', 256)$$, '42622', NULL, 'a name of 256 bytes');
SELECT rejects($$'good', 'y', max_resource => 2147483647, eta => 2$$, '22003', NULL, 'a study far too large');

-- Options.
SELECT rejects($$'good', 'y', options => '[]'$$, '22023', NULL, 'options not an object');
SELECT rejects($$'good', 'y', options => '{"maxrows": 3}'$$, '22023', 'unrecognized option "maxrows"', 'unknown option');
SELECT rejects($$'good', 'y', options => '{"weight_column": "a"}'$$, '0A000', NULL, 'an option that is yet to come');
SELECT rejects($$'good', 'y', options => '{"max_rows": -1}'$$, '22023', NULL, 'max_rows < 0');
SELECT rejects($$'good', 'y', options => '{"max_rows": "many"}'$$, '22023', NULL, 'max_rows not a number');
SELECT rejects($$'good', 'y', options => '{"clip": -1}'$$, '22023', NULL, 'clip < 0');
SELECT rejects($$'good', 'y', options => '{"test": 1.5}'$$, '22023', NULL, 'test > 1');
SELECT rejects($$'good', 'y', options => '{"strict": 1}'$$, '22023', NULL, 'strict not a boolean');
SELECT rejects($$'good', 'y', options => '{"precision": "low"}'$$, '22023', 'option "precision" must be "highest", "high" or "medium"', 'unknown precision');
SELECT rejects($$'good', 'y', options => '{"epochs": 5}'$$, '22023', 'option "epochs" cannot be used with resource "epochs"', 'epochs of epochs');
SELECT rejects($$'good', 'y', resource => 'rows', options => '{"epochs": 0}'$$, '22023', NULL, 'no epochs');
SELECT rejects($$'good', 'y', options => '{"warm_start": 0}'$$, '22023', NULL, 'a warm start from no study');
SELECT rejects($$'good', 'y', options => '{"warm_start": 4000000000}'$$, '42704', 'study 4000000000 does not exist', 'a warm start from a study that is not there');
SELECT rejects($$'good', 'y', options => '{"on_change": "ignore"}'$$, '22023', NULL, 'unknown on_change');

-- Search spaces.
SELECT space('{}', '22023', 'search space must be a non-empty JSON object', 'empty');
SELECT space('[]', '22023', 'search space must be a non-empty JSON object', 'an array');
SELECT space('3', '22023', 'search space must be a non-empty JSON object', 'a number');
SELECT space('null', '22023', 'search space must be a non-empty JSON object', 'JSON null');
SELECT space('{"lrr": 1}', '22023', 'unrecognized search space parameter "lrr"', 'unknown parameter');
SELECT space('{"learning_rate": {"type": "real", "low": 0, "high": 1}}', '22023', NULL, 'unknown type');
SELECT space('{"learning_rate": {"type": "float", "low": 0.1, "hihg": 1}}', '22023', NULL, 'unknown key');
SELECT space('{"learning_rate": {"type": "float", "low": 1, "high": 0}}', '22023', 'lower bound 1 of "learning_rate" is greater than upper bound 0', 'low > high');
SELECT space('{"learning_rate": {"type": "float", "low": 0, "high": 1, "log": true}}', '22023', 'bounds of log-scaled parameter "learning_rate" must be positive', 'log from 0');
SELECT space('{"learning_rate": {"type": "float", "low": 0.1, "high": 1, "log": true, "step": 0.1}}', '22023', NULL, 'log with a step');
SELECT space('{"learning_rate": {"type": "float", "low": 0.1}}', '22023', NULL, 'no upper bound');
SELECT space('{"learning_rate": {"type": "float", "low": "0.1", "high": 1}}', '22023', NULL, 'a bound that is a string');
SELECT space('{"learning_rate": {"type": "float", "low": 0.1, "high": 1e309}}', '22003', NULL, 'a bound beyond double precision');
SELECT space('{"learning_rate": -1}', '22023', NULL, 'a value that cannot be used');
SELECT space('{"learning_rate": "NaN"}', '22023', NULL, 'NaN as text');
SELECT space('{"units": {"type": "int", "low": 1.5, "high": 8}}', '22023', NULL, 'int with a fractional bound');
SELECT space('{"units": {"type": "int", "low": 1, "high": 1e30}}', '22003', NULL, 'int beyond int8');
SELECT space('{"units": {"type": "int", "low": 32, "high": 64, "log": true, "step": 2}}', '22023', NULL, 'log int with a step');
SELECT space('{"optimizer": []}', '22023', NULL, 'no choices');
SELECT space((SELECT jsonb_build_object('units', jsonb_agg(n)) FROM generate_series(1, 10001) n)::text, '54000', NULL, 'too many choices');
SELECT space('{"optimizer": ["adam", "lion"]}', '22023', NULL, 'a choice that the model does not know');
SELECT space('{"momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"optimiser": "adam"}}}', '22023', NULL, 'condition on an unknown parameter');
SELECT space('{"momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"learning_rate": 1}}, "learning_rate": {"type": "float", "low": 0.1, "high": 1}}', '22023', NULL, 'condition on a float');
SELECT space('{"layers": {"type": "int", "low": 1, "high": 2, "when": {"units": 64}}, "units": {"type": "int", "low": 32, "high": 64, "when": {"layers": 1}}}', '22023', NULL, 'a cycle');
SELECT space('{"learning_rate": {"cases": []}}', '22023', NULL, 'no cases');
SELECT space('{"learning_rate": {"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}}}', '22023', NULL, 'a distribution that Optuna no longer has');
CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END $$;
SELECT ok(sqlstate_of(format($$SELECT hyperband_tune('good', 'y', search_space => %L)$$,
	'{"learning_rate": ' || repeat('[', 3000) || '1' || repeat(']', 3000) || '}')) IN ('22023', '54001'), 'search space: nested 3000 deep');

-- Studies and models that are not there.
SELECT throws_ok('SELECT hyperband_wait(987654321)', '42704', 'study 987654321 does not exist', 'wait for no study');
SELECT throws_ok('SELECT hyperband_cancel(987654321)', '42704', 'study 987654321 does not exist', 'cancel no study');
SELECT throws_ok('SELECT hyperband_resume(987654321)', '42704', 'study 987654321 does not exist', 'resume no study');
SELECT throws_ok('SELECT hyperband_drop(987654321)', '42704', 'study 987654321 does not exist', 'drop no study');
SELECT throws_ok('SELECT hyperband_wait(NULL)', '22004', '"study" must not be null', 'wait for NULL');
SELECT throws_ok($$SELECT hyperband_predict('churn', ROW(1))$$, '42704', 'model "churn" does not exist', 'predict with no model');
SELECT throws_ok($$SELECT hyperband_promote('churn', 1)$$, '42704', NULL, 'promote no model');
SELECT throws_ok($$SELECT hyperband_drop_model('churn')$$, '42704', NULL, 'drop no model');
SELECT throws_ok($$SELECT hyperband_grant('churn', 'reader')$$, '42704', NULL, 'grant no model');
SELECT throws_ok($t$DO $d$ BEGIN PERFORM hyperband_tune('good', 'y', name => 'churn'); PERFORM hyperband_predict('churn', ROW(1)); END $d$ $t$,
	'55000', 'model "churn" has no finished version', 'predict before the study is done');

-- Nothing of all that left anything behind.
SELECT is((SELECT count(*)::int FROM hyperband.study WHERE relation LIKE 'bad.%'), 0, 'no rejected call left a study');

-- What only the data shows.  Every study is made first, since they run while others are checked.
CREATE TABLE nan_column AS SELECT *, CASE WHEN id = 7 THEN 'NaN'::float8 ELSE id END AS c2 FROM good;
CREATE TABLE infinite AS SELECT *, CASE WHEN id = 7 THEN '-Infinity'::float4 ELSE id END AS c2 FROM good;
CREATE TABLE nan_target AS SELECT *, CASE WHEN id = 7 THEN 'NaN'::float8 ELSE id END AS t FROM good;
CREATE TABLE beyond AS SELECT *, ARRAY[CASE WHEN id = 7 THEN 1e300 ELSE id END]::float8[] AS c2 FROM good;
CREATE TABLE ragged AS SELECT *, CASE WHEN id = 7 THEN ARRAY[1, 2, 3] ELSE ARRAY[1, 2, 3, id] END AS c2 FROM good;
CREATE TABLE holes AS SELECT *, CASE WHEN id = 7 THEN ARRAY[1, NULL] ELSE ARRAY[1, id] END AS c2 FROM good;
CREATE TABLE matrix AS SELECT *, CASE WHEN id = 7 THEN ARRAY[[1, 2], [3, 4]] ELSE ARRAY[[1, 2], [3, id]] END AS c2 FROM good;
CREATE TABLE ragged_bytes AS SELECT *, CASE WHEN id = 7 THEN '\x0102'::bytea ELSE '\x010203'::bytea END AS c2 FROM good;
CREATE TABLE empty AS SELECT * FROM good WHERE false;
CREATE TABLE few AS SELECT * FROM good LIMIT 1;
CREATE TABLE no_target AS SELECT id, a, b, NULL::boolean AS y FROM good;
CREATE TABLE one_class AS SELECT id, a, b, true AS y FROM good;
CREATE TABLE wide AS SELECT id, array_fill(id, ARRAY[17000])::int[] AS c2, y FROM good LIMIT 40;
CREATE TABLE levels AS SELECT n AS id, 'level ' || n AS c2, n % 2 = 0 AS y FROM generate_series(1, 1500) n;
CREATE TABLE many_classes AS SELECT n AS id, n % 7 AS a, 'class ' || n AS y FROM generate_series(1, 3000) n;
CREATE TABLE constants AS SELECT 1 AS a, 'x' AS b, y FROM good;
CREATE TABLE failing (label text, id bigint, expected text);
INSERT INTO failing SELECT 'NaN in a feature', hyperband_tune('nan_column', 'y', features => ARRAY['c2'], max_resource => 1), '22000 column "c2" contains NaN or infinite values%';
INSERT INTO failing SELECT 'infinity in a feature', hyperband_tune('infinite', 'y', features => ARRAY['c2'], max_resource => 1), '22000 column "c2" contains NaN or infinite values%';
INSERT INTO failing SELECT 'NaN in the target', hyperband_tune('nan_target', 't', features => ARRAY['a'], max_resource => 1), '22000 column "t" contains NaN or infinite values%';
INSERT INTO failing SELECT 'beyond float4', hyperband_tune('beyond', 'y', features => ARRAY['c2'], max_resource => 1), '22003 value out of range in column "c2"%';
INSERT INTO failing SELECT 'arrays of unequal length', hyperband_tune('ragged', 'y', features => ARRAY['c2'], max_resource => 1), '22000 arrays in column "c2" have different lengths Expected %, found %.';
INSERT INTO failing SELECT 'a NULL element', hyperband_tune('holes', 'y', features => ARRAY['c2'], max_resource => 1), '22000 %"c2"%';
INSERT INTO failing SELECT 'two dimensions', hyperband_tune('matrix', 'y', features => ARRAY['c2'], max_resource => 1), '22000 %"c2"%';
INSERT INTO failing SELECT 'bytea of unequal length', hyperband_tune('ragged_bytes', 'y', features => ARRAY['c2'], max_resource => 1), '22000 %"c2"%';
INSERT INTO failing SELECT 'an empty table', hyperband_tune('empty', 'y', features => ARRAY['a'], max_resource => 1), '22000 not enough rows to train Found 0, need at least 20.';
INSERT INTO failing SELECT 'one row', hyperband_tune('few', 'y', features => ARRAY['a'], max_resource => 1), '22000 not enough rows to train Found 1, need at least 20.';
INSERT INTO failing SELECT 'no row with a target', hyperband_tune('no_target', 'y', features => ARRAY['a'], max_resource => 1), '22000 not enough rows to train Found 0, need at least 20.';
INSERT INTO failing SELECT 'one class', hyperband_tune('one_class', 'y', features => ARRAY['a', 'b'], max_resource => 1), '22000 label column "y" has only one class%';
INSERT INTO failing SELECT 'every class on a single row', hyperband_tune('many_classes', 'y', features => ARRAY['id'], max_resource => 1), '22000 not enough rows to validate Classes of column "y" that have a single row: 3000.';
INSERT INTO failing SELECT 'too many inputs', hyperband_tune('wide', 'y', features => ARRAY['c2'], max_resource => 1), '54000 too many features%';
INSERT INTO failing SELECT 'too many levels, strict', hyperband_tune('levels', 'y', features => ARRAY['c2'], max_resource => 1, options => '{"strict": true}'), '54000 column "c2" has more than 1000 distinct values%';
INSERT INTO failing SELECT 'only constant columns', hyperband_tune('constants', 'y', max_resource => 1), '22000 %';
INSERT INTO failing SELECT 'every trial diverges', hyperband_tune('good', 'r', features => ARRAY['a', 'b'], max_resource => 3, search_space => '{"optimizer": "sgd", "learning_rate": 1000}'), '22000 all trials diverged%';
SELECT alike(failure(id), expected, 'from the data: ' || label) FROM failing ORDER BY id;
SELECT is((SELECT count(*)::int FROM hyperband.model JOIN failing f ON f.id = study_id WHERE f.expected NOT LIKE 'ended%'), 0, 'no failed study left a model');
SELECT throws_ok($$SELECT hyperband_tune('good', 'r', model => 'linear', search_space => '{"loss": "hinge"}')$$, '22023', NULL, 'hinge loss for a regression');
SELECT throws_ok($$SELECT hyperband_tune('good', 'y', model => 'linear', metric => 'log_loss', search_space => '{"loss": "hinge"}')$$, '22023', NULL, 'log loss of hinge');

-- What is unusual but allowed.
CREATE TABLE allowed (label text, id bigint);
INSERT INTO allowed SELECT 'low = high', hyperband_tune('good', 'y', max_resource => 1, search_space => '{"learning_rate": {"type": "float", "low": 0.01, "high": 0.01}}', name => 'allowed');
INSERT INTO allowed SELECT 'seed NULL', hyperband_tune('good', 'y', max_resource => 1, seed => NULL, name => 'allowed');
INSERT INTO allowed SELECT 'seed negative', hyperband_tune('good', 'y', max_resource => 1, seed => -9223372036854775808, name => 'allowed');
INSERT INTO allowed SELECT 'a time limit beyond every timestamp', hyperband_tune('good', 'y', max_resource => 1, time_limit => '2147483647 days', name => 'allowed');
INSERT INTO allowed SELECT 'many levels', hyperband_tune('levels', 'y', features => ARRAY['c2'], max_resource => 1, name => 'allowed');
INSERT INTO allowed SELECT 'a system catalog', hyperband_tune('pg_attribute', 'attnotnull', features => ARRAY['attlen', 'attnum', 'attbyval'], max_resource => 1, name => 'allowed');
INSERT INTO allowed SELECT 'a name with quotes', hyperband_tune('good', 'y', max_resource => 1, name => $$it's "odd"; %s$$);
INSERT INTO allowed SELECT 'a name of 255 bytes', hyperband_tune('good', 'y', max_resource => 1, name => repeat('x', 255));
SELECT is(hyperband_wait(id, '60 seconds'), 'done', 'allowed: ' || label) FROM allowed ORDER BY id;
SELECT isnt((SELECT seed FROM hyperband.study JOIN allowed a ON a.id = study_id WHERE a.label = 'seed NULL'), NULL, 'the seed that was drawn is recorded');

-- Predictions.
SELECT hyperband_wait(id) FROM allowed \g /dev/null
CREATE TABLE three AS SELECT id, a, b, c FROM good;
SELECT hyperband_tune('three', 'c', features => ARRAY['a', 'b'], max_resource => 1, name => 'three') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
SELECT hyperband_tune('good', 'r', features => ARRAY['a', 'b'], max_resource => 1, name => 'number') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
SELECT hyperband_tune('good', 'y', features => ARRAY['a', 'b'], model => 'linear', max_resource => 1, name => 'hinge', search_space => '{"loss": "hinge"}') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
SELECT throws_ok($$SELECT hyperband_predict('three', g) FROM good g$$, '22023', NULL, 'predict with three classes');
SELECT lives_ok($$SELECT hyperband_probabilities('three', g) FROM good g$$, 'but probabilities');
SELECT throws_ok($$SELECT hyperband_classify('number', g) FROM good g$$, '22023', NULL, 'classify with a regression');
SELECT throws_ok($$SELECT hyperband_probabilities('number', g) FROM good g$$, '22023', NULL, 'probabilities of a regression');
SELECT throws_ok($$SELECT hyperband_predict('hinge', g) FROM good g$$, '22023', NULL, 'predict with hinge loss');
SELECT lives_ok($$SELECT hyperband_classify('hinge', g) FROM good g$$, 'but classify');
SELECT throws_ok($$SELECT hyperband_predict('number', ROW(1, 2, 3))$$, '42703', NULL, 'a row of another length without the names');
SELECT throws_ok($$SELECT hyperband_predict('number', '{"a": 1}'::jsonb)$$, '42703', NULL, 'JSON without a feature');
SELECT throws_ok($$SELECT hyperband_predict('number', '[1]'::jsonb)$$, '22023', NULL, 'JSON that is no object');
SELECT is(hyperband_predict('number', NULL::good), NULL, 'a NULL row predicts NULL');
SELECT is(hyperband_predict('number', NULL::jsonb), NULL, 'NULL jsonb predicts NULL');
SELECT throws_ok($$SELECT hyperband_predict('number', g, 99) FROM good g$$, '42704', 'version 99 of model "number" does not exist', 'a version that is not there');
SELECT throws_ok($$SELECT hyperband_predict(NULL, g) FROM good g$$, '22004', NULL, 'no name');

SELECT * FROM finish();
