-- The SQL surface that the first release fixes, and a COMMENT on every public object.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
BEGIN;
SELECT plan(54);

-- All functions of a name, one a line; NULL where there is none.
CREATE FUNCTION pg_temp.signature(function text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(pg_get_function_arguments(oid) || coalesce(' -> ' || pg_get_function_result(oid), ''), E'\n' ORDER BY pg_get_function_arguments(oid))
	FROM pg_proc WHERE proname = $1
$$;
SELECT is(pg_temp.signature('hyperband_tune'),
	'train_table regclass, target name, model text DEFAULT ''mlp''::text, search_space jsonb DEFAULT NULL::jsonb, features name[] DEFAULT NULL::name[], '
	'name text DEFAULT NULL::text, task text DEFAULT NULL::text, metric text DEFAULT NULL::text, sampler text DEFAULT ''random''::text, '
	'scheduler text DEFAULT ''hyperband''::text, max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3, '
	'resource text DEFAULT ''epochs''::text, n_trials integer DEFAULT NULL::integer, validation double precision DEFAULT 0.2, seed bigint DEFAULT 0, '
	'trainers integer DEFAULT NULL::integer, device text DEFAULT NULL::text, time_limit interval DEFAULT NULL::interval, '
	'options jsonb DEFAULT ''{}''::jsonb -> bigint', 'hyperband_tune');
SELECT is((SELECT prokind FROM pg_proc WHERE proname = 'hyperband_run'), 'p', 'hyperband_run is a procedure');
SELECT ok((SELECT r.proargnames[1:21] = t.proargnames AND r.pronargdefaults = t.pronargdefaults + 1 AND r.proargnames[22] = 'study'
	FROM pg_proc r, pg_proc t WHERE r.proname = 'hyperband_run' AND t.proname = 'hyperband_tune'), 'hyperband_run takes the same arguments, and the study');
SELECT is(pg_temp.signature('hyperband_wait'), 'study bigint, timeout interval DEFAULT NULL::interval -> text', 'hyperband_wait');
SELECT is(pg_temp.signature('hyperband_cancel'), 'study bigint -> boolean', 'hyperband_cancel');
SELECT is(pg_temp.signature('hyperband_resume'), 'study bigint -> void', 'hyperband_resume');
SELECT is(pg_temp.signature('hyperband_drop'), 'study bigint -> void', 'hyperband_drop');
SELECT is(pg_temp.signature('hyperband_plan'),
	'max_resource integer, eta integer DEFAULT 3, min_resource integer DEFAULT 1, scheduler text DEFAULT ''hyperband''::text, n_trials integer DEFAULT NULL::integer, '
	'options jsonb DEFAULT ''{}''::jsonb -> TABLE(bracket integer, rung integer, trials integer, resource integer)', 'hyperband_plan');
SELECT is(pg_temp.signature('hyperband_models'),
	' -> TABLE(model text, parameter text, type text, low double precision, high double precision, log boolean, choices jsonb, default_value jsonb, condition jsonb, description text)', 'hyperband_models');
SELECT is(pg_temp.signature('hyperband_predict'),
	E'name text, input jsonb, version integer DEFAULT NULL::integer -> double precision\nname text, input record, version integer DEFAULT NULL::integer -> double precision', 'hyperband_predict');
SELECT is(pg_temp.signature('hyperband_classify'),
	E'name text, input jsonb, version integer DEFAULT NULL::integer -> text\nname text, input record, version integer DEFAULT NULL::integer -> text', 'hyperband_classify');
SELECT is(pg_temp.signature('hyperband_probabilities'),
	E'name text, input jsonb, version integer DEFAULT NULL::integer -> jsonb\nname text, input record, version integer DEFAULT NULL::integer -> jsonb', 'hyperband_probabilities');
SELECT is(pg_temp.signature('hyperband_grant'), 'name text, role regrole -> void', 'hyperband_grant');
SELECT is(pg_temp.signature('hyperband_revoke'), 'name text, role regrole -> void', 'hyperband_revoke');
SELECT is(pg_temp.signature('hyperband_promote'), 'name text, version integer -> boolean', 'hyperband_promote');
SELECT is(pg_temp.signature('hyperband_drop_model'), 'name text, version integer DEFAULT NULL::integer -> void', 'hyperband_drop_model');
SELECT is(pg_temp.signature('hyperband_create_study'), 'search_space jsonb, sampler text DEFAULT ''random''::text, scheduler text DEFAULT ''hyperband''::text, '
	'max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3, resource text DEFAULT ''epochs''::text, '
	'n_trials integer DEFAULT NULL::integer, seed bigint DEFAULT 0, name text DEFAULT NULL::text, time_limit interval DEFAULT NULL::interval, '
	'options jsonb DEFAULT ''{}''::jsonb, direction text DEFAULT ''minimize''::text -> bigint', 'hyperband_create_study');
SELECT is(pg_temp.signature('hyperband_ask'), 'study bigint, n integer DEFAULT 1 -> TABLE(trial_id bigint, attempt integer, config jsonb, from_resource integer, to_resource integer)', 'hyperband_ask');
SELECT is(pg_temp.signature('hyperband_tell'), 'trial_id bigint, attempt integer, resource integer, loss double precision, metrics jsonb DEFAULT NULL::jsonb -> void', 'hyperband_tell');
SELECT is(pg_temp.signature('hyperband_minimize'), 'objective regprocedure, search_space jsonb, sampler text DEFAULT ''random''::text, scheduler text DEFAULT ''hyperband''::text, '
	'max_resource integer DEFAULT 81, min_resource integer DEFAULT 1, eta integer DEFAULT 3, resource text DEFAULT ''epochs''::text, '
	'n_trials integer DEFAULT NULL::integer, seed bigint DEFAULT 0, name text DEFAULT NULL::text, time_limit interval DEFAULT NULL::interval, '
	'options jsonb DEFAULT ''{}''::jsonb, workers integer DEFAULT 1 -> bigint', 'hyperband_minimize');
SELECT is(pg_temp.signature('hyperband_simulate'), 'study bigint, scheduler text DEFAULT ''hyperband''::text, eta integer DEFAULT 3, seed bigint DEFAULT 0, '
	'options jsonb DEFAULT ''{}''::jsonb -> TABLE(resource_spent bigint, best_loss double precision, regret double precision)', 'hyperband_simulate');

SELECT ok(bool_and(provolatile = 's' AND proparallel = 's'), 'predict and its siblings are STABLE and PARALLEL SAFE')
	FROM pg_proc WHERE proname IN ('hyperband_predict', 'hyperband_classify', 'hyperband_probabilities');
SELECT ok(bool_and(provolatile = 'v' AND proparallel = 'u'), 'what writes is VOLATILE and PARALLEL UNSAFE')
	FROM pg_proc WHERE proname ~ '^hyperband_(tune|run|create_study|minimize|ask|tell|wait|cancel|resume|drop|grant|revoke|promote|drop_model)$';
SELECT ok(NOT bool_or(proisstrict), 'none is STRICT') FROM pg_proc WHERE proname LIKE 'hyperband\_%';
SELECT ok(NOT bool_or(prosecdef), 'none is SECURITY DEFINER') FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
	WHERE proname LIKE 'hyperband\_%' OR nspname = 'hyperband';
SELECT is((SELECT extrelocatable FROM pg_extension WHERE extname = 'hyperband'), false, 'not relocatable');
SELECT is((SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = 'hyperband'), false, 'not trusted');

-- Tables and views, with the columns other tools rely on.
SELECT columns_are('hyperband', 'study', string_to_array('study_id owner kind state name relation relation_oid objective target features task model metric direction sampler scheduler resource device search_space options max_resource min_resource eta n_trials trainers settings warm validation seed split_seed time_limit rows_train rows_validation rows_skipped fingerprint versions resource_planned resource_spent best_trial_id best_loss cancel_requested system_identifier sqlstate error detail hint created_at started_at run_at run_from finished_at', ' ')::name[]);
SELECT columns_are('hyperband', 'bracket', string_to_array('study_id bracket trials min_resource rungs', ' ')::name[]);
SELECT columns_are('hyperband', 'trial', string_to_array('trial_id study_id number bracket config state rung resource attempt started_seq loss metrics sqlstate error started_at finished_at', ' ')::name[]);
SELECT columns_are('hyperband', 'evaluation', string_to_array('trial_id rung study_id resource attempt seq result_seq loss metrics seconds rank promoted recorded_at', ' ')::name[]);
SELECT columns_are('hyperband', 'loss_curve', string_to_array('trial_id resource study_id train_loss validation_loss metric_value elapsed', ' ')::name[]);
SELECT columns_are('hyperband', 'checkpoint', string_to_array('trial_id resource chunk study_id format total_bytes crc data', ' ')::name[]);
SELECT columns_are('hyperband', 'model', string_to_array('model_id owner name version is_current study_id trial_id family task features feature_types labels encoder metric loss metrics test_metrics resource split_key format total_bytes crc created_at', ' ')::name[]);
SELECT columns_are('hyperband', 'model_data', string_to_array('model_id chunk data', ' ')::name[]);
SELECT columns_are('hyperband', 'model_grant', string_to_array('owner name grantee', ' ')::name[]);
SELECT columns_are('hyperband', 'progress', string_to_array('study_id owner name state bar brackets_done brackets rungs_done rungs trials_running trials_done trials resource_spent resource_planned best_loss best_metric_value elapsed eta', ' ')::name[]);
SELECT columns_are('hyperband', 'leaderboard', string_to_array('study_id place trial_id number bracket state resource loss metric_value config curve', ' ')::name[]);
SELECT columns_are('hyperband', 'rung_audit', string_to_array('study_id bracket rung resource trials promoted rank_correlation winner_rank cut_loss regret', ' ')::name[]);
SELECT columns_are('hyperband', 'bracket_audit', string_to_array('study_id bracket min_resource trials resource_spent best_loss equal_resource loss_at_equal_resource place', ' ')::name[]);
SELECT columns_are('hyperband', 'racing_audit', string_to_array('study_id trial_id number pulls mean bound difference difference_bound state', ' ')::name[]);
SELECT is(pg_temp.signature('race'),
	'study_id bigint -> TABLE(trial_id bigint, number integer, pulls integer, mean double precision, bound double precision, difference double precision, difference_bound double precision, state text)', 'hyperband.race');
SELECT col_type_is('hyperband', 'rung_audit', 'regret', 'double precision', 'rung_audit.regret');

-- Every object of the extension is commented, and every table goes into dumps.
SELECT is(array_agg(object ORDER BY object), NULL, 'every table, view, function and schema has a COMMENT') FROM (
	SELECT pg_describe_object(classid, objid, 0) AS object FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'hyperband')
	  AND classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass)
	  AND NOT (classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = objid) NOT IN ('r', 'v'))
	  AND obj_description(objid, classid::regclass::name) IS NULL) x;
