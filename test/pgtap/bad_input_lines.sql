-- Bad input as a table: the call, its SQLSTATE, message, DETAIL and HINT.  What can be known at once is raised by the call;
-- what only the data shows fails the study, with the same words in the study and from hyperband_wait.  Nothing is written: no
-- study by the first kind, no trial, weights or model by the second.  bad_input.sql has more cases of each kind; 008_transactions.pl
-- has standbys, memory and a missing trainer, 002_trainer_killed.pl lost trainers, 003_cancel.pl the ends that users ask for.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
-- What other tests left running has its end first.
DO $$ BEGIN FOR i IN 1 .. 300 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'); PERFORM pg_sleep(0.1), pg_stat_clear_snapshot(); END LOOP; END $$;
CREATE SCHEMA lines;
SET search_path = lines, public;
CREATE ROLE lines_plain LOGIN;
CREATE ROLE lines_robot NOLOGIN;
GRANT USAGE ON SCHEMA lines TO lines_plain, lines_robot;
GRANT USAGE ON SCHEMA hyperband TO lines_plain, lines_robot;

CREATE TABLE t AS SELECT n AS id, n % 7 AS a, sin(n) AS b, 'c' || n % 3 AS c, n % 2 = 0 AS y, cos(n) AS r, '{}'::json AS j FROM generate_series(1, 200) n;
CREATE TABLE private AS SELECT * FROM t;
CREATE TABLE halved AS SELECT * FROM t;
GRANT SELECT ON t TO lines_plain, lines_robot;
GRANT SELECT (a, y) ON halved TO lines_plain;
CREATE TABLE guarded AS SELECT * FROM t;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON guarded FOR SELECT TO lines_plain USING (id <= 100);
GRANT SELECT ON guarded TO lines_plain;
CREATE TEMP TABLE fleeting AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t WITH NO DATA;
CREATE SEQUENCE s;
CREATE INDEX i ON t (a);
CREATE TYPE composite AS (a int, y boolean);
SELECT 'CREATE TABLE many (y boolean, ' || string_agg('c' || n || ' real', ', ') || ')' FROM generate_series(1, 1599) n \gexec
CREATE TABLE long_text (a text, y boolean);
SELECT reltoastrelid::regclass AS toast FROM pg_class WHERE oid = 'long_text'::regclass \gset

