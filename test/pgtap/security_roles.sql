-- Who can do what to whom.  006_permissions.pl has the gate, the catalog's row security and functions in views.  The attackers here:
--   a role with the gate (USAGE on schema hyperband) and no rights on another's studies, models and tables;
--   one who was granted a model, and wants more than its predictions;
--   the owner of a view, type or function that somebody more powerful trains on, who wants that one's rights;
--   one who puts functions, operators and casts of the names that the extension uses where a search_path finds them first;
--   one who reads logs, pg_stat_activity, errors and loss curves, and wants rows that are hidden from them.
-- What they have in common: they can log in, create objects in a schema of their own, and are no superuser.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA sec;
SET search_path = sec, public;
CREATE ROLE sec_alice LOGIN;
CREATE ROLE sec_bob LOGIN;
CREATE ROLE sec_carol LOGIN;
CREATE ROLE sec_dora LOGIN;
GRANT USAGE ON SCHEMA sec, hyperband TO sec_alice, sec_bob, sec_dora;
GRANT USAGE ON SCHEMA sec TO sec_carol;
CREATE SCHEMA sec_mal AUTHORIZATION sec_alice;
GRANT USAGE ON SCHEMA sec_mal TO PUBLIC;
CREATE TABLE rows AS SELECT n AS id, n % 7 AS a, sin(n) AS b, CASE WHEN n <= 5 THEN 'secret-' || n ELSE 'c' || n % 3 END AS c, timestamptz '2020-01-01 UTC' + n * interval '7 hours' AS at, n % 2 = 0 AS y FROM generate_series(1, 200) n;
GRANT SELECT ON rows TO sec_alice, sec_bob;

