-- The database that sqlsmith works on: studies that are done, cancelled and open, models of two owners, a table of arguments
-- that lead into the functions, and a pg_proc of sqlsmith's own in which they are not lost among the server's 3,000.
--
-- sqlsmith reads pg_proc by its bare name, and its role finds schema smith before pg_catalog.  It calls no function that
-- returns a set or a row: those have wrappers.
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION hyperband;
CREATE ROLE smith LOGIN;
CREATE ROLE other LOGIN;
CREATE SCHEMA smith;
GRANT USAGE ON SCHEMA smith, hyperband TO smith, other;

CREATE TABLE points AS SELECT n AS id, n % 7 AS a, sin(n) AS b, 'c' || n % 3 AS c, n % 2 = 0 AS y, cos(n) AS r,
	CASE n % 3 WHEN 0 THEN 'low' WHEN 1 THEN 'middle' ELSE 'high' END AS class FROM generate_series(1, 60) n;
CREATE TABLE gaps AS SELECT id, CASE WHEN id % 4 > 0 THEN a END AS a, b::real AS b, c, y FROM points;
CREATE VIEW points_view AS SELECT * FROM points WHERE id > 40;
CREATE FUNCTION objective(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT (config ->> 'x')::float8 / resource $$;
GRANT ALL ON points, gaps, points_view TO smith;
GRANT SELECT ON points TO other;

-- Studies start at COMMIT, so they are made and waited for one by one.
CREATE PROCEDURE prepare(owner name) LANGUAGE plpgsql AS $$
DECLARE
	call text;
	study bigint;
	answer text;
BEGIN
	EXECUTE format('SET SESSION AUTHORIZATION %I', owner);
	FOREACH call IN ARRAY ARRAY[
		$q$hyperband_tune('points', 'y', features => '{a,b,c}', max_resource => 3, name => $1 || '_label')$q$,
		$q$hyperband_tune('points', 'r', features => '{a,b,c}', max_resource => 3, model => 'linear', name => $1 || '_number')$q$,
		$q$hyperband_tune('points', 'class', features => '{a,b}', max_resource => 3, sampler => 'tpe', name => $1 || '_class')$q$,
		$q$hyperband_minimize('objective(jsonb, int)', '{"x": {"type": "float", "low": 0, "high": 1}}', max_resource => 9)$q$]
	LOOP
		EXECUTE 'SELECT ' || call INTO study USING owner;
		COMMIT;
		answer := hyperband_wait(study, '2 minutes');
		COMMIT;
		IF answer NOT LIKE 'done%' AND answer NOT LIKE 'completed%' THEN
			RAISE EXCEPTION 'study % of % ended so: %', study, owner, answer;
		END IF;
	END LOOP;
	study := hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}, "k": ["a", "b"]}', max_resource => 9);
	PERFORM hyperband_ask(study, 4);
	COMMIT;
	study := hyperband_create_study('{"x": [1, 2, 3]}', max_resource => 3);
	PERFORM hyperband_ask(study, 1);
	PERFORM hyperband_cancel(study);
	COMMIT;
	RESET SESSION AUTHORIZATION;
END $$;
CALL prepare('smith');
CALL prepare('other');
SET SESSION AUTHORIZATION other;
SELECT hyperband_grant('other_label', 'smith') \g /dev/null
RESET SESSION AUTHORIZATION;

-- Arguments: a row has one of each type, so that a reference to a column is a value that some function knows.
CREATE TABLE arguments (model text, word text, target name, features name[], study bigint, trial bigint, attempt int, small int, huge int,
	x float8, space jsonb, options jsonb, input jsonb, relation regclass, objective regprocedure, role regrole, long interval, short interval, yes boolean);