CREATE FUNCTION said(call text, role name DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text; hint text;
BEGIN
	IF role IS NOT NULL THEN
		EXECUTE format('SET LOCAL ROLE %I', role);
	END IF;
	EXECUTE call;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', sqlstate || ' ' || sqlerrm, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
END $$;
CREATE TABLE calls (n int GENERATED ALWAYS AS IDENTITY, label text, call text, expected text, role name);
INSERT INTO calls (label, call, expected, role) VALUES
	('NULL for a required argument', $q$hyperband_tune(NULL, 'y')$q$, '22004 "train_table" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_tune('t', 'y', scheduler => NULL)$q$, '22004 "scheduler" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_tune('t', 'y', validation => NULL)$q$, '22004 "validation" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_ask(NULL)$q$, '22004 "study" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_tell(1, NULL, 1, 0.5)$q$, '22004 "attempt" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_minimize(NULL, '{"x": 1}')$q$, '22004 "objective" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_create_study(NULL)$q$, '22004 "search_space" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_plan(27, eta => NULL)$q$, '22004 "eta" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_grant('m', NULL)$q$, '22004 "role" must not be null', NULL),
	('NULL for a required argument', $q$hyperband_promote('m', NULL)$q$, '22004 "version" must not be null', NULL),
	('table missing', $q$hyperband_tune('x', 'y')$q$, '42P01 relation "x" does not exist', NULL),
	('no such oid', $q$hyperband_tune(4000000000::oid::regclass, 'y')$q$, '42P01 relation "4000000000" does not exist', NULL),
	('column missing', $q$hyperband_tune('t', 'x')$q$, '42703 column "x" of relation "t" does not exist', NULL),
	('column missing', $q$hyperband_tune('t', 'y', features => '{a,x}')$q$, '42703 column "x" of relation "t" does not exist', NULL),
	('same column twice', $q$hyperband_tune('t', 'y', features => '{a,a}')$q$, '42701 column "a" specified more than once', NULL),
	('label also a feature', $q$hyperband_tune('t', 'y', features => '{y,a}')$q$, '42701 column "y" specified more than once', NULL),
	('injection text for a name', $q$hyperband_tune('t', 'y"; DROP TABLE t; --')$q$, '42703 column "y"; DROP TABLE t; --" of relation "t" does not exist', NULL),
	('injection text for a relation', $q$hyperband_tune('t; DROP TABLE t', 'y')$q$, '42602 invalid name syntax', NULL),
	('no SELECT on the table', $q$hyperband_tune('private', 'y')$q$, '42501 permission denied for table private', 'lines_plain'),
	('no SELECT on a column', $q$hyperband_tune('halved', 'y', features => '{a,b}')$q$, '42501 permission denied for table halved', 'lines_plain'),
	('no SELECT on the target', $q$hyperband_tune('halved', 'r', features => '{a}')$q$, '42501 permission denied for table halved', 'lines_plain'),
	('row security with row_security = off', $q$hyperband_tune('guarded', 'y', features => '{a}', seed => set_config('row_security', 'off', true) = 'x'::text)$q$, '', 'lines_plain'),
	('NOLOGIN role', $q$hyperband_tune('t', 'y')$q$, '42501 role "lines_robot" cannot run background studies | DETAIL The role is not permitted to log in.', 'lines_robot'),
	('temp table', $q$hyperband_tune('fleeting', 'y')$q$, '0A000 cannot train on temporary table "fleeting" | HINT Copy the data into a regular table.', NULL),
	('unpopulated matview', $q$hyperband_tune('m', 'y')$q$, '55000 materialized view "m" has not been populated | HINT Use the REFRESH MATERIALIZED VIEW command.', NULL),
	('index', $q$hyperband_tune('i', 'y')$q$, '42809 "i" is not a table, view or materialized view', NULL),
	('sequence', $q$hyperband_tune('s', 'y')$q$, '42809 "s" is not a table, view or materialized view', NULL),
	('type', $q$hyperband_tune('composite', 'y')$q$, '42809 "composite" is not a table, view or materialized view', NULL),
	('toast', format('hyperband_tune(%L, %L)', :'toast', 'chunk_id'), format('42809 "%s" is not a table, view or materialized view', split_part(:'toast', '.', 2)), NULL),
	('unsupported column type', $q$hyperband_tune('t', 'y', features => '{a,j}')$q$, '42804 column "j" has type json, which cannot be used as a feature', NULL),
	('unsupported column type, columns not named', $q$hyperband_tune('t', 'y')$q$, '42804 column "j" has type json, which cannot be used as a feature | HINT List the columns to train on in "features".', NULL),
	('unsupported target type', $q$hyperband_tune('t', 'j', features => '{a}')$q$, '42804 column "j" has type json, which cannot be a target', NULL),
	('more than 1600 columns', $q$hyperband_tune('t', 'y', features => array_fill('a'::name, ARRAY[1601]))$q$, '54011 too many features | DETAIL Found 1601 columns, at most 1600 can be used.', NULL),
	('search space not an object', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '[1]')$q$, '22023 search space must be a non-empty JSON object', NULL),
	('search space {}', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{}')$q$, '22023 search space must be a non-empty JSON object', NULL),
	('unknown parameter', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"lrr": 1}')$q$, '22023 unrecognized search space parameter "lrr" | HINT %"learning_rate"%', NULL),
	('unknown key', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "float", "low": 0.1, "hihg": 1}}')$q$, '22023 %"hihg"%', NULL),
	('unknown type', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "real", "low": 0, "high": 1}}')$q$, '22023 %"real"%', NULL),
	('low > high', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "float", "low": 1, "high": 0}}')$q$, '22023 lower bound 1 of "l2" is greater than upper bound 0', NULL),
	('log with low <= 0', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "float", "low": 0, "high": 1, "log": true}}')$q$, '22023 bounds of log-scaled parameter "l2" must be positive', NULL),
	('log with low -0', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "float", "low": -0.0, "high": 1, "log": true}}')$q$, '22023 bounds of log-scaled parameter "l2" must be positive', NULL),
	('1e309', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": {"type": "float", "low": 0, "high": 1e309}}')$q$, '22003 "high" of "l2" is out of range', NULL),
	('NaN in JSON', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": NaN}')$q$, '22P02 invalid input syntax for type json%', NULL),
	('NaN as text', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"l2": "NaN"}')$q$, '22023 %"NaN"%', NULL),
	('int bounds fractional', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"units": {"type": "int", "low": 1.5, "high": 8}}')$q$, '22023 %"units"%', NULL),
	('int bounds > int8', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"units": {"type": "int", "low": 1, "high": 1e19}}')$q$, '22003 bounds of integer parameter "units" are out of range', NULL),
	('choices []', $q$hyperband_tune('t', 'y', features => '{a}', search_space => '{"optimizer": []}')$q$, '22023 %"optimizer"%', NULL),
	('choices > 10000', $q$hyperband_tune('t', 'y', features => '{a}', search_space => (SELECT jsonb_build_object('units', jsonb_agg(n)) FROM generate_series(1, 10001) n))$q$, '54000 "units" has 10001 choices, more than 10000', NULL),
	('nesting 3000 deep', $q$hyperband_tune('t', 'y', features => '{a}', search_space => ('{"l2": ' || repeat('[', 3000) || '1' || repeat(']', 3000) || '}')::jsonb)$q$, '22023 %', NULL),
	('eta < 2', $q$hyperband_tune('t', 'y', features => '{a}', eta => 1)$q$, '22023 "eta" must be at least 2', NULL),
	('eta NaN', $q$hyperband_tune('t', 'y', features => '{a}', eta => 'NaN')$q$, '22P02 invalid input syntax for type integer: "NaN"', NULL),
	('eta inf', $q$hyperband_plan(81, eta => 'Infinity'::float8::int)$q$, '22003 integer out of range', NULL),
	('max_resource < min_resource', $q$hyperband_tune('t', 'y', features => '{a}', max_resource => 3, min_resource => 9)$q$, '22023 "max_resource" must be at least "min_resource"', NULL),
	('R < 1', $q$hyperband_tune('t', 'y', features => '{a}', max_resource => 0)$q$, '22023 "max_resource" must be at least "min_resource"', NULL),
	('n overflow', $q$hyperband_tune('t', 'y', features => '{a}', max_resource => 2147483647, eta => 2, n_trials => 2147483647, scheduler => 'full')$q$, '54000 study would have 2147483647 trials | DETAIL The limit is 1000000. | HINT Lower "max_resource" or set "n_trials".', NULL),
	('total budget overflow', $q$hyperband_tune('t', 'y', features => '{a}', max_resource => 2147483647, eta => 2)$q$, '22003 study would need %e% trials%', NULL),
	('time limit 0', $q$hyperband_tune('t', 'y', features => '{a}', time_limit => '0')$q$, '22023 "time_limit" must be positive', NULL),
	('time limit negative', $q$hyperband_tune('t', 'y', features => '{a}', time_limit => '-1 s')$q$, '22023 "time_limit" must be positive', NULL),
	('time limit of months', $q$hyperband_tune('t', 'y', features => '{a}', time_limit => '1 month')$q$, '22023 "time_limit" must be positive | DETAIL Months and years have no fixed length. | HINT Give days, hours, minutes or seconds.', NULL),
	('time limit infinity', $q$hyperband_tune('t', 'y', features => '{a}', time_limit => 'infinity')$q$, '22%', NULL),
	('metric unknown', $q$hyperband_tune('t', 'y', features => '{a}', metric => 'x')$q$, '22023 unrecognized metric "x" | HINT Available metrics are "error", "log_loss" and "auc".', NULL),
	('model unknown', $q$hyperband_tune('t', 'y', features => '{a}', model => 'x')$q$, '22023 unrecognized model "x" | HINT Available models are "mlp"%"linear"%', NULL),
	('sampler unknown', $q$hyperband_tune('t', 'y', features => '{a}', sampler => 'x')$q$, '22023 unrecognized sampler "x" | HINT %"tpe"%', NULL),
	('scheduler unknown', $q$hyperband_tune('t', 'y', features => '{a}', scheduler => 'x')$q$, '22023 unrecognized scheduler "x" | HINT %"asha"%', NULL),
	('model name empty', $q$hyperband_tune('t', 'y', features => '{a}', name => '')$q$, '22023 model name must not be empty', NULL),
	('model name > 255 bytes', $q$hyperband_tune('t', 'y', features => '{a}', name => repeat('ü', 128))$q$, '42622 model name is too long | DETAIL It has 256 bytes, the limit is 255. | HINT Give a shorter "name".', NULL),
	('unknown study id in wait', 'hyperband_wait(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown study id in cancel', 'hyperband_cancel(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown study id in resume', 'hyperband_resume(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown study id in drop', 'hyperband_drop(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown study id in ask', 'hyperband_ask(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown study id in simulate', 'hyperband_simulate(7000000)', '42704 study 7000000 does not exist', NULL),
	('unknown trial id in tell', 'hyperband_tell(7000000, 1, 1, 0.5)', '42704 trial 7000000 does not exist', NULL),
	('predict with no such model', $q$hyperband_predict('x', ROW(1))$q$, '42704 model "x" does not exist | HINT Your own models are found, and those granted to you by hyperband_grant().', NULL);
-- Not a call with arguments: settings of the transaction.
UPDATE calls SET call = $q$hyperband_tune('guarded', 'y', features => '{a}')$q$, expected = '42501 query would be affected by row-level security policy for table "guarded"' WHERE label = 'row security with row_security = off';

CREATE FUNCTION rows_of_catalog() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(relname || ' ' || (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM hyperband.' || quote_ident(relname), true, true, '')))[1], ', ' ORDER BY relname)
	FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r'
$$;
SELECT plan(117);
CREATE TABLE before AS SELECT rows_of_catalog() AS rows;
SELECT alike(CASE label WHEN 'row security with row_security = off' THEN said('SET LOCAL row_security = off; SELECT ' || call, role) ELSE said('SELECT ' || call, role) END,
	CASE WHEN expected LIKE '\%%' OR expected LIKE '%\%%' THEN expected ELSE replace(replace(expected, '\', '\\'), '_', '\_') END, label || ': ' || left(call, 90)) FROM calls ORDER BY n;
SELECT is(rows_of_catalog(), (SELECT rows FROM before), 'none of them wrote a row');
SELECT is((SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor' AND datname = current_database()), 0, 'or started a worker');
SELECT alike(said($$SET TRANSACTION READ ONLY; SELECT hyperband_tune('t', 'y', features => '{a}')$$), '25006 cannot execute hyperband\_tune() in a read-only transaction', 'tune in a read-only transaction');
BEGIN;
GRANT USAGE ON SCHEMA lines TO lines_plain;
DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$;
SELECT is(said($$SELECT hyperband_tune('t', 'y', features => '{a}')$$, 'lines_plain'), '42501 role "lines_plain" cannot run background studies | DETAIL The role is not permitted to connect to this database.', 'no CONNECT');
ROLLBACK;

-- What only the data shows, or the moment of reading.
CREATE FUNCTION failure(id bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	raised text; recorded text; detail text; hint text;
BEGIN
	BEGIN
		RETURN 'ended: ' || hyperband_wait(id, '60 s');
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		raised := concat_ws(' | ', sqlstate || ' ' || sqlerrm, 'DETAIL ' || nullif(detail, ''), 'HINT ' || nullif(hint, ''));
	END;
	SELECT concat_ws(' | ', s.sqlstate || ' ' || s.error, 'DETAIL ' || s.detail, 'HINT ' || s.hint) INTO recorded FROM hyperband.study s WHERE study_id = id;
	RETURN CASE WHEN raised = recorded THEN raised ELSE format('raised %s, recorded %s', raised, recorded) END;
END $$;
CREATE TABLE odd AS SELECT n AS id, CASE WHEN n = 7 THEN 'NaN'::float8 ELSE n END AS nan, CASE WHEN n = 7 THEN 'Infinity'::float4 ELSE n END AS inf, CASE WHEN n = 7 THEN 1e300 ELSE n END AS big,
	ARRAY[CASE WHEN n = 7 THEN 1e300 ELSE n END]::float8[] AS bigs, CASE WHEN n = 7 THEN ARRAY[1, 2, 3] ELSE ARRAY[1, 2, 3, n] END AS ragged, CASE WHEN n = 7 THEN ARRAY[1, NULL] ELSE ARRAY[1, n] END AS holes,
	CASE WHEN n = 7 THEN ARRAY[[1, 2], [3, 4]] ELSE ARRAY[[1, 2], [3, n]] END AS matrix, n % 2 = 0 AS y, true AS same FROM generate_series(1, 200) n;
CREATE TABLE levels AS SELECT n AS id, 'level ' || n AS c, n % 2 = 0 AS y FROM generate_series(1, 1001) n;
CREATE TABLE wide AS SELECT array_fill(n, ARRAY[16385])::int[] AS w, n % 2 = 0 AS y FROM generate_series(1, 40) n;
CREATE TABLE one AS SELECT * FROM t LIMIT 1;
CREATE TABLE few AS SELECT * FROM t LIMIT 19;
CREATE VIEW wrong AS SELECT 1 / (id - 50) AS a, y FROM t;
CREATE TABLE failing (label text, id bigint, expected text);
CREATE FUNCTION fails(label text, arguments text, expected text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
	EXECUTE format('SELECT hyperband_tune(%s %s, name => %L)', arguments, CASE WHEN arguments LIKE '%max_resource%' THEN '' ELSE ', max_resource => 3' END, 'failing ' || label) INTO id;
	INSERT INTO failing VALUES (label, id, expected);
END $$;
SELECT fails('NaN', $$'odd', 'y', features => '{nan}'$$, '22000 column "nan" contains NaN or infinite values') \g /dev/null
SELECT fails('Inf', $$'odd', 'y', features => '{inf}'$$, '22000 column "inf" contains NaN or infinite values') \g /dev/null
SELECT fails('NaN target', $$'odd', 'nan', features => '{id}'$$, '22000 column "nan" contains NaN or infinite values') \g /dev/null
SELECT fails('float8 over float4 range', $$'odd', 'y', features => '{bigs}'$$, '22003 value out of range in column "bigs"') \g /dev/null
SELECT fails('float8 over float4 range, scalar', $$'odd', 'y', features => '{big}'$$, '22003 value out of range in column "big"') \g /dev/null
SELECT fails('arrays of unequal length', $$'odd', 'y', features => '{ragged}'$$, '22000 arrays in column "ragged" have different lengths | DETAIL Expected 4, found 3.') \g /dev/null
SELECT fails('NULL element', $$'odd', 'y', features => '{holes}'$$, '22000 arrays in column "holes" contain null elements') \g /dev/null
SELECT fails('2-D', $$'odd', 'y', features => '{matrix}'$$, '22000 arrays in column "matrix" must have one dimension%') \g /dev/null
SELECT fails('one row', $$'one', 'y', features => '{a}'$$, '22000 not enough rows to train | DETAIL Found 1, need at least 20.') \g /dev/null
SELECT fails('19 rows', $$'few', 'y', features => '{a}'$$, '22000 not enough rows to train | DETAIL Found 19, need at least 20.') \g /dev/null
SELECT fails('fewer rows than folds', $$'t', 'y', features => '{a}', resource => 'folds', max_resource => 500$$, '22000 not enough rows to train | DETAIL Found % training rows, need at least 500.') \g /dev/null
SELECT fails('single class', $$'odd', 'same', features => '{id}'$$, '22000 label column "same" has only one class') \g /dev/null
SELECT fails('more than 16k features', $$'wide', 'y'$$, '54000 too many features%') \g /dev/null
SELECT fails('many levels, strict', $$'levels', 'y', features => '{c}', options => '{"strict": true}'$$, '54000 column "c" has more than 1000 distinct values | HINT Raise hyperband.max_categories or drop the column.') \g /dev/null
SELECT fails('an error of a view', $$'wrong', 'y'$$, '22012 division by zero') \g /dev/null
SELECT alike(failure(id), expected, 'study: ' || label) FROM failing ORDER BY id;
SELECT is((SELECT count(*)::int FROM failing JOIN hyperband.trial ON id = study_id), 0, 'no failed study drew a trial');
SELECT is((SELECT count(*)::int FROM failing JOIN hyperband.checkpoint ON id = study_id), 0, 'or stored weights');
SELECT is((SELECT count(*)::int FROM hyperband.model WHERE name LIKE 'failing %'), 0, 'or made a model');

-- The right to read is asked for again by the worker.
BEGIN;
SET LOCAL ROLE lines_plain;
SELECT hyperband_tune('t', 'y', features => '{a}', max_resource => 1, name => 'revoked') AS revoked \gset
RESET ROLE;
REVOKE SELECT ON t FROM lines_plain;
COMMIT;
SELECT is(failure(:revoked), '42501 permission denied for table t', 'no SELECT any more when the worker reads');
GRANT SELECT ON t TO lines_plain;
BEGIN;
SELECT hyperband_tune('odd', 'y', features => '{id}', max_resource => 1, name => 'changed') AS changed \gset
ALTER TABLE odd DROP COLUMN id;
COMMIT;
SELECT is(failure(:changed), '42703 column "id" of relation "odd" does not exist', 'no such column any more when the worker reads');
SELECT is((SELECT count(*)::int FROM hyperband.model WHERE name IN ('revoked', 'changed')), 0, 'neither left a model');

-- What is unusual but right.
CREATE SCHEMA "Sché""ma";
CREATE TABLE "Sché""ma"."Tab'le; DROP TABLE t --" AS SELECT n AS id, n % 7 AS "a""b", sin(n) AS "Möhre; SELECT 1", 'x' || n % 3 AS "c'%s\", n % 2 = 0 AS "Y y" FROM generate_series(1, 200) n;
DO $$ BEGIN EXECUTE format('CREATE TABLE %I AS SELECT n %% 7 AS %I, n %% 2 = 0 AS %I FROM generate_series(1, 100) n', repeat('T', 63), repeat('f', 63), repeat('é', 31)); END $$;
CREATE TABLE sparse AS SELECT n AS id, CASE WHEN n % 5 = 0 THEN NULL ELSE n END AS a, CASE WHEN n % 4 = 0 THEN NULL ELSE 'c' || n % 3 END AS c, 5 AS constant, CASE WHEN n % 10 = 0 THEN NULL ELSE n % 2 = 0 END AS y FROM generate_series(1, 200) n;
CREATE TABLE lone AS SELECT CASE WHEN n <= 198 THEN n ELSE 1000 + n END AS a, CASE WHEN n <= 198 THEN 'x' || n % 2 ELSE 'rare' END AS y FROM generate_series(1, 200) n;
CREATE TABLE allowed (label text, id bigint);
INSERT INTO allowed SELECT 'names of every kind', hyperband_tune('"Sché""ma"."Tab''le; DROP TABLE t --"', 'Y y', features => ARRAY['a"b', 'Möhre; SELECT 1', 'c''%s\']::name[], max_resource => 3, name => $$N'a"m;e %s \ ü$$);
INSERT INTO allowed SELECT 'names of 63 bytes', hyperband_tune(quote_ident(repeat('T', 63))::regclass, repeat('é', 31)::name, max_resource => 1);
INSERT INTO allowed SELECT 'NULLs in features and target', hyperband_tune('sparse', 'y', features => '{a,c,constant}', max_resource => 3, name => 'sparse');
INSERT INTO allowed SELECT 'a class on few rows', hyperband_tune('lone', 'y', max_resource => 1, name => 'lone');
INSERT INTO allowed SELECT 'low = high', hyperband_tune('t', 'y', features => '{a}', max_resource => 1, search_space => '{"l2": {"type": "float", "low": 0.01, "high": 0.01}}', name => 'constant');
INSERT INTO allowed SELECT 'duplicate keys', hyperband_tune('t', 'y', features => '{a}', max_resource => 1, search_space => '{"l2": "x", "l2": 0.25}', name => 'duplicate');
INSERT INTO allowed SELECT 'many levels', hyperband_tune('levels', 'y', features => '{c}', max_resource => 1, name => 'levels');
SELECT is(hyperband_wait(id, '60 s'), 'done', 'allowed: ' || label) FROM allowed ORDER BY id;
SELECT is((SELECT count(*)::int FROM "Sché""ma"."Tab'le; DROP TABLE t --" r WHERE hyperband_predict($$N'a"m;e %s \ ü$$, r) = hyperband_predict($$N'a"m;e %s \ ü$$, to_jsonb(r))), 200, 'and such names predict, by row and by jsonb');
SELECT is((SELECT count(*)::int FROM t), 200, 'no table was dropped');
SELECT is((SELECT name FROM hyperband.study JOIN allowed ON id = study_id WHERE label = 'names of 63 bytes'), format('lines.%I.%I', repeat('T', 63), repeat('é', 31)), 'the default name of a model quotes them');
SELECT is((SELECT rows_skipped::int FROM hyperband.study JOIN allowed ON id = study_id WHERE label LIKE 'NULLs%'), 20, 'rows without a target are counted');
SELECT is((SELECT features FROM hyperband.model WHERE name = 'sparse'), '{a,c}', 'a constant column is dropped');
SELECT is((SELECT DISTINCT config ->> 'l2' FROM hyperband.trial JOIN allowed ON id = study_id WHERE label = 'duplicate keys'), '0.25', 'of duplicate keys the last counts');
SELECT is((SELECT array_length(labels, 1) FROM hyperband.model WHERE name = 'lone'), 3, 'a class on few rows is learnt all the same');

-- Weights of more than one piece.
CREATE TABLE pictures AS SELECT array_fill((n % 9)::real, ARRAY[6000]) AS p, n % 2 = 0 AS y FROM generate_series(1, 40) n;
SELECT hyperband_tune('pictures', 'y', max_resource => 3, scheduler => 'halving', n_trials => 3, eta => 3, search_space => '{"units": 1024, "layers": 1, "optimizer": "nesterov", "l2": [0.001, 0.01, 0.1]}', name => 'heavy', trainers => 1) AS heavy \gset
SELECT is(hyperband_wait(:heavy, '120 s'), 'done', 'weights of more than 16 MB');
SELECT cmp_ok((SELECT max(length(data)) FROM hyperband.checkpoint WHERE study_id = :heavy), '<=', 16777216, 'are stored in pieces of at most 16 MB');
SELECT cmp_ok((SELECT max(chunk) FROM hyperband.checkpoint WHERE study_id = :heavy), '>', 0, 'of which there are several');
SELECT ok((SELECT hyperband_predict('heavy', x) BETWEEN 0 AND 1 FROM pictures x LIMIT 1), 'and predict');

SELECT * FROM finish();