-- said(role, statement): its SQLSTATE and message, or the first column of its first row; run with the search_path of sec.path.
CREATE FUNCTION said(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	path text := current_setting('search_path');
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	PERFORM set_config('search_path', coalesce(nullif(current_setting('sec.path', true), ''), path), true);
	EXECUTE statement INTO answer;
	PERFORM pg_catalog.set_config('search_path', path, true);
	RESET ROLE;
	RETURN answer;
EXCEPTION WHEN query_canceled OR OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END $$;
-- A study of a role: what became of it.
CREATE TABLE made (label text PRIMARY KEY, id bigint);
CREATE PROCEDURE train(label text, role name, arguments text) LANGUAGE plpgsql AS $$
DECLARE
	study text;
BEGIN
	study := sec.said(role, format('SELECT public.hyperband_tune(%s, max_resource => 1, model => ''linear'', name => %L)', arguments, label));
	IF study ~ '^[0-9]+$' THEN
		INSERT INTO sec.made VALUES (label, study::bigint);
	END IF;
	COMMIT;
	PERFORM sec.said('postgres', format('SELECT public.hyperband_wait(%s)', study)) WHERE study ~ '^[0-9]+$';
	COMMIT;
END $$;
CREATE FUNCTION became(label text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', state, sqlstate, error) FROM sec.made JOIN hyperband.study ON study_id = id WHERE made.label = became.label
$$;

-- One study of each kind of alice's.
CALL train('alices', 'sec_alice', $$'sec.rows', 'y', features => '{a,b,c,at}'$$);
SELECT said('sec_alice', $$SELECT hyperband_create_study('{"x": {"type": "float", "low": 0, "high": 1}}', max_resource => 9)$$) AS external \gset
SELECT said('sec_alice', 'SELECT trial_id FROM hyperband_ask(' || :external || ')') AS trial \gset
SELECT id AS alices FROM made WHERE label = 'alices' \gset
CALL train('bobs', 'sec_bob', $$'sec.rows', 'y', features => '{a,b}'$$);
SELECT plan(162);
SELECT is(became('alices'), 'done', 'a role with LOGIN, USAGE on the schema and SELECT on the table is all that a study needs');

-- Another role: a study that is not one's own does not exist; neither does a model.
SELECT is(said('sec_bob', call), format('42704 study %s does not exist', study), 'another''s study: ' || call) FROM (SELECT format(f, study) AS call, study FROM
	unnest('{"SELECT hyperband_wait(%s, ''1 s'')",SELECT hyperband_cancel(%s),SELECT hyperband_resume(%s),SELECT hyperband_drop(%s),SELECT hyperband_ask(%s),SELECT hyperband_simulate(%s)}'::text[]) f, unnest(ARRAY[:alices, :external]) study) x;
SELECT is(said('sec_bob', 'SELECT hyperband_tell(' || :trial || ', 1, 1, 0.5)'), '42704 trial ' || :trial || ' does not exist', 'another''s trial cannot be told of');
SELECT is(said('sec_bob', format($$SELECT hyperband_tune('sec.rows', 'y', features => '{a}', options => '{"warm_start": %s}')$$, :alices)), format('42704 study %s does not exist', :alices), 'or started from');
SELECT is(said('sec_bob', format($$SELECT hyperband_create_study('{"x": 1}', options => '{"warm_start": %s}')$$, :alices)), format('42704 study %s does not exist', :alices), 'nor by an outside study');
SELECT alike(said('sec_bob', call), '42704 model "alices" does not exist', 'another''s model: ' || call) FROM unnest(ARRAY[$$SELECT hyperband_predict('alices', r) FROM sec.rows r$$, $$SELECT hyperband_classify('alices', '{}'::jsonb)$$,
	$$SELECT hyperband_probabilities('alices', r, 1) FROM sec.rows r$$, $$SELECT hyperband_promote('alices', 1)$$, $$SELECT hyperband_drop_model('alices')$$, $$SELECT hyperband_grant('alices', 'sec_bob')$$, $$SELECT hyperband_revoke('alices', 'sec_bob')$$]) call;
SELECT alike(said('sec_bob', format('%s hyperband.%I %s', v, relname, CASE v WHEN 'UPDATE' THEN 'SET study_id = 1' WHEN 'INSERT INTO' THEN 'DEFAULT VALUES' ELSE '' END)), '42%', format('%s of %s is closed', v, relname))
	FROM pg_class, unnest('{INSERT INTO,UPDATE,DELETE FROM,TRUNCATE,LOCK TABLE}'::text[]) v WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r' AND relname <> 'model_data';

-- Whoever was granted a model gets its predictions, and nothing that would show the rows it was trained on.
SELECT said('sec_alice', $$SELECT hyperband_grant('alices', 'sec_carol'), hyperband_grant('alices', 'sec_bob')$$) \g /dev/null
-- Each table and view has something of alice's by now (a queue is empty when nobody waits), and dora, who has the gate but no study and no grant, sees none of it.
SELECT said('sec_alice', $$SELECT hyperband_tune('sec.rows', 'y', features => '{a,b}', model => 'linear', scheduler => 'racing', resource => 'folds', max_resource => 4, n_trials => 4)$$) AS race \gset
SELECT said('sec_alice', 'SELECT hyperband_wait(' || :race || ')') \g /dev/null
SELECT cmp_ok(said('sec_alice', format('SELECT count(*) FROM hyperband.%I', relname))::int, '>', 0, 'there is something in ' || relname)
	FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'queue' ORDER BY relname;
SELECT is(said('sec_dora', format('SELECT count(*) FROM hyperband.%I', relname)), '0', 'nothing of another''s is seen in ' || relname)
	FROM pg_class WHERE relnamespace = 'hyperband'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
GRANT SELECT ON rows TO sec_carol;
SELECT matches(said('sec_carol', $$SELECT hyperband_predict('alices', r) FROM sec.rows r WHERE id = 1$$), '^0\.', 'a grant is enough to predict, without the gate');
SELECT is(said('sec_bob', 'SELECT count(*) FROM hyperband.' || t || ' WHERE to_jsonb(' || t || ')::text LIKE ''%secret-%'''), '0', 'a grant shows no value of the rows: ' || t) FROM unnest('{model,study,trial}'::text[]) t;
SELECT ok(bool_or(to_jsonb(m)::text LIKE '%secret-%'), 'the model has some of them') FROM hyperband.model m WHERE name = 'alices';
SELECT is(said('sec_bob', 'SELECT count(*) FROM hyperband.model_data WHERE model_id = ' || model_id), '0', 'nor its weights') FROM hyperband.model WHERE name = 'alices';
SELECT is(said('sec_bob', 'SELECT count(*) FROM hyperband.' || t || ' WHERE study_id = ' || :alices), '0', 'nor the study: ' || t) FROM unnest('{study,loss_curve,evaluation,checkpoint,trial}'::text[]) t;
SELECT matches(said('sec_bob', call), '^42', 'a grant gives no more: ' || call) FROM unnest(ARRAY[$$SELECT hyperband_promote('alices', 1)$$, $$SELECT hyperband_drop_model('alices')$$, $$SELECT hyperband_grant('alices', 'sec_carol')$$, $$SELECT hyperband_revoke('alices', 'sec_carol')$$]) call;

-- The same prediction for every role and whatever its settings.
CREATE FUNCTION predictions() RETURNS text LANGUAGE sql AS $$
	SELECT $q$SELECT md5(string_agg(encode(float8send(hyperband_predict('alices', r)), 'hex') || hyperband_predict('alices', to_jsonb(r)), ',' ORDER BY id)) FROM sec.rows r$q$
$$;
SELECT said('sec_alice', $$SELECT hyperband_grant('alices', 'postgres')$$) \g /dev/null
SELECT is(said(role, predictions()), said('sec_alice', predictions()), 'the same predictions for ' || role) FROM unnest('{sec_bob,sec_carol,postgres}'::name[]) role;
SELECT said('sec_alice', predictions()) AS expected \gset
SET timezone = 'Asia/Tokyo';
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SELECT matches(:'expected'::text, '^[0-9a-f]{32}$', 'there is something to compare');
SELECT is(said('sec_bob', $$SELECT md5(string_agg(encode(float8send(hyperband_predict('alices', r)), 'hex'), ',' ORDER BY id)) FROM sec.rows r$$),
	said('sec_alice', $$SELECT md5(string_agg(encode(float8send(hyperband_predict('alices', r)), 'hex'), ',' ORDER BY id)) FROM sec.rows r$$), 'in another time zone and style, too');
RESET timezone;
RESET datestyle;
RESET intervalstyle;

-- Objects of alice's that run while somebody trains on them: at most with that one's rights, in a transaction that cannot write.
SET ROLE sec_alice;
CREATE TABLE sec_mal.loot (what text);
GRANT ALL ON sec_mal.loot TO PUBLIC;
CREATE FUNCTION sec_mal.positive(v int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sec_mal.loot VALUES ('domain as ' || current_user); RETURN true; END $$;
CREATE DOMAIN sec_mal.checked AS int CHECK (sec_mal.positive(value));
CREATE FUNCTION sec_mal.to_int(v text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sec_mal.loot VALUES ('cast as ' || current_user); RETURN 1; END $$;
CREATE TYPE sec_mal.mood AS ENUM ('low', 'high');
CREATE FUNCTION sec_mal.from_mood(v sec_mal.mood) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO sec_mal.loot VALUES ('mood as ' || current_user); RETURN 1; END $$;
CREATE CAST (sec_mal.mood AS int) WITH FUNCTION sec_mal.from_mood(sec_mal.mood) AS IMPLICIT;
CREATE FUNCTION sec_mal.climb(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE sec_alice SUPERUSER'; RETURN v; END $$;
CREATE FUNCTION sec_mal.switch(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET ROLE postgres; RETURN v; END $$;
CREATE FUNCTION sec_mal.temporary(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE study (x int); RETURN v; END $$;
CREATE FUNCTION sec_mal.writable(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN SET transaction_read_only = off; INSERT INTO sec_mal.loot VALUES ('writable'); RETURN v; END $$;
CREATE FUNCTION sec_mal.told(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.hyperband_cancel(study_id) FROM hyperband.study; RETURN v; END $$;
CREATE VIEW sec_mal.domain_view AS SELECT a::sec_mal.checked AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.cast_view AS SELECT sec_mal.to_int(c) AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.mood_view AS SELECT (CASE WHEN a > 3 THEN 'high' ELSE 'low' END)::sec_mal.mood + 1 AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.climb_view AS SELECT sec_mal.climb(a) AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.switch_view AS SELECT sec_mal.switch(a) AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.temporary_view AS SELECT sec_mal.temporary(a) AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.writable_view AS SELECT sec_mal.writable(a) AS a, b, y FROM sec.rows;
CREATE VIEW sec_mal.told_view AS SELECT sec_mal.told(a) AS a, b, y FROM sec.rows;
CREATE TABLE sec_mal.defaulted (a int DEFAULT sec_mal.climb(1), b float8, y boolean);
INSERT INTO sec_mal.defaulted SELECT a, b, y FROM sec.rows;
GRANT SELECT ON ALL TABLES IN SCHEMA sec_mal TO PUBLIC;
RESET ROLE;
CALL train('domain', 'postgres', $$'sec_mal.domain_view', 'y', features => '{a,b}'$$);
CALL train('cast', 'postgres', $$'sec_mal.cast_view', 'y', features => '{a,b}'$$);
CALL train('mood', 'postgres', $$'sec_mal.mood_view', 'y', features => '{a,b}'$$);
CALL train('climb', 'postgres', $$'sec_mal.climb_view', 'y', features => '{a,b}'$$);
CALL train('switch', 'postgres', $$'sec_mal.switch_view', 'y', features => '{a,b}'$$);
CALL train('temporary', 'postgres', $$'sec_mal.temporary_view', 'y', features => '{a,b}'$$);
CALL train('writable', 'postgres', $$'sec_mal.writable_view', 'y', features => '{a,b}'$$);
CALL train('told', 'postgres', $$'sec_mal.told_view', 'y', features => '{a,b}'$$);
CALL train('defaulted', 'postgres', $$'sec_mal.defaulted', 'y', features => '{a,b}'$$);
CALL train('bob reads domain', 'sec_bob', $$'sec_mal.domain_view', 'y', features => '{a,b}'$$);
SELECT alike(became(label), expected, 'a superuser trains on alice''s ' || label) FROM (VALUES ('domain', 'failed 25006 %'), ('cast', 'failed 25006 %'), ('mood', 'failed 25006 %'), ('climb', 'failed 25006 %'), ('switch', 'failed 42501 %'),
	('temporary', 'failed %'), ('writable', 'failed 25%'), ('told', 'failed 25006 %'), ('defaulted', 'done'), ('bob reads domain', 'failed 25006 %')) x (label, expected);
SELECT is((SELECT count(*)::int FROM sec_mal.loot), 0, 'none of it wrote');
SELECT ok(NOT (SELECT rolsuper FROM pg_roles WHERE rolname = 'sec_alice'), 'and alice is no superuser');

-- Names that the extension uses, found first by the search_path of a session and of a role.
SET ROLE sec_alice;
CREATE FUNCTION sec_mal.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE FUNCTION sec_mal.trap(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE FUNCTION sec_mal.trap(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE OPERATOR sec_mal.= (LEFTARG = text, RIGHTARG = text, FUNCTION = sec_mal.trap);
CREATE OPERATOR sec_mal.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = sec_mal.trap);
CREATE OPERATOR sec_mal.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = sec_mal.trap);
CREATE FUNCTION sec_mal.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE FUNCTION sec_mal.jsonb_hash(jsonb) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE FUNCTION sec_mal.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION sec_mal.has_database_privilege(oid, name, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
CREATE TABLE sec_mal.study (study_id bigint, owner oid);
CREATE TABLE sec_mal.pg_class (relname text);
RESET ROLE;
CREATE FUNCTION hour(v int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN v + 0 * extract(hour FROM now()); END $$;
CREATE VIEW unqualified AS SELECT hour(a) AS a, b, y FROM rows;
GRANT SELECT ON unqualified TO sec_bob;
ALTER ROLE sec_bob SET search_path = sec_mal, pg_catalog, sec, public;
SET sec.path = 'sec_mal, pg_catalog, sec, public';
CALL train('trapped', 'sec_bob', $$'sec.rows', 'y', features => '{a,b,c}'$$);
CALL train('trapped view', 'sec_bob', $$'sec.unqualified', 'y', features => '{a,b}'$$);
SELECT matches(said('sec_bob', $$SELECT public.hyperband_predict('trapped', r) FROM sec.rows r WHERE r.a OPERATOR(pg_catalog.=) 1$$), '^0\.', 'a hostile search_path catches no name: predict');
SELECT said('sec_bob', $$SELECT public.hyperband_create_study('{"x": [1, 2]}', max_resource => 1)$$) AS trapped \gset
SELECT matches(said('sec_bob', 'SELECT trial_id FROM public.hyperband_ask(' || :trapped || ')'), '^[0-9]+$', 'a hostile search_path catches no name: ask');
SELECT said('sec_bob', 'SELECT count(*) FROM hyperband.progress') AS progress, said('sec_bob', 'SELECT count(*) FROM hyperband.leaderboard') AS leaderboard \gset
SET sec.path = '';
ALTER ROLE sec_bob RESET search_path;
SELECT is(became('trapped'), 'done', 'a hostile search_path catches no name: tune and its worker');
SELECT is(became('trapped view'), 'done', 'a hostile search_path catches no name: a function of a view that is read');
SELECT matches(:'progress'::text, '^[1-9][0-9]*$', 'a hostile search_path catches no name: progress');
SELECT matches(:'leaderboard'::text, '^[1-9][0-9]*$', 'a hostile search_path catches no name: leaderboard');

-- A function that is minimised has its owner's rights, not the extension's.
SET ROLE sec_bob;
CREATE FUNCTION pg_temp.nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
GRANT CREATE ON SCHEMA sec TO sec_bob;
SET ROLE sec_bob;
CREATE FUNCTION sec.greedy(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE attempts text[] := ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION postgres', 'SET ROLE postgres']; a text;
BEGIN
	FOREACH a IN ARRAY attempts LOOP BEGIN EXECUTE a; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP;
	IF current_user <> 'sec_bob' OR session_user <> 'sec_bob' OR current_setting('is_superuser')::boolean THEN RETURN -1; END IF;
	BEGIN
		UPDATE hyperband.study SET owner = 'postgres'::regrole;
		RETURN -2;
	EXCEPTION WHEN insufficient_privilege THEN NULL;
	END;
	RETURN 1;
END $$;
RESET ROLE;
SELECT said('sec_bob', $$SELECT hyperband_minimize('sec.greedy(jsonb,int)', '{"x": [1, 2, 3]}', scheduler => 'full', max_resource => 1, n_trials => 3)$$) AS greedy \gset
SELECT said('sec_bob', 'SELECT hyperband_wait(' || :greedy || ')') AS state \gset
SELECT is(:'state'::text, 'done', 'a greedy objective is minimised');
SELECT is((SELECT min(loss) FROM hyperband.trial WHERE study_id = :greedy), 1::float8, 'and stays its owner, who cannot write the catalog');

-- Nothing of the rows in what others can look at.
CREATE TABLE leaky AS SELECT n AS id, CASE WHEN n = 150 THEN 'secret-' || n ELSE n::text END AS t, n % 2 = 0 AS y FROM generate_series(1, 200) n;
CREATE VIEW leaking AS SELECT t::int AS t, y FROM leaky;
ALTER TABLE leaky ENABLE ROW LEVEL SECURITY;
CREATE POLICY shown ON leaky FOR SELECT TO sec_bob USING (id < 100);
GRANT SELECT ON leaky, leaking TO sec_bob;
ALTER VIEW leaking SET (security_invoker = true);
CALL train('hidden rows', 'sec_bob', $$'sec.leaking', 'y', features => '{t}'$$);
SELECT is(became('hidden rows'), 'done', 'row security holds in a view of the invoker: the row that would raise is not read');
SELECT is((SELECT rows_train + rows_validation FROM hyperband.study JOIN made ON id = study_id WHERE label = 'hidden rows'), 99::bigint, 'and only visible rows are');
CREATE TABLE floats AS SELECT n AS id, CASE WHEN n = 150 THEN 'Infinity'::float8 ELSE 4242.4242 END AS t, n % 2 = 0 AS y FROM generate_series(1, 200) n;
GRANT SELECT ON floats TO sec_bob;
CALL train('a bad value', 'sec_bob', $$'sec.floats', 'y', features => '{t}'$$);
SELECT is(became('a bad value'), 'failed 22000 column "t" contains NaN or infinite values', 'an error names the column, not the row or the value');
SELECT is_empty($$SELECT * FROM pg_stat_activity WHERE backend_type LIKE 'hyperband%' AND (query LIKE '%secret-%' OR query LIKE '%rows%' OR application_name LIKE '%rows%')$$, 'pg_stat_activity shows the number of a study, not its table');

SELECT * FROM finish();