INSERT INTO arguments SELECT
	(ARRAY['smith_label', 'smith_number', 'smith_class', 'other_label', 'other_number', 'missing', '', NULL])[1 + n % 8],
	(ARRAY['mlp', 'linear', 'random', 'grid', 'sobol', 'tpe', 'gp', 'hyperband', 'full', 'halving', 'asha', 'epochs', 'rows', 'folds', 'error', 'auc',
		'rmse', 'r2', 'classification', 'regression', 'minimize', 'maximize', 'cpu', 'auto', 'cuda', 'racing', repeat('x', 300), NULL])[1 + n % 28],
	(ARRAY['y', 'r', 'class', 'c', 'id', 'missing', NULL])[1 + n % 7],
	(ARRAY['{a,b,c}', '{a,b}', '{a}', '{}', '{a,a}', '{y}', '{missing}', '{NULL}', NULL])[1 + n % 9]::name[],
	s.id, t.id, n % 3, (ARRAY[1, 2, 3, 9, 27, 81, 0, -1, NULL])[1 + n % 9], (ARRAY[65536, 2147483647, -2147483648, 1000000])[1 + n % 4],
	(ARRAY[0.2, 0.5, 0, -0.0, 'NaN', 'Infinity', '-Infinity', 1e308, 5e-324, NULL])[1 + n % 10],
	(ARRAY['{"learning_rate": 0.01}', '{"units": [8, 16], "optimizer": ["adam", "sgd"]}', '{"x": {"type": "float", "low": 0, "high": 1}}',
		'{"x": {"type": "int", "low": 1, "high": 100, "log": true}}', '{"x": [1, 2, "3", null]}', '{}', '[]', 'null', '{"x": {"type": "float", "low": 1, "high": 0}}', NULL])[1 + n % 10]::jsonb,
	(ARRAY['{}', '{"max_rows": 50}', '{"test": 0.2}', '{"strict": true}', '{"rounding": "ceil"}', '{"lease": "1 minute"}', '{"curve_points": 3}', '{"unknown": 1}', '3', NULL])[1 + n % 10]::jsonb,
	(ARRAY['{"a": 1, "b": 0.5, "c": "c1"}', '{"a": 1, "b": 0.5}', '{"a": null, "b": null, "c": null}', '{"a": "x"}', '{"b": 1e300, "a": -1e300, "c": ""}', '[1, 2, 3]', 'null', '{}', NULL])[1 + n % 9]::jsonb,
	(ARRAY['points', 'gaps', 'points_view', 'hyperband.study', 'pg_class', 'arguments', NULL])[1 + n % 7]::regclass,
	(ARRAY['objective(jsonb, int)', 'pg_sleep(float8)', 'hyperband_cancel(bigint)', NULL])[1 + n % 4]::regprocedure,
	(ARRAY['smith', 'other', 'postgres', NULL])[1 + n % 4]::regrole,
	(ARRAY['1 hour', '10 minutes', '-1 day', '178000000 years', NULL])[1 + n % 5]::interval, (ARRAY['0', '1 ms', '5 ms', '20 ms'])[1 + n % 4]::interval, n % 2 = 0
	FROM generate_series(0, 83) n
	JOIN LATERAL (SELECT study_id AS id FROM hyperband.study WHERE n IS NOT NULL UNION ALL VALUES (0), (-1), (9223372036854775807), (NULL) ORDER BY 1 OFFSET n % 16 LIMIT 1) s ON true
	LEFT JOIN LATERAL (SELECT trial_id AS id FROM hyperband.handout WHERE n IS NOT NULL ORDER BY 1 OFFSET n % 10 LIMIT 1) t ON true;