SELECT ok(obj_description((SELECT oid FROM pg_extension WHERE extname = 'hyperband'), 'pg_extension') IS NOT NULL, 'so has the extension');
SELECT is((SELECT count(*)::int FROM unnest((SELECT extconfig FROM pg_extension WHERE extname = 'hyperband')) c JOIN pg_class ON pg_class.oid = c WHERE relkind = 'r'),
	13, 'all thirteen tables are registered for dumps');
SELECT ok(bool_and(relrowsecurity), 'row security is on for every table') FROM pg_class
	WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'r';
SELECT ok(bool_and(reloptions @> ARRAY['security_invoker=true']), 'every view is security_invoker') FROM pg_class
	WHERE relnamespace = 'hyperband'::regnamespace AND relkind = 'v';

-- Settings.
SELECT lives_ok('LOAD ''hyperband''', 'the library can be loaded by hand');
SELECT set_eq($$SELECT name FROM pg_settings WHERE name LIKE 'hyperband.%' AND name <> 'hyperband.fault'$$,
	string_to_array('hyperband.trainers hyperband.device hyperband.max_trainers hyperband.max_studies hyperband.max_data_memory hyperband.trainer_memory hyperband.max_categories hyperband.curve_flush', ' '), 'the settings');
SELECT throws_ok('SET hyperband.trainer = 2', '42602', NULL, 'a misspelt setting is an error');
SELECT throws_ok('SET hyperband.trainers = 0', '22023', NULL, 'hyperband.trainers = 0');
SELECT throws_ok('SET hyperband.device = ''tpu''', '22023', NULL, 'hyperband.device = tpu');
SELECT throws_ok('SET hyperband.max_studies = 2', '55P02', NULL, 'hyperband.max_studies is not for a session');

SELECT * FROM finish();
ROLLBACK;
