-- What samplers learn from in studies that others train: crashes count as the worst, and the order of tells does not matter.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA learning;
SET search_path = learning, public;
SELECT plan(25);

CREATE FUNCTION space() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"x": {"type": "float", "low": 0, "high": 1}}'::jsonb $$;
CREATE FUNCTION x(config jsonb) RETURNS float8 LANGUAGE sql AS $$ SELECT (config ->> 'x')::float8 $$;

-- Losses say nothing about x, but below 0.5 a trial crashes: at once, or late, on its way beyond resource 1.
CREATE FUNCTION cliff(config jsonb, resource int, late boolean) RETURNS float8 LANGUAGE sql AS $$
	SELECT CASE WHEN x(config) < 0.5 AND (resource > 1 OR NOT late) THEN 'NaN' ELSE mod((x(config) * 7919)::numeric, 1)::float8 END
$$;
CREATE FUNCTION crash(study bigint, late boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	a record;
BEGIN
	LOOP
		SELECT * INTO a FROM hyperband_ask(study);
		EXIT WHEN NOT FOUND;
		PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, cliff(a.config, a.to_resource, late));
	END LOOP;
	RETURN study;
END $$;
CREATE TABLE crashes AS SELECT sampler, late, crash(hyperband_create_study(space(), sampler, 'hyperband', 9, n_trials => 110, seed => seed), late) AS study
	FROM unnest(ARRAY['tpe', 'gp']) sampler, unnest(ARRAY[false, true]) late, generate_series(1, 3) seed;
-- A third of the trials is drawn at random, and half of these crash.
SELECT ok(avg((x(t.config) < 0.5)::int) < 0.4, format('%s: where trials crash%s, fewer are begun later on: %s of %s', c.sampler,
		CASE WHEN late THEN ' between two rungs' ELSE '' END, count(*) FILTER (WHERE x(t.config) < 0.5), count(*)))
	FROM crashes c JOIN hyperband.trial t ON t.study_id = c.study AND t.number > 50 GROUP BY c.sampler, c.late ORDER BY 1;

-- Trials are told one by one, or many are out and told from the last to the first, some before others are asked for.
CREATE FUNCTION loss(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$
	SELECT CASE WHEN x(config) > 0.9 THEN 'NaN' ELSE abs(x(config) - 0.3) + 1.0 / resource END
$$;
CREATE FUNCTION backwards(study bigint, most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	a record;
BEGIN
	CREATE TEMPORARY TABLE out (place serial, trial_id bigint, attempt int, config jsonb, to_resource int);
	LOOP
		INSERT INTO out (trial_id, attempt, config, to_resource) SELECT h.trial_id, h.attempt, h.config, h.to_resource FROM hyperband_ask(study, most) h;
		EXIT WHEN NOT EXISTS (SELECT FROM out);
		FOR a IN DELETE FROM out WHERE place IN (SELECT place FROM out ORDER BY place DESC LIMIT 3) RETURNING * LOOP
			PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, loss(a.config, a.to_resource));
		END LOOP;
	END LOOP;
	DROP TABLE out;
	RETURN study;
END $$;
CREATE FUNCTION forwards(study bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	a record;
BEGIN
	LOOP
		SELECT * INTO a FROM hyperband_ask(study);
		EXIT WHEN NOT FOUND;
		PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, loss(a.config, a.to_resource));
	END LOOP;
	RETURN study;
END $$;
CREATE TABLE orders AS SELECT sampler, scheduler, forwards(hyperband_create_study(space(), sampler, scheduler, 9, n_trials => 40, seed => 3)) AS one,
		backwards(hyperband_create_study(space(), sampler, scheduler, 9, n_trials => 40, seed => 3), 5) AS many,
		backwards(hyperband_create_study(space(), sampler, scheduler, 9, n_trials => 40, seed => 3), 50) AS all_at_once
	FROM unnest(ARRAY['tpe', 'gp']) sampler, unnest(ARRAY['full', 'halving', 'hyperband', 'racing']) scheduler;
CREATE FUNCTION configs(study bigint) RETURNS jsonb[] LANGUAGE sql AS $$ SELECT array_agg(config ORDER BY number) FROM hyperband.trial WHERE study_id = study $$;
SELECT ok(cardinality(configs(one)) = 40 AND (SELECT bool_and(state = 'done') FROM hyperband.study WHERE study_id IN (one, many, all_at_once)),
	format('%s x %s: one worker that asks for one at a time comes to the end, and so do many', sampler, scheduler)) FROM orders ORDER BY sampler, scheduler;
SELECT ok(configs(one) = configs(many) AND configs(one) = configs(all_at_once), format('%s x %s: the same proposals in whatever order results are told', sampler, scheduler))
	FROM orders ORDER BY sampler, scheduler;
SELECT ok(count(DISTINCT configs(one)) = 2, 'full learns from its batches: tpe and gp go different ways') FROM orders WHERE scheduler = 'full';

-- full draws eight, then waits for their results.
SELECT hyperband_create_study(space(), 'tpe', 'full', 9, n_trials => 20, seed => 3) AS study \gset
CREATE TABLE batch AS SELECT * FROM hyperband_ask(:study, 12);
SELECT is(count(*), 8::bigint, 'full hands out a batch of eight') FROM batch;
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'and nothing more before their results');
SELECT hyperband_tell(trial_id, attempt, 9, 0.5) FROM batch ORDER BY trial_id LIMIT 7 \g /dev/null
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'all of their results');
SELECT hyperband_tell(trial_id, attempt, 9, 'NaN') FROM batch ORDER BY trial_id DESC LIMIT 1 \g /dev/null
SELECT is(count(*), 8::bigint, 'then the next eight') FROM hyperband_ask(:study, 12);

SELECT * FROM finish();
