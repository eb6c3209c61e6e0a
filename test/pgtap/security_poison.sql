-- Poisoned rows.  A restored dump or a superuser can write anything that the constraints allow into the catalog: studies that
-- were cancelled on their way are copied, one value of each copy is changed, and it is resumed; stored models likewise are
-- damaged and predicted with.  Nothing may end the server or be an internal error (XX000), weights are refused by length,
-- format and checksum (XX001).  A crash ends this session, and with it the test.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA poison;
SET search_path = poison, public;
SELECT setseed(0.25) \g /dev/null
CREATE TABLE data AS SELECT n AS id, n % 7 AS a, sin(n) AS b, 'c' || n % 3 AS c, n % 2 = 0 AS y FROM generate_series(1, 200) n;
-- While the originals are made, so that none of them comes to its end before the cancel.
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.05); RETURN NULL; END $$;
CREATE TRIGGER linger AFTER INSERT ON hyperband.evaluation FOR EACH ROW EXECUTE FUNCTION linger();
CREATE FUNCTION slow(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT (config ->> 'x')::float8 / resource FROM pg_sleep(0.01) $$;

-- Originals: studies that were cancelled once they had results to go on from; those are written as they come.
SET hyperband.curve_flush = 0;
CREATE TABLE original (kind text PRIMARY KEY, id bigint);
CREATE FUNCTION start(scheduler text, resource text) RETURNS bigint LANGUAGE sql AS $$
	SELECT hyperband_tune('data', 'y', features => ARRAY['a', 'b', 'c'], scheduler => scheduler, resource => resource, max_resource => 27, trainers => 1, name => 'poison',
		search_space => '{"units": {"type": "int", "low": 4, "high": 9}, "layers": 1, "optimizer": ["adam", "nesterov"]}')
$$;
CREATE PROCEDURE cancel_halfway(name text) LANGUAGE plpgsql AS $$
DECLARE
	study bigint := (SELECT id FROM poison.original WHERE kind = name);
BEGIN
	WHILE (SELECT count(*) FROM hyperband.evaluation WHERE study_id = study) < 4 LOOP PERFORM pg_sleep(0.001); END LOOP;
	PERFORM hyperband_cancel(study);
	COMMIT;
	PERFORM hyperband_wait(study);
END $$;
INSERT INTO original VALUES ('hyperband', start('hyperband', 'epochs'));
CALL cancel_halfway('hyperband');
INSERT INTO original VALUES ('asha', start('asha', 'epochs'));
CALL cancel_halfway('asha');
INSERT INTO original VALUES ('racing', start('racing', 'folds'));
CALL cancel_halfway('racing');
INSERT INTO original VALUES ('function', hyperband_minimize('slow(jsonb, int)', '{"x": {"type": "float", "low": 0, "high": 1}}', max_resource => 9, resource => 'calls', workers => 1));
CALL cancel_halfway('function');
DROP TRIGGER linger ON hyperband.evaluation;

-- copy_of(study): a study of its own with copies of all its rows.
CREATE FUNCTION copy_of(original bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	copy bigint := nextval('hyperband.study_study_id_seq');
	name text;
BEGIN
	CREATE TEMP TABLE pair ON COMMIT DROP AS SELECT trial_id AS old, nextval('hyperband.trial_trial_id_seq') AS new FROM hyperband.trial WHERE study_id = original;
	FOREACH name IN ARRAY '{study,bracket,trial,evaluation,loss_curve,checkpoint,turn,rung,queue,handout}'::text[] LOOP
		EXECUTE format('INSERT INTO hyperband.%1$I OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(t, jsonb_build_object(''study_id'', %2$s) %3$s)).* FROM hyperband.%1$I t %4$s WHERE study_id = %5$s',
			name, copy, CASE WHEN name IN ('study', 'bracket', 'turn', 'rung') THEN '' ELSE '|| jsonb_build_object(''trial_id'', new)' END,
			CASE WHEN name IN ('study', 'bracket', 'turn', 'rung') THEN '' ELSE 'JOIN pair ON old = trial_id' END, original);
	END LOOP;
	UPDATE hyperband.study SET best_trial_id = (SELECT new FROM pair WHERE old = best_trial_id) WHERE study_id = copy;
	DROP TABLE pair;
	RETURN copy;
END $$;
CREATE FUNCTION flipped(data bytea) RETURNS bytea LANGUAGE sql VOLATILE AS $$
	SELECT set_bit(data, bit, 1 - get_bit(data, bit)) FROM (SELECT floor(random() * 8 * length(data))::bigint AS bit) b
$$;
CREATE FUNCTION cut(data bytea) RETURNS bytea LANGUAGE sql VOLATILE AS $$ SELECT substr(data, 1, floor(random() * length(data))::int) $$;

CREATE TABLE poison (kind text, label text, statement text, refused boolean, id bigint, outcome text);
-- Of the lockstep study: the column, its new value; $1 is the study.
INSERT INTO poison SELECT 'hyperband', format('study.%s = %s', c, v), format('UPDATE hyperband.study SET %I = %s WHERE study_id = $1', c, v), r FROM (VALUES
	('kind', '''function''', false), ('name', 'NULL', true), ('name', 'repeat(''x'', 100000)', false), ('relation', 'NULL', true), ('relation', '''gone''', false), ('relation', '''a.b.c.d.e''', false),
	('relation', '''"''', false), ('relation_oid', '4294967295', false), ('target', 'NULL', true), ('target', 'repeat(''y'', 10000)', false), ('features', 'NULL', true), ('features', '''{}''', false),
	('features', '''{NULL}''', false), ('features', '''{{a,b},{c,a}}''', false), ('features', '''{y}''', false), ('features', '''{a}''', false), ('task', '''regression''', false), ('model', 'NULL', true),
	('model', '''forest''', false), ('model', '''linear''', false), ('metric', '''rmse''', false), ('metric', '''nothing''', false), ('direction', 'NULL', false), ('sampler', '''magic''', false),
	('sampler', '''gp''', false), ('sampler', '''grid''', false), ('scheduler', '''magic''', false), ('scheduler', '''asha''', true), ('scheduler', '''full''', true), ('scheduler', '''racing''', true),
	('resource', '''folds''', false), ('resource', '''rows''', false), ('resource', '''magic''', true), ('device', '''magic''', true), ('search_space', '''null''', false), ('search_space', '''[]''', false),
	('search_space', '''{}''', false), ('search_space', '''"x"''', false), ('search_space', '''{"units": {"type": "int", "low": -1e300, "high": 1e300}}''', false),
	('search_space', '''{"units": {"cases": 3}}''', false), ('search_space', '''{"nothing": 1}''', false), ('options', '''[]''', false), ('options', '''{"strict": []}''', false),
	('options', '''{"epochs": 1e300}''', false), ('options', '''{"warm_start": 1}''', false), ('max_resource', 'NULL', false), ('max_resource', '1', true), ('max_resource', '2147483647', false),
	('min_resource', '27', true), ('min_resource', '2147483647', false), ('eta', '2', true), ('eta', '2147483647', true), ('n_trials', '1', true), ('n_trials', '200', true), ('n_trials', '2147483647', false),
	('trainers', 'NULL', true), ('trainers', '2147483647', true), ('settings', '''[]''', true), ('settings', '''{"hyperband.max_categories": "x"}''', false), ('validation', 'NULL', true),
	('validation', '''NaN''', true), ('validation', '-1', true), ('validation', '1e-300', false), ('seed', '-9223372036854775808', false), ('split_seed', '9223372036854775807', false),
	('time_limit', '''-1 year''', false), ('time_limit', '''178000000 years''', false), ('rows_train', '9223372036854775807', false), ('fingerprint', '''\x''', false), ('versions', '''[]''', false),
	('resource_planned', '-9223372036854775808', false), ('resource_spent', '9223372036854775807', false), ('best_trial_id', '-1', false), ('best_loss', '''NaN''', false),
	('system_identifier', '0', false), ('started_at', '''-infinity''', false)) x (c, v, r);
INSERT INTO poison SELECT 'hyperband', format('%s.%s = %s', t, c, v), format('UPDATE hyperband.%I SET %I = %s WHERE study_id = $1', t, c, v), r FROM (VALUES
	('bracket', 'trials', '2147483647', false), ('bracket', 'rungs', '2147483647', false), ('bracket', 'min_resource', '2147483647', false), ('bracket', 'bracket', '-bracket', true),
	('bracket', 'bracket', 'bracket + 1000000000', true), ('trial', 'number', 'number + 2147483000', true), ('trial', 'bracket', '-1', true), ('trial', 'bracket', '2147483647', true), ('trial', 'bracket', '0', true),
	('trial', 'config', '''null''', false), ('trial', 'config', '''[]''', false), ('trial', 'config', '''{"units": 1000000000}''', false), ('trial', 'config', '''{"units": "x"}''', false),
	('trial', 'config', '''{"units": 1, "optimizer": 7}''', false), ('trial', 'config', '''{"units": 100}''', false), ('trial', 'state', '''completed''', true), ('trial', 'state', '''diverged''', false),
	('trial', 'rung', '2147483647', true), ('trial', 'rung', '3', true), ('trial', 'rung', 'NULL', true), ('trial', 'resource', '2147483647', true), ('trial', 'resource', '0', true), ('trial', 'resource', '2', true),
	('trial', 'attempt', '2147483647', false), ('trial', 'attempt', '-2147483648', false), ('trial', 'started_seq', '2147483647', false), ('trial', 'loss', '''NaN''', false), ('trial', 'metrics', '''[]''', false),
	('evaluation', 'rung', 'CASE WHEN rung = (SELECT max(e.rung) FROM hyperband.evaluation e WHERE e.trial_id = evaluation.trial_id) THEN 2147483647 ELSE rung END', true),
	('evaluation', 'rung', 'CASE WHEN rung = (SELECT max(e.rung) FROM hyperband.evaluation e WHERE e.trial_id = evaluation.trial_id) THEN rung + 1 ELSE rung END', true), ('evaluation', 'resource', '2147483647', false), ('evaluation', 'resource', '-1', false), ('evaluation', 'attempt', '2147483647', false),
	('evaluation', 'seq', '-2147483648', false), ('evaluation', 'loss', '''NaN''', false), ('evaluation', 'loss', '''-Infinity''', false), ('evaluation', 'metrics', '''[]''', false), ('evaluation', 'metrics', '''{"error": "x"}''', false),
	('evaluation', 'rank', '-1', false), ('evaluation', 'promoted', 'true', false), ('evaluation', 'trial_id', 'trial_id - (SELECT max(trial_id) - min(trial_id) + 1 FROM hyperband.trial WHERE study_id = $1)', false),
	('loss_curve', 'resource', 'resource + 2147483000', false), ('checkpoint', 'resource', '2147483647', true), ('checkpoint', 'resource', '0', true), ('checkpoint', 'chunk', '2147483647', false),
	('checkpoint', 'format', '2', true), ('checkpoint', 'format', '-1', true), ('checkpoint', 'total_bytes', '0', true), ('checkpoint', 'total_bytes', 'total_bytes + 1', true),
	('checkpoint', 'total_bytes', 'total_bytes - 1', true), ('checkpoint', 'total_bytes', '9223372036854775807', true), ('checkpoint', 'crc', 'crc # 1', true), ('checkpoint', 'data', '''\x''', true),
	('checkpoint', 'data', 'data || data', true), ('checkpoint', 'data', 'data || ''\x00''', true)) x (t, c, v, r);
INSERT INTO poison SELECT 'hyperband', 'no rows of ' || t, format('DELETE FROM hyperband.%I WHERE study_id = $1', t), t IN ('bracket', 'checkpoint') FROM unnest('{bracket,trial,evaluation,loss_curve,checkpoint}'::text[]) t;
INSERT INTO poison SELECT 'hyperband', 'every second row of ' || t, format('DELETE FROM hyperband.%I WHERE study_id = $1 AND trial_id %% 2 = 0', t), t = 'trial' FROM unnest('{trial,evaluation,loss_curve}'::text[]) t;
INSERT INTO poison SELECT 'hyperband', 'a bit of each checkpoint flipped, ' || n, 'UPDATE hyperband.checkpoint SET data = poison.flipped(data) WHERE study_id = $1', true FROM generate_series(1, 40) n;
INSERT INTO poison SELECT 'hyperband', 'each checkpoint cut, ' || n, 'UPDATE hyperband.checkpoint SET data = poison.cut(data) WHERE study_id = $1', true FROM generate_series(1, 20) n;
-- Of the others: what their schedulers and workers index with.
INSERT INTO poison SELECT k, format('%s.%s = %s', t, c, v), format('UPDATE hyperband.%I SET %I = %s WHERE study_id = $1', t, c, v), false FROM unnest('{asha,racing,function}'::text[]) k, (VALUES
	('study', 'n_trials', '1'), ('study', 'max_resource', '1'), ('study', 'eta', '2'), ('study', 'scheduler', '''racing'''), ('study', 'scheduler', '''asha'''), ('study', 'scheduler', '''hyperband'''),
	('trial', 'rung', '2147483647'), ('trial', 'rung', 'NULL'), ('trial', 'rung', '1'), ('trial', 'resource', '2147483647'), ('trial', 'resource', '0'), ('trial', 'bracket', '1'), ('trial', 'number', 'number + 1000000'), ('trial', 'started_seq', 'NULL'),
	('trial', 'started_seq', '2147483647'), ('trial', 'started_seq', '-1'), ('trial', 'state', '''completed'''), ('trial', 'state', '''waiting'''), ('trial', 'config', '''{"x": "y"}'''),
	('evaluation', 'rung', 'rung + 1'), ('evaluation', 'rung', '2147483647'), ('evaluation', 'result_seq', 'NULL'), ('evaluation', 'result_seq', '2147483647'), ('evaluation', 'seq', '-5'),
	('evaluation', 'promoted', 'NULL'), ('evaluation', 'promoted', 'true'), ('evaluation', 'loss', '''NaN''')) x (t, c, v);
INSERT INTO poison SELECT 'function', format('%s.%s = %s', t, c, v), format('UPDATE hyperband.%I SET %I = %s WHERE study_id = $1', t, c, v), false FROM (VALUES
	('study', 'objective', 'NULL'), ('study', 'objective', '''pg_sleep(float8)'''), ('study', 'objective', '''gone(jsonb,int)'''), ('study', 'relation_oid', '0'), ('study', 'relation_oid', '''pg_class''::regclass::oid'), ('study', 'kind', '''table'''),
	('study', 'kind', '''external'''), ('study', 'search_space', 'NULL'), ('study', 'search_space', '''3'''), ('study', 'options', '''{"lease": "-1 day"}'''), ('study', 'trainers', '0 + 2147483647'),
	('turn', 'drawn', '2147483647'), ('turn', 'drawn', '0'), ('turn', 'exhausted', 'true'), ('turn', 'open_brackets', '-2147483648'), ('turn', 'open_brackets', '2147483647'), ('turn', 'outstanding', '2147483647'),
	('turn', 'outstanding', '-2147483648'), ('turn', 'head', '9223372036854775807'), ('turn', 'tail', '-9223372036854775808'), ('turn', 'tail', '9223372036854775807'), ('turn', 'seq', '2147483647'), ('turn', 'checked_at', '''infinity'''),
	('rung', 'rung', 'rung + 2147483600'), ('rung', 'bracket', '-1 - bracket'), ('rung', 'resource', '2147483647'), ('rung', 'trials', '-5'), ('rung', 'trials', 'NULL'), ('rung', 'results', '2147483647'), ('rung', 'results', '-2147483648'),
	('rung', 'ended', '2147483647'), ('rung', 'cut_trial', '-1'), ('rung', 'open_loss', '''NaN''')) x (t, c, v);
INSERT INTO poison SELECT 'function', 'no rows of ' || t, format('DELETE FROM hyperband.%I WHERE study_id = $1', t), false FROM unnest('{bracket,trial,evaluation,turn,rung,queue,handout}'::text[]) t;
INSERT INTO poison SELECT kind, 'unharmed', 'SELECT', false FROM original;

UPDATE poison p SET id = copy_of(o.id) FROM original o WHERE o.kind = p.kind;
CREATE FUNCTION apply(statement text, study bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(statement, '$1', study::text);
	RETURN NULL;
EXCEPTION WHEN check_violation OR not_null_violation OR foreign_key_violation OR unique_violation THEN
	RETURN 'kept out by a constraint';
END $$;
CREATE FUNCTION resumed(study bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM hyperband_resume(study);
	RETURN NULL;
EXCEPTION WHEN query_canceled OR OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION waited(study bigint, longest interval) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		IF hyperband_wait(study, '0.1 s') <> 'queued' THEN
			RETURN hyperband_wait(study, longest);
		END IF;
	END LOOP;
	RETURN 'XX000 is never started';
EXCEPTION WHEN query_canceled OR OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
-- Where counters contradict the rows a worker may wait for results that never come, and must hear a cancel.
CREATE PROCEDURE run_all() LANGUAGE plpgsql AS $$
DECLARE
	p record;
	told text;
BEGIN
	FOR p IN SELECT id, statement FROM poison.poison ORDER BY id LOOP
		told := coalesce(poison.apply(p.statement, p.id), poison.resumed(p.id));
		UPDATE poison.poison SET outcome = told WHERE id = p.id;
		COMMIT;
	END LOOP;
	FOR p IN SELECT id, CASE kind WHEN 'function' THEN interval '1 s' ELSE '60 s' END AS longest FROM poison.poison WHERE outcome IS NULL ORDER BY id LOOP
		told := poison.waited(p.id, p.longest);
		IF told = 'running' THEN
			PERFORM hyperband_cancel(p.id);
			COMMIT;
			told := poison.waited(p.id, p.longest);
		END IF;
		UPDATE poison.poison SET outcome = told WHERE id = p.id;
		COMMIT;
	END LOOP;
END $$;
CALL run_all();

SELECT plan(336);
SELECT is(state, 'cancelled', original.kind || ': the original was cancelled on its way') FROM original JOIN hyperband.study s ON s.study_id = id;
SELECT cmp_ok((SELECT count(*)::int FROM hyperband.checkpoint JOIN original ON id = study_id WHERE kind = 'hyperband'), '>', 3, 'and has checkpoints');
SELECT is(outcome, 'done', kind || ': a copy as it is goes on and is done') FROM poison WHERE label = 'unharmed';
SELECT CASE WHEN refused THEN alike(outcome, 'XX001 %', kind || ', ' || label || ': refused')
	ELSE matches(outcome, '^(done|cancelled|kept out by a constraint|(?!XX000)[0-9A-Z]{5} .*)$', kind || ', ' || label || ': ends in an orderly way') END FROM poison WHERE label <> 'unharmed' ORDER BY id;
SELECT is_empty($$SELECT study_id, sqlstate, error FROM hyperband.study WHERE sqlstate = 'XX000'$$, 'no study failed with an internal error');

-- Stored models: bytes and the row; every value of the encoder in turn.
SELECT hyperband_tune('data', 'y', features => ARRAY['a', 'b', 'c'], max_resource => 1, name => 'sound') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
CREATE TABLE spoilt (name text PRIMARY KEY, refused boolean, outcome text);
-- spoil(new name, SQL that changes the row m or the bytes b): a version of its own.
CREATE FUNCTION spoil(new_name text, change text, refused boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	new_id bigint := nextval('hyperband.model_model_id_seq');
BEGIN
	INSERT INTO hyperband.model OVERRIDING SYSTEM VALUE
		SELECT (jsonb_populate_record(m, jsonb_build_object('model_id', new_id, 'name', new_name))).* FROM hyperband.model m WHERE name = 'sound';
	INSERT INTO hyperband.model_data SELECT new_id, chunk, data FROM hyperband.model_data JOIN hyperband.model USING (model_id) WHERE name = 'sound';
	EXECUTE replace(change, '$1', new_id::text);
	INSERT INTO spoilt VALUES (new_name, refused);
END $$;
SELECT spoil('bit ' || n, 'UPDATE hyperband.model_data SET data = poison.flipped(data) WHERE model_id = $1', true) FROM generate_series(1, 200) n \g /dev/null
SELECT spoil('cut ' || n, 'UPDATE hyperband.model_data SET data = poison.cut(data) WHERE model_id = $1', true) FROM generate_series(1, 60) n \g /dev/null
SELECT spoil(format('%s = %s', c, left(v, 40)), format('UPDATE hyperband.model SET %I = %s WHERE model_id = $1', c, v), r) FROM (VALUES ('crc', 'crc # 1', true), ('format', '2', true), ('format', '0', true), ('total_bytes', 'total_bytes - 1', true),
	('total_bytes', '0', true), ('total_bytes', '9223372036854775807', true), ('family', '''forest''', true), ('family', '''linear''', false), ('task', '''regression''', true), ('features', '''{}''', true), ('features', '''{a,b}''', true),
	('features', '''{a,b,NULL}''', true), ('features', '''{{a,b},{c,d}}''', true), ('feature_types', '''{}''', false), ('labels', 'NULL', true), ('labels', '''{}''', true), ('labels', '''{x,y,z}''', true), ('labels', '''{NULL,NULL}''', false),
	('metric', '''nothing''', false), ('resource', '-1', false)) x (c, v, r) \g /dev/null
WITH RECURSIVE leaf (path, value) AS (
	SELECT ARRAY[]::text[], encoder FROM hyperband.model WHERE name = 'sound'
	UNION ALL
	SELECT path || m.key, m.value FROM leaf, LATERAL (SELECT key, o.value FROM jsonb_each(CASE jsonb_typeof(leaf.value) WHEN 'object' THEN leaf.value ELSE '{}' END) o
		UNION ALL SELECT (i - 1)::text, a.value FROM jsonb_array_elements(CASE jsonb_typeof(leaf.value) WHEN 'array' THEN leaf.value ELSE '[]' END) WITH ORDINALITY a (value, i)) m)
SELECT spoil(format('encoder %s = %s', array_to_string(path, '.'), new), format('UPDATE hyperband.model SET encoder = jsonb_set(encoder, %L, %L) WHERE model_id = $1', path, new), false)
	FROM leaf, unnest('{"null","-1","0","1","3","7","1e300","1e9","4294967296","0.5","\"x\"","[]","{}","true"}'::text[]) new WHERE path <> '{}' \g /dev/null
CREATE FUNCTION predicted(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM hyperband_predict(name, d) FROM data d;
	PERFORM hyperband_probabilities(name, to_jsonb(d)) FROM data d LIMIT 5;
	RETURN 'predicts';
EXCEPTION WHEN query_canceled OR OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
UPDATE spoilt SET outcome = predicted(name);
SELECT is(predicted('sound'), 'predicts', 'the sound model predicts');
SELECT cmp_ok(count(*)::int, '>', 700, 'so many were spoilt') FROM spoilt;
SELECT is_empty($$SELECT name, outcome FROM spoilt WHERE refused AND outcome NOT LIKE 'XX001 %'$$, 'damaged bytes and rows that contradict them are refused');
SELECT is_empty($$SELECT name, outcome FROM spoilt WHERE outcome !~ '^(predicts|(?!XX000)[0-9A-Z]{5} .*)$'$$, 'whatever an encoder holds: a prediction or an orderly error');

-- A damaged current model does not stand in the way of the next version.
UPDATE hyperband.model_data d SET data = flipped(data) FROM hyperband.model m WHERE m.model_id = d.model_id AND name = 'sound';
SELECT hyperband_tune('data', 'y', features => ARRAY['a', 'b', 'c'], max_resource => 1, name => 'sound') AS study \gset
SELECT is(hyperband_wait(:study), 'done', 'the next study of a damaged model is done');
SELECT is(predicted('sound'), 'predicts', 'and its version predicts');

SELECT * FROM finish();
