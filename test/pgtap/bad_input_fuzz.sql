-- An argument fuzzer: every SQL function is called 5,000 times with arguments drawn from what callers give by mistake or on
-- purpose, by a role without rights on others' studies and models.  Each call is rolled back.  None may end the server, be an internal
-- error (XX000), take 2 seconds, or leave or change a row.  The seed is fixed; a call that breaks something is shown whole.
\set QUIET 1
SET client_min_messages = error;
SET statement_timeout = '240 s';
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
-- What other tests left running has its end first.
DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'); PERFORM pg_sleep(0.1), pg_stat_clear_snapshot(); END LOOP; END $$;
CREATE SCHEMA fuzz;
SET search_path = fuzz, public;
CREATE ROLE fuzz_user LOGIN;
CREATE ROLE fuzz_other LOGIN;
GRANT USAGE ON SCHEMA fuzz, hyperband TO fuzz_user, fuzz_other;

CREATE TYPE composite AS (a int, b text);
CREATE TABLE t AS SELECT n AS id, n % 7 AS a, sin(n) AS b, 'c' || n % 3 AS c, n % 2 = 0 AS y, cos(n) AS r, ARRAY[n, 1]::real[] AS arr, int4range(1, n + 1) AS rng FROM generate_series(1, 60) n;
CREATE VIEW v AS SELECT * FROM t;
CREATE TABLE hidden AS SELECT * FROM t;
CREATE INDEX t_a ON t (a);
CREATE SEQUENCE s;
CREATE FUNCTION objective(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION wrong(config json, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1 $$;
GRANT SELECT ON t, v TO fuzz_user, fuzz_other;

-- Studies and models of the caller and of somebody else.
CREATE TABLE known (owner name, kind text, id bigint);
CREATE PROCEDURE prepare(role name) LANGUAGE plpgsql AS $$
DECLARE study bigint;
BEGIN
	EXECUTE format('SET SESSION AUTHORIZATION %I', role);
	study := hyperband_tune('fuzz.t', 'y', features => '{a,b,c}', max_resource => 3, name => role || '_label');
	COMMIT;
	PERFORM hyperband_wait(study);
	PERFORM hyperband_wait(study, '1 s');
	COMMIT;
	study := hyperband_tune('fuzz.t', 'r', features => '{a,b,c}', max_resource => 1, name => role || '_number');
	COMMIT;
	PERFORM hyperband_wait(study);
	study := hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}, "k": ["a", "b"]}', max_resource => 9);
	PERFORM hyperband_ask(study, 4);
	COMMIT;
	study := hyperband_create_study('{"x": [1, 2, 3]}', max_resource => 3);
	PERFORM hyperband_ask(study, 1);
	PERFORM hyperband_cancel(study);
	COMMIT;
	RESET SESSION AUTHORIZATION;
END $$;
CALL prepare('fuzz_user');
CALL prepare('fuzz_other');
SELECT study_id AS mine FROM hyperband.study WHERE owner = 'fuzz_user'::regrole ORDER BY study_id LIMIT 1 \gset
SELECT max(study_id) AS asked FROM hyperband.study WHERE owner = 'fuzz_user'::regrole AND state = 'running' \gset
SELECT max(study_id) AS others FROM hyperband.study WHERE owner = 'fuzz_other'::regrole AND state = 'running' \gset
SELECT max(study_id) AS cancelled FROM hyperband.study WHERE owner = 'fuzz_user'::regrole AND state = 'cancelled' \gset
SELECT min(trial_id) AS my_trial FROM hyperband.handout WHERE study_id = :asked \gset
SELECT min(trial_id) AS other_trial FROM hyperband.handout WHERE study_id = :others \gset

