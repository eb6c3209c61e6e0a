-- hyperband_models: what each family can be tuned by.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
BEGIN;
SELECT plan(12);

SELECT set_eq('SELECT DISTINCT model FROM hyperband_models()', ARRAY['linear', 'mlp'], 'two families');
SELECT ok(bool_and(description <> '' AND type IN ('float', 'int', 'categorical')), 'every parameter has a type and a description') FROM hyperband_models();
SELECT ok(bool_and(low <= high), 'ranges are ranges') FROM hyperband_models() WHERE low IS NOT NULL;
SELECT ok(bool_and(low > 0), 'what is drawn on a log scale is positive') FROM hyperband_models() WHERE log;
SELECT ok(bool_and(CASE WHEN type = 'categorical' OR low IS NULL THEN choices IS NOT NULL ELSE high IS NOT NULL END),
	'a number has a range or choices, a category has choices') FROM hyperband_models();

SELECT bag_has($$SELECT DISTINCT parameter FROM hyperband_models() WHERE model = 'linear'$$,
	$$VALUES ('learning_rate'), ('batch_size'), ('l2'), ('optimizer'), ('momentum'), ('schedule'), ('loss')$$, 'parameters of linear');
SELECT bag_has($$SELECT DISTINCT parameter FROM hyperband_models() WHERE model = 'mlp'$$,
	$$VALUES ('learning_rate'), ('batch_size'), ('l2'), ('optimizer'), ('momentum'), ('schedule'), ('layers'), ('units'), ('activation'), ('dropout')$$, 'parameters of mlp');
SELECT ok((SELECT jsonb_agg(DISTINCT c) @> '["nesterov", "adam"]' FROM hyperband_models(), jsonb_array_elements(choices) c WHERE model = 'mlp' AND parameter = 'optimizer'),
	'the default optimizers');
SELECT results_eq($$SELECT low, high, log FROM hyperband_models() WHERE model = 'mlp' AND parameter = 'learning_rate' AND condition @> '{"optimizer": ["adam"]}'$$,
	'VALUES (0.0001::float8, 0.02::float8, true)', 'the learning rate of adam has a range of its own');
SELECT results_eq($$SELECT low, high, log FROM hyperband_models() WHERE model = 'mlp' AND parameter = 'learning_rate' AND condition @> '{"optimizer": ["nesterov"]}'$$,
	'VALUES (0.001::float8, 0.3::float8, true)', 'so has that of nesterov');
SELECT results_eq($$SELECT DISTINCT low, high FROM hyperband_models() WHERE model = 'mlp' AND parameter = 'layers'$$, 'VALUES (1::float8, 3::float8)', 'one to three hidden layers');
SELECT results_eq($$SELECT DISTINCT low, high, log FROM hyperband_models() WHERE model = 'mlp' AND parameter = 'units'$$, 'VALUES (32::float8, 256::float8, true)', '32 to 256 units');

SELECT * FROM finish();
ROLLBACK;