-- Columns of row types, which is what predictions take.
CREATE TABLE inputs AS SELECT p, g, p AS again FROM points p JOIN gaps g USING (id) WHERE id <= 12;
CREATE TABLE answers (study bigint, trial bigint, prediction float8, label text, probabilities jsonb, input points, CHECK (prediction IS DISTINCT FROM 0.125));
GRANT ALL ON arguments, inputs, answers TO smith;
-- It samples tables by pages, so a row has a page.
CREATE FUNCTION one_row_a_page(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('ALTER TABLE %s ADD filler text, ALTER filler SET STORAGE plain', relation);
	EXECUTE format('UPDATE %s SET filler = repeat(''x'', 5000)', relation);
END $$;
SELECT one_row_a_page('arguments'), one_row_a_page('inputs') \g /dev/null
VACUUM FULL arguments;
VACUUM FULL inputs;
ANALYZE;
DROP FUNCTION one_row_a_page(regclass);

-- What returns sets, and what waits, in a form that sqlsmith calls.
CREATE FUNCTION asked(study bigint, n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(to_jsonb(q)) FROM hyperband_ask(study, n) q $$;
CREATE FUNCTION planned(max_resource int, eta int, min_resource int, scheduler text, n_trials int, options jsonb) RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(trials) FROM hyperband_plan(max_resource, eta, min_resource, scheduler, n_trials, options) $$;
CREATE FUNCTION known(word text) RETURNS float8 LANGUAGE sql AS $$ SELECT max(low) FROM hyperband_models() WHERE model = word $$;
CREATE FUNCTION simulated(study bigint, scheduler text, eta int, seed bigint, options jsonb) RETURNS float8 LANGUAGE sql AS $$
	SELECT min(best_loss) FROM hyperband_simulate(study, scheduler, eta, seed, options) $$;
CREATE FUNCTION waited(study bigint, timeout interval) RETURNS text LANGUAGE sql AS $$ SELECT hyperband_wait(study, least(timeout, '10 ms')) $$;
CREATE FUNCTION cut(p points) RETURNS text LANGUAGE sql AS $$ SELECT hyperband_classify('smith_label', p) $$;

-- A void function cannot stand in an expression.
CREATE FUNCTION told(trial bigint, attempt int, resource int, loss float8, metrics jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_tell(trial, attempt, resource, loss, metrics); RETURN true; END $$;
CREATE FUNCTION dropped(study bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_drop(study); RETURN true; END $$;
CREATE FUNCTION resumed(study bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_resume(study); RETURN true; END $$;
CREATE FUNCTION model_dropped(name text, version int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_drop_model(name, version); RETURN true; END $$;
CREATE FUNCTION granted(name text, role regrole) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_grant(name, role); RETURN true; END $$;
CREATE FUNCTION revoked(name text, role regrole) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM hyperband_revoke(name, role); RETURN true; END $$;

-- Ours, and a few of the server's own on the types that ours take; none that acts outside the transaction.
CREATE TABLE smith.type AS SELECT t.oid FROM pg_type t WHERE oid = ANY ('{bool,int4,int8,float8,text,name,name[],jsonb,interval,timestamptz,regclass,regrole,record}'::regtype[]);
CREATE VIEW smith.pg_proc AS SELECT p.* FROM pg_catalog.pg_proc p
	WHERE pronamespace = 'public'::regnamespace AND prokind <> 'p' AND proname NOT IN ('hyperband_wait', 'objective')
	OR pronamespace = 'pg_catalog'::regnamespace AND provolatile <> 'v' AND oid::bigint % 20 = 0 AND proname <> 'interval'
		AND NOT EXISTS (SELECT FROM unnest(p.proargtypes::oid[] || p.prorettype) a WHERE a NOT IN (SELECT oid FROM smith.type));
GRANT SELECT ON smith.pg_proc TO smith;
ALTER ROLE smith SET search_path = smith, pg_catalog, public;
-- It takes operators from pg_catalog by that name, and most comparisons would be of ranges and shapes, which no function
-- here takes: this database does without them.
SET allow_system_table_mods = on;
DELETE FROM pg_operator WHERE EXISTS (SELECT FROM pg_type t WHERE t.oid IN (oprleft, oprright)
	AND (typtype IN ('r', 'm') OR typcategory IN ('G', 'I', 'V') OR typname ~ '^(any(range|multirange|enum)|cstring|json|jsonpath|money|macaddr8?|uuid|pg_lsn|tsvector|tsquery|date|time|timetz|bpchar|bytea|xml|int2|float4|tid|xid8)$'));