-- Values as SQL text, by type or by the argument's name: those that lead further into a function, and odd ones.
-- The values are separated by " | ".
CREATE TABLE pool (key text, sane text[], odd text[]);
INSERT INTO pool VALUES
	('bigint', NULL, string_to_array($$NULL | 0 | 1 | -1 | 9223372036854775807 | -9223372036854775808 | 4294967296$$, ' | ')),
	('integer', string_to_array($$1 | 2 | 3 | 9 | 27$$, ' | '), string_to_array($$NULL | 0 | -1 | 2147483647 | -2147483648 | 20000 | 81 | 65536$$, ' | ')),
	('double precision', string_to_array($$0.2 | 0.5$$, ' | '), string_to_array($$NULL | 'NaN' | 'Infinity' | '-Infinity' | 0 | -0.0 | 1e308 | -1e308 | 5e-324 | 1 | 0.9999999999999999$$, ' | ')),
	('interval', string_to_array($$'1 hour'$$, ' | '), string_to_array($$NULL | '0' | '-1 s' | '1 month' | '178000000 years' | '-178000000 years' | '1 us' | '2147483647 days' | '-2147483648 days'$$, ' | ')),
	('text', string_to_array($$'x'$$, ' | '), string_to_array($$NULL | '' | '"' | '\' | '%s%n%d' | '; DROP TABLE fuzz.t' | 'äöü€😀' | repeat('x', 100000) | repeat('é', 128) | E'\x01\n\t'$$, ' | ')),
	('name', string_to_array($$'y' | 'r' | 'c'$$, ' | '), string_to_array($$NULL | '' | 'missing' | 'ctid' | 'Y' | repeat('x', 63) | 'rng' | 'arr' | 'id'$$, ' | ')),
	('name[]', string_to_array($$'{a,b,c}' | '{a}' | '{a,arr}' | NULL$$, ' | '), string_to_array($$'{}' | '{NULL}' | '{a,a}' | '{y}' | '{{a,b},{c,id}}' | '{missing}' | '{rng}' | '{tableoid}' | array_fill('a'::name, ARRAY[2000]) | '[5:6]={a,b}'$$, ' | ')),
	('regclass', string_to_array($$'fuzz.t' | 'fuzz.v'$$, ' | '), string_to_array($$NULL | 'fuzz.hidden' | 'fuzz.t_a' | 'fuzz.s' | 'fuzz.composite' | 'pg_class' | 'pg_stat_activity' | 'hyperband.study' | 'hyperband.progress' | 0::oid | 4294967295::oid | 2619::oid$$, ' | ')),
	('regprocedure', string_to_array($$'fuzz.objective(jsonb,int)'$$, ' | '), string_to_array($$NULL | 'fuzz.wrong(json,int)' | 'pg_sleep(float8)' | 0::oid | 4294967295::oid | 'hyperband_cancel(bigint)'$$, ' | ')),
	('regrole', string_to_array($$'fuzz_other' | 'fuzz_user'$$, ' | '), string_to_array($$NULL | 0::oid | 4294967295::oid | 'postgres' | 'pg_monitor'$$, ' | ')),
	('record', string_to_array($$(SELECT t FROM fuzz.t LIMIT 1) | ROW(1, 0.5, 'c1') | (SELECT h FROM fuzz.v h LIMIT 1)$$, ' | '), string_to_array($$NULL::fuzz.t | ROW() | ROW(NULL) | ROW(NULL, NULL, NULL) | ROW('x', 'y', 'z') | ROW('{}'::json, 1, 2) | ROW(1, ROW(2, 3), 4) | ROW(1, 'NaN'::float8, 'c1') | ROW(1e300, 1e-300, repeat('x', 100000)) | (SELECT c FROM pg_class c LIMIT 1) | ROW(1, 2, NULL::fuzz.composite) | ROW(1::numeric, 'Infinity'::numeric, 'c'::name) | (NULL::fuzz.composite) | ROW('2020-01-01'::date, '1 day'::interval, 'a'::"char")$$, ' | ')),
	('boolean', string_to_array($$true$$, ' | '), string_to_array($$NULL | false$$, ' | ')),
	('search_space', string_to_array($$'{"x": {"type": "float", "low": 0, "high": 1}}' | '{"l2": {"type": "float", "low": 1e-5, "high": 0.1, "log": true}}' | NULL$$, ' | '), NULL),
	('options', string_to_array($$'{}' | '{"rounding": "ceil"}' | '{"max_rows": 50}'$$, ' | '), NULL),
	('name_of_model', string_to_array($$'fuzz_user_label' | 'fuzz_user_number' | 'fuzz_other_label'$$, ' | '), string_to_array($$NULL | '' | 'missing' | repeat('x', 255) | repeat('x', 256) | repeat('x', 100000) | 'Fuzz_user_label'$$, ' | ')),
	('model', string_to_array($$'mlp' | 'linear'$$, ' | '), NULL),
	('task', string_to_array($$NULL | 'classification' | 'regression'$$, ' | '), NULL),
	('metric', string_to_array($$NULL | 'error' | 'auc' | 'rmse' | 'r2'$$, ' | '), NULL),
	('device', string_to_array($$NULL | 'cpu' | 'auto' | 'cuda'$$, ' | '), NULL),
	('sampler', string_to_array($$'random' | 'grid' | 'sobol' | 'tpe' | 'gp'$$, ' | '), NULL),
	('scheduler', string_to_array($$'hyperband' | 'full' | 'halving' | 'asha' | 'racing'$$, ' | '), NULL),
	('resource_name', string_to_array($$'epochs' | 'rows' | 'folds' | 'features' | 'trees'$$, ' | '), NULL),
	('direction', string_to_array($$'minimize' | 'maximize'$$, ' | '), NULL),
	('version', string_to_array($$NULL | 1$$, ' | '), string_to_array($$2 | 0 | -1 | 2147483647$$, ' | ')),
	('timeout', string_to_array($$'0' | '1 ms'$$, ' | '), string_to_array($$'-1 day' | '-178000000 years' | '5 ms'$$, ' | '));
INSERT INTO pool SELECT 'study', ARRAY[:mine, :asked, :cancelled]::text[], ARRAY[:others, 0, -1, 9223372036854775807]::text[] || '{NULL}';
INSERT INTO pool SELECT 'trial_id', ARRAY[:my_trial, :my_trial + 1]::text[], ARRAY[:other_trial, 0, -1]::text[] || '{NULL}';
-- JSON of every shape.
CREATE FUNCTION any_json(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	words text[] := '{type,float,int,categorical,fixed,low,high,log,step,grid,when,cases,choices,value,name,attributes,FloatDistribution,IntDistribution,learning_rate,l2,units,optimizer,adam,sgd,x,epochs,max_rows,test,clip,strict,rounding,warm_start,lease,curve_points,split_seed,on_change,reload,n_trials,budget,a,b,c}';
	numbers text[] := '{0,1,-1,2,3,0.5,0.1,1e-300,1e300,1e400,-1e400,10000,9007199254740993,2147483648,9223372036854775808}';
	kind int := floor(random() * CASE WHEN depth > 0 THEN 9 ELSE 5 END);
	result jsonb;
BEGIN
	CASE kind
		WHEN 0 THEN RETURN to_jsonb(words[1 + floor(random() * array_length(words, 1))]);
		WHEN 1 THEN RETURN (ARRAY['null', 'true', 'false', '""', '"NaN"', '"5 minutes"'])[1 + floor(random() * 6)]::jsonb;
		WHEN 2, 3, 4 THEN RETURN numbers[1 + floor(random() * array_length(numbers, 1))]::jsonb;
		WHEN 5 THEN
			result := '[]';
			FOR i IN 1 .. floor(random() * 4) LOOP result := result || jsonb_build_array(any_json(depth - 1)); END LOOP;
			RETURN result;
		ELSE
			result := '{}';
			FOR i IN 1 .. floor(random() * 5) LOOP result := result || jsonb_build_object(words[1 + floor(random() * array_length(words, 1))], any_json(depth - 1)); END LOOP;
			RETURN result;
	END CASE;
END $$;
CREATE TABLE json_pool (n bigint PRIMARY KEY, value text);
INSERT INTO json_pool SELECT n, quote_literal(any_json(4)) AS value FROM generate_series(1, 2000) n;
INSERT INTO json_pool SELECT 2000 + row_number() OVER (), v FROM unnest(ARRAY['NULL', $$'{}'$$, $$'[]'$$, $$'null'$$, $$'3'$$, $$'"x"'$$, $$(repeat('[', 3000) || repeat(']', 3000))::jsonb$$, $$(SELECT jsonb_object_agg('p' || n, n) FROM generate_series(1, 2000) n)$$]) v;

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql AS $$ SELECT choices[1 + floor(random() * array_length(choices, 1))::int] $$;
CREATE FUNCTION argument(function name, argument text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p fuzz.pool;
	wanted text := CASE WHEN argument = 'name' AND function ~ 'predict|classify|probabilities|grant|revoke|promote|drop_model' THEN 'name_of_model'
		WHEN argument = 'resource' AND type = 'text' THEN 'resource_name' ELSE argument END;
	odd boolean := random() < 0.25;
	which bigint := 1 + floor(random() * 2008);
BEGIN
	IF type = 'jsonb' AND (odd OR argument NOT IN ('search_space', 'options')) THEN
		RETURN (SELECT value FROM fuzz.json_pool WHERE n = which);
	END IF;
	SELECT * INTO p FROM fuzz.pool WHERE pool.key = wanted;
	IF NOT FOUND OR odd AND coalesce(array_length(p.odd, 1), 0) = 0 THEN
		SELECT * INTO p FROM fuzz.pool WHERE pool.key = type;
	END IF;
	RETURN fuzz.pick(VARIADIC CASE WHEN odd OR p.sane IS NULL THEN p.odd ELSE p.sane END);
END $$;
-- A call with named arguments; those that have a default are left out at times.
CREATE FUNCTION any_call(f pg_proc) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	arguments text[] := '{}';
	type text;
	value text;
BEGIN
	FOR i IN 1 .. f.pronargs LOOP
		-- hyperband_wait without a timeout would wait for the workers of a study that has none
		CONTINUE WHEN i > f.pronargs - f.pronargdefaults AND random() < 0.6 AND f.proargnames[i] IS DISTINCT FROM 'timeout';
		type := format_type(f.proargtypes[i - 1], NULL);
		value := fuzz.argument(f.proname, coalesce(f.proargnames[i], ''), type);
		arguments := array_append(arguments, CASE WHEN coalesce(f.proargnames[i], '') = '' THEN '' ELSE quote_ident(f.proargnames[i]) || ' => ' END
			|| CASE WHEN type = 'record' THEN value ELSE format('(%s)::%s', value, type) END);
	END LOOP;
	RETURN format(CASE f.prokind WHEN 'p' THEN 'CALL %I(%s)' ELSE 'SELECT * FROM %I(%s)' END, f.proname, array_to_string(arguments, ', '));
END $$;

-- Rolled back by an error of its own; the SQLSTATE of what came before it.
CREATE FUNCTION outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	RAISE EXCEPTION SQLSTATE 'HBOK0';
EXCEPTION WHEN OTHERS THEN
	RETURN CASE sqlstate WHEN 'HBOK0' THEN '00000' WHEN 'XX000' THEN 'XX000 ' || sqlerrm ELSE sqlstate END;
END $$;
CREATE TABLE result (function name, state text, call text, seconds float8);
GRANT ALL ON ALL TABLES IN SCHEMA fuzz TO fuzz_user;
-- Time that this process has computed, in hundredths, as the kernel counts.
CREATE FUNCTION cpu_seconds() RETURNS float8 LANGUAGE sql SECURITY DEFINER AS $$
	SELECT (fields[12]::float8 + fields[13]::float8) / 100 FROM regexp_split_to_array(regexp_replace(pg_read_file('/proc/self/stat'), '^.*\) ', ''), ' ') fields
$$;
CREATE FUNCTION fuzz(f pg_proc, times int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	call text;
	state text;
	began timestamptz;
	busy float8;
	took float8;
BEGIN
	FOR i IN 1 .. times LOOP
		call := fuzz.any_call(f);
		began := clock_timestamp();
		state := fuzz.outcome(call);
		took := extract(epoch FROM clock_timestamp() - began);
		-- on a busy machine the clock says little
		IF took > 2 THEN
			began := clock_timestamp();
			busy := fuzz.cpu_seconds();
			state := fuzz.outcome(call);
			took := greatest(fuzz.cpu_seconds() - busy, least(took, extract(epoch FROM clock_timestamp() - began)) / 10);
		END IF;
		INSERT INTO fuzz.result VALUES (f.proname, state, CASE WHEN state ~ '^XX' OR took > 0.5 THEN call END, took);
	END LOOP;
END $$;
CREATE FUNCTION contents() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	relation name; rows text; result text := '';
BEGIN
	FOR relation IN SELECT relname FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r' ORDER BY relname LOOP
		EXECUTE format('SELECT count(*) || '' '' || md5(string_agg(r::text, ''|'' ORDER BY r::text)) FROM hyperband.%I r', relation) INTO rows;
		result := result || relation || ' ' || coalesce(rows, '0') || E'\n';
	END LOOP;
	RETURN result;
END $$;

-- Fewer calls, as under valgrind, are watched for what they break: they need not reach everything and may be slow.
\if :{?times}
\set all_calls 0
\else
\set times 5000
\set all_calls 1
\endif
CREATE TABLE target AS SELECT p.oid, proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND extname = 'hyperband'
	WHERE d.refclassid = 'pg_extension'::regclass AND p.pronamespace = 'public'::regnamespace;
GRANT SELECT ON target TO fuzz_user;
SELECT contents() AS before \gset
SELECT setseed(0.4321) \g /dev/null
SET SESSION AUTHORIZATION fuzz_user;
-- One statement each, so that locks of rolled-back calls do not pile up.
SELECT format('SELECT fuzz.fuzz(p, %s) FROM pg_proc p WHERE oid = %s', :times, oid) FROM target ORDER BY proname, oid \gexec \g /dev/null
RESET SESSION AUTHORIZATION;

SELECT no_plan();
SELECT is((SELECT count(*)::int FROM result), (SELECT count(*)::int * :times FROM target), 'every function was called so often');
SELECT cmp_ok((SELECT count(*)::int FROM target), '>=', 23, 'and there are so many');
SELECT is_empty($$SELECT function, state, call FROM result WHERE state LIKE 'XX000%' LIMIT 20$$, 'no internal error');
\if :all_calls
SELECT is_empty($$SELECT function, seconds, call FROM result WHERE seconds > 2 ORDER BY seconds DESC LIMIT 20$$, 'none took 2 seconds');
SELECT is_empty($$SELECT proname FROM target WHERE proname NOT IN (SELECT function FROM result WHERE state = '00000') AND proname <> 'hyperband_run' AND proname NOT LIKE 'hb\_%'$$, 'of each some were right');
SELECT cmp_ok((SELECT count(DISTINCT state)::int FROM result), '>', 15, 'errors of many kinds were met');
\endif
SELECT is(contents(), :'before', 'no row of the catalog was left or changed');
SELECT is((SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND datname = current_database()), 0, 'no worker was started');
SELECT is((SELECT count(*)::int FROM t), 60, 'the table is there');

SELECT * FROM finish();
