-- Search spaces: what is drawn, and that it is drawn from the seed, the trial and the parameter's name alone.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA search;
SET search_path = search, public;
CREATE TABLE points AS SELECT n AS id, n % 7 AS a, sin(n) AS b, sin(n) > n % 7 / 7.0 AS y FROM generate_series(1, 300) n;
CREATE TABLE runs (label text PRIMARY KEY, id bigint);
CREATE FUNCTION run(label text, space jsonb, trials int DEFAULT 60, seed bigint DEFAULT 1, model text DEFAULT 'mlp') RETURNS void LANGUAGE sql AS $$
	INSERT INTO runs SELECT label, hyperband_tune('points', 'y', model, space, features => ARRAY['a', 'b'], name => 'search',
		scheduler => 'full', max_resource => 1, n_trials => trials, seed => seed)
$$;
CREATE FUNCTION drawn(label text, parameter text) RETURNS TABLE (number int, value jsonb) LANGUAGE sql AS $$
	SELECT t.number, t.config -> parameter FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE r.label = $1 ORDER BY 1
$$;

SELECT run('types', '{"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": true}, "l2": {"type": "float", "low": 0, "high": 0.004, "step": 0.001},
	"units": {"type": "int", "low": 8, "high": 64, "log": true}, "layers": {"type": "int", "low": 1, "high": 3}, "dropout": [0, 0.1], "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
	"optimizer": {"type": "fixed", "value": "momentum"}, "batch_size": 64}', 120);
SELECT run('conditions', '{"optimizer": ["nesterov", "adam"], "momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"optimizer": "nesterov"}},
	"learning_rate": {"cases": [{"type": "float", "low": 0.01, "high": 0.1, "when": {"optimizer": "nesterov"}}, {"type": "float", "low": 0.0001, "high": 0.001, "when": {"optimizer": ["adam"]}}]}}');
SELECT run('optuna', '{"learning_rate": {"name": "FloatDistribution", "attributes": {"low": 0.001, "high": 0.1, "log": true, "step": null}},
	"units": {"name": "IntDistribution", "attributes": {"low": 8, "high": 64, "log": false, "step": 8}},
	"optimizer": {"name": "CategoricalDistribution", "attributes": {"choices": ["adam", "nesterov"]}}}');
SELECT run('alone', '{"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": true}}', 20);
SELECT run('other seed', '{"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": true}}', 20, 2);
SELECT run('default mlp', NULL, 40);
SELECT run('default linear', NULL, 20, 1, 'linear');
SELECT hyperband_wait(id, '2 minutes') FROM runs ORDER BY id \g /dev/null

SELECT plan(24);
SELECT results_eq('SELECT hyperband_wait(id) FROM runs', 'SELECT ''done'' FROM runs', 'all studies are done');
SELECT ok(bool_and(value::float8 BETWEEN 0.001 AND 0.1), 'log float: within its bounds') FROM drawn('types', 'learning_rate');
SELECT ok(count(*) FILTER (WHERE value::float8 < 0.01) BETWEEN 40 AND 80, 'log float: half of the draws below the geometric mean') FROM drawn('types', 'learning_rate');
SELECT set_eq($$SELECT round(1000 * value::numeric)::int FROM drawn('types', 'l2')$$, ARRAY[0, 1, 2, 3, 4], 'float with a step: its points, both bounds included');
SELECT ok(bool_and(value::numeric = trunc(value::numeric) AND value::int BETWEEN 8 AND 64), 'log int: whole, within its bounds') FROM drawn('types', 'units');
SELECT ok(count(*) FILTER (WHERE value::int < 23) BETWEEN 40 AND 80, 'log int: half of the draws below the geometric mean') FROM drawn('types', 'units');
SELECT set_eq($$SELECT value::int FROM drawn('types', 'layers')$$, ARRAY[1, 2, 3], 'int: every value, both bounds included');
SELECT set_eq($$SELECT value #>> '{}' FROM drawn('types', 'activation')$$, ARRAY['relu', 'tanh'], 'categorical: every choice');
SELECT set_eq($$SELECT value::float8 FROM drawn('types', 'dropout')$$, ARRAY[0, 0.1]::float8[], 'a list: every choice');
SELECT set_eq($$SELECT value #>> '{}' FROM drawn('types', 'optimizer')$$, ARRAY['momentum'], 'fixed');
SELECT set_eq($$SELECT value::int FROM drawn('types', 'batch_size')$$, ARRAY[64], 'a scalar is fixed');
SELECT is(count(DISTINCT value)::int, 120, 'no two trials draw the same') FROM drawn('types', 'learning_rate');

SELECT ok(bool_and((config ->> 'optimizer' = 'nesterov') = (config ? 'momentum')), 'a parameter whose condition fails is absent')
	FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE label = 'conditions';
SELECT ok(bool_and(CASE config ->> 'optimizer' WHEN 'adam' THEN (config -> 'learning_rate')::float8 <= 0.001 ELSE (config -> 'learning_rate')::float8 >= 0.01 END),
	'the first case that matches counts') FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE label = 'conditions';
SELECT is(count(DISTINCT config ->> 'optimizer')::int, 2, 'and both cases occur') FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE label = 'conditions';

SELECT set_eq($$SELECT value::int % 8 FROM drawn('optuna', 'units')$$, ARRAY[0], 'Optuna''s distributions: int with a step');
SELECT set_eq($$SELECT value #>> '{}' FROM drawn('optuna', 'optimizer')$$, ARRAY['adam', 'nesterov'], 'Optuna''s distributions: categorical');
SELECT results_eq($$SELECT value FROM drawn('optuna', 'learning_rate') LIMIT 20$$, $$SELECT value FROM drawn('alone', 'learning_rate')$$,
	'a further parameter leaves the values of the others as they were');
SELECT results_ne($$SELECT value FROM drawn('alone', 'learning_rate')$$, $$SELECT value FROM drawn('other seed', 'learning_rate')$$, 'another seed draws others');

SELECT ok(bool_and(m.model IS NOT NULL), 'the default spaces draw parameters that hyperband_models() lists')
	FROM hyperband.trial t JOIN runs r ON r.id = t.study_id JOIN hyperband.study s ON s.study_id = t.study_id CROSS JOIN jsonb_object_keys(t.config) k
	LEFT JOIN (SELECT DISTINCT model, parameter FROM hyperband_models()) m ON m.parameter = k AND m.model = s.model
	WHERE label LIKE 'default%';
SELECT ok(bool_and((config -> 'units')::int BETWEEN 32 AND 256 AND (config -> 'layers')::int BETWEEN 1 AND 3), 'the default space of mlp: units and layers')
	FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE label = 'default mlp';
SELECT is(count(DISTINCT config ->> 'optimizer')::int, 2, 'the default space of mlp: two optimizers') FROM hyperband.trial t JOIN runs r ON r.id = t.study_id WHERE label = 'default mlp';

-- Unknown parameters are named with a list of those there are.
CREATE FUNCTION hint_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE statement;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END $$;
SELECT matches(hint_of($$SELECT hyperband_tune('points', 'y', search_space => '{"lrr": 1}')$$), 'learning_rate', 'an unknown parameter: the hint lists those there are');
SELECT matches(hint_of($$SELECT hyperband_tune('points', 'y', model => 'forest')$$), 'mlp.*linear|linear.*mlp', 'an unknown model: the hint lists those there are');
SELECT * FROM finish();
