-- Studies whose trials others train: ask and tell, SQL functions as objectives, replays, which bracket was best.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA ask_tell;
SET search_path = ask_tell, public;
SELECT plan(258);

-- The bowl is lowest at x = 0.3 and gets deeper with the resource.
CREATE FUNCTION bowl(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT abs((config ->> 'x')::float8 - 0.3) + 1.0 / resource $$;
CREATE FUNCTION space() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"x": {"type": "float", "low": 0, "high": 1}}'::jsonb $$;
-- Asks for up to n trials at once, tells them in the order of their resource, until nothing is left. Returns the number of trials told.
CREATE FUNCTION work(study bigint, n int DEFAULT 1, sign float8 DEFAULT 1) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	told int := 0;
	a record;
	batch int;
BEGIN
	LOOP
		batch := 0;
		FOR a IN SELECT * FROM hyperband_ask(study, n) LOOP
			PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, sign * bowl(a.config, a.to_resource));
			batch := batch + 1;
		END LOOP;
		EXIT WHEN batch = 0;
		told := told + batch;
	END LOOP;
	RETURN told;
END $$;
CREATE FUNCTION plan_of(study bigint) RETURNS TABLE (bracket int, rung int, trials bigint, resource int) LANGUAGE sql AS $$
	SELECT t.bracket, e.rung, count(*), e.resource FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
	WHERE e.study_id = study GROUP BY 1, 2, 4 ORDER BY 1 DESC, 2
$$;
CREATE FUNCTION rungs_are_right(study bigint) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_or(worst IS NOT NULL) AND bool_and(worst <= best) FROM (
		SELECT max(e.loss) FILTER (WHERE e.promoted) AS worst, min(e.loss) FILTER (WHERE NOT e.promoted) AS best
		FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = study GROUP BY t.bracket, e.rung) r
$$;

-- Hyperband, as the plan says.
SELECT hyperband_create_study(space(), max_resource => 27, seed => 4) AS study \gset
SELECT is(state, 'running', 'an external study runs from the start') FROM hyperband.progress WHERE study_id = :study;
SELECT cmp_ok(work(:study), '=', (SELECT sum(trials)::int FROM hyperband_plan(27)), 'one worker: every rung of the plan is asked for once');
SELECT results_eq('SELECT bracket, rung, trials, resource FROM plan_of(' || :study || ')', 'SELECT bracket, rung, trials::bigint, resource FROM hyperband_plan(27) ORDER BY 1 DESC, 2', 'rungs are those of the plan');
SELECT ok(rungs_are_right(:study), 'the best of each rung went on');
SELECT is(state, 'done', 'and the study is done') FROM hyperband.study WHERE study_id = :study;
SELECT is(resource_spent, resource_planned, 'what was planned was spent') FROM hyperband.study WHERE study_id = :study;
SELECT is(s.best_trial_id, l.trial_id, 'the best trial is the leader') FROM hyperband.study s JOIN hyperband.leaderboard l USING (study_id) WHERE study_id = :study AND place = 1;
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'nothing is left to ask for');
SELECT is(hyperband_wait(:study, '10 seconds'), 'done', 'hyperband_wait');
SELECT is((SELECT count(*) FROM hyperband.handout WHERE study_id = :study) + (SELECT count(*) FROM hyperband.queue WHERE study_id = :study), 0::bigint, 'nothing is handed out, nothing waits');

SELECT hyperband_create_study(space(), max_resource => 27, seed => 4) AS other \gset
SELECT work(:other, 7) \g /dev/null
SELECT results_eq('SELECT number, config, rung, loss FROM hyperband.trial WHERE study_id = ' || :other || ' ORDER BY 1', 'SELECT number, config, rung, loss FROM hyperband.trial WHERE study_id = ' || :study || ' ORDER BY 1',
	'seven at a time: the same history');

-- Every scheduler and sampler.
CREATE TABLE runs AS SELECT sampler, scheduler, hyperband_create_study(space(), sampler, scheduler, 9, n_trials => CASE scheduler WHEN 'racing' THEN 8 ELSE 13 END) AS study
	FROM unnest(ARRAY['random', 'grid', 'sobol', 'tpe', 'gp']) sampler, unnest(ARRAY['full', 'halving', 'hyperband', 'asha', 'racing']) scheduler;
SELECT work(study) FROM runs \g /dev/null
SELECT is(s.state, 'done', r.sampler || ' x ' || r.scheduler || ' comes to its end') FROM runs r JOIN hyperband.study s ON s.study_id = r.study ORDER BY r.sampler, r.scheduler;
SELECT ok(count(*) = max(t.number) AND bool_and(t.state IN ('stopped', 'completed')) AND count(DISTINCT t.config) = count(*),
	format('%s x %s: trials are numbered from 1, all have ended, no configuration twice', r.sampler, r.scheduler))
	FROM runs r JOIN hyperband.trial t ON t.study_id = r.study GROUP BY r.sampler, r.scheduler ORDER BY 1;
SELECT is(count(*)::int, CASE WHEN r.sampler = 'grid' THEN 5 WHEN r.scheduler = 'racing' THEN 8 ELSE 13 END, format('%s x %s: as many trials as asked for, or as the grid has', r.sampler, r.scheduler))
	FROM runs r JOIN hyperband.trial t ON t.study_id = r.study GROUP BY r.sampler, r.scheduler ORDER BY r.sampler, r.scheduler;
SELECT ok(rungs_are_right(study), sampler || ' x hyperband: the best of each rung went on') FROM runs WHERE scheduler IN ('hyperband', 'halving') ORDER BY sampler, scheduler;

-- asha: whoever was promoted was among the best floor(n/eta) of the results until then.
SELECT ok(count(*) > 0 AND bool_and(position <= results / 3), 'asha: only the best third of a rung was ever promoted') FROM (
	SELECT count(*) AS results, count(*) FILTER (WHERE (b.loss, b.trial_id) <= (e.loss, e.trial_id)) AS position
	FROM runs r JOIN hyperband.evaluation e ON e.study_id = r.study AND e.promoted JOIN hyperband.evaluation b ON b.study_id = e.study_id AND b.rung = e.rung AND b.result_seq < e.seq
	WHERE r.scheduler = 'asha' GROUP BY e.trial_id, e.rung) p;

-- Infinite horizon: as many trials as asked for.
SELECT hyperband_create_study(space(), max_resource => NULL, eta => 2, n_trials => 50) AS study \gset
SELECT work(:study) \g /dev/null
SELECT is(count(*)::int, 50, 'infinite horizon: n_trials') FROM hyperband.trial WHERE study_id = :study;
SELECT is(state, 'done', 'and it ends') FROM hyperband.study WHERE study_id = :study;

-- Maximize: the same trials win.
SELECT hyperband_create_study(space(), max_resource => 9, direction => 'maximize') AS study \gset
SELECT work(:study, 1, -1) \g /dev/null
SELECT hyperband_create_study(space(), max_resource => 9) AS other \gset
SELECT work(:other) \g /dev/null
SELECT is(a.best_loss, b.best_loss, 'maximize: loss is the negated value') FROM hyperband.study a, hyperband.study b WHERE a.study_id = :study AND b.study_id = :other;
SELECT is(best_metric_value, - best_loss, 'and progress shows the value') FROM hyperband.progress WHERE study_id = :study;

-- What a tell may not be.
SELECT hyperband_create_study(space(), 'random', 'halving', 9, n_trials => 9) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT format('SELECT hyperband_tell(%s, %s, ', :t, :a) AS tell \gset
SELECT throws_ok(:'tell' || '0, 0.5)', '22023', NULL, 'resource 0');
SELECT throws_ok(:'tell' || '2, 0.5)', '22023', NULL, 'a resource beyond what was asked for');
SELECT throws_ok(:'tell' || 'NULL, 0.5)', '22004', NULL, 'no resource');
SELECT throws_ok(:'tell' || '1, NULL)', '22004', NULL, 'no loss');
SELECT throws_ok(:'tell' || '1, 0.5, ''[1]'')', '22023', NULL, 'metrics that are no object');
SELECT throws_ok(format('SELECT hyperband_tell(%s, 2, 1, 0.5)', :t), '22023', NULL, 'an attempt that was never handed out');
SELECT lives_ok(:'tell' || '1, 0.5, ''{"error": 1}'')', 'a result');
SELECT lives_ok(:'tell' || '1, 0.5, ''{"error": 1}'')', 'the same again');
SELECT is(count(*)::int, 1, 'is recorded once') FROM hyperband.evaluation WHERE trial_id = :t;
SELECT throws_ok(:'tell' || '1, 0.6)', '23505', NULL, 'another result');
SELECT throws_ok(:'tell' || '3, 0.6)', '55000', NULL, 'a result that nobody asked for');
SELECT throws_ok('SELECT hyperband_tell(0, 1, 1, 1)', '42704', NULL, 'a trial that does not exist');
SELECT throws_ok('SELECT hyperband_ask(0)', '42704', NULL, 'a study that does not exist');
SELECT throws_ok(format('SELECT hyperband_ask(%s, 0)', :study), '22023', NULL, 'asking for no trial');
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT hyperband_tell(:t, :a, 1, 'NaN') \g /dev/null
SELECT is(state, 'diverged', 'NaN: the trial diverged') FROM hyperband.trial WHERE trial_id = :t;
SELECT lives_ok(format('SELECT hyperband_tell(%s, %s, 1, ''NaN'')', :t, :a), 'NaN again');
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, 1, 1)', :t, :a), '55000', NULL, 'a result of a trial that has ended');
SELECT work(:study) \g /dev/null
SELECT results_eq('SELECT rung, trials FROM plan_of(' || :study || ')', 'VALUES (0, 8::bigint), (1, 3::bigint), (2, 1::bigint)', 'one that diverged is not waited for');

-- Points on the way.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 2) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT hyperband_tell(:t, :a, 3, 0.8), hyperband_tell(:t, :a, 6, 0.7), hyperband_tell(:t, :a, 6, 0.7) \g /dev/null
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, 6, 0.1)', :t, :a), '23505', NULL, 'another loss on the way');
SELECT results_eq('SELECT resource, validation_loss FROM hyperband.loss_curve WHERE study_id = ' || :study || ' ORDER BY 1', 'VALUES (3, 0.8::float8), (6, 0.7)', 'losses on the way are the curve');
SELECT is_empty('SELECT 1 FROM hyperband.evaluation WHERE study_id = ' || :study, 'and no result');

-- A lease: who does not tell in time has lost the trial.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 1, options => '{"lease": "1 hour"}') AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'a trial is handed out once');
UPDATE hyperband.handout SET lease_until = lease_until - interval '1 hour' WHERE study_id = :study;
SELECT is(trial_id, :t::bigint, 'when the lease is over it is handed out again') FROM hyperband_ask(:study);
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, 9, 1)', :t, :a), '40001', NULL, 'and the old attempt is out of date');
SELECT is(attempt, :a + 1, 'attempts count up') FROM hyperband.trial WHERE trial_id = :t;
SELECT lives_ok(format('SELECT hyperband_tell(%s, %s, 9, 1)', :t, :a + 1), 'the new one is not');

SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 1, options => '{"lease": "1 hour"}') AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
UPDATE hyperband.handout SET lease_until = lease_until - interval '1 hour' WHERE study_id = :study;
SELECT hyperband_tell(:t, :a, 3, 0.8) \g /dev/null
SELECT ok(lease_until > now() + interval '59 minutes', 'a point on the way renews the lease') FROM hyperband.handout WHERE study_id = :study;
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'so that the trial is not handed out again');
SELECT lives_ok(format('SELECT hyperband_tell(%s, %s, 9, 0.7)', :t, :a), 'and its worker may go on');

-- A session that gives up all its locks is taken for another.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 1) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'the worker is alive');
SELECT pg_advisory_unlock_all() \g /dev/null
SELECT is(attempt, :a + 1, 'and then not') FROM hyperband_ask(:study);

-- Cancel, resume, time limit, drop.
SELECT hyperband_create_study(space(), max_resource => 9) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SELECT ok(hyperband_cancel(:study), 'cancel');
SELECT is(hyperband_wait(:study, '10 seconds'), 'cancelled', 'is at once');
SELECT throws_ok(format('SELECT hyperband_ask(%s)', :study), '55000', NULL, 'no trials of a cancelled study');
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, 1, 1)', :t, :a), '55000', NULL, 'no results either');
SELECT hyperband_resume(:study) \g /dev/null
SELECT is(trial_id, :t::bigint, 'resumed: the trial is handed out again') FROM hyperband_ask(:study);
SELECT hyperband_tell(:t, :a + 1, 1, 0.5) \g /dev/null
SELECT work(:study) \g /dev/null
SELECT is(state, 'done', 'and the study comes to its end') FROM hyperband.study WHERE study_id = :study;
SELECT lives_ok(format('SELECT hyperband_drop(%s)', :study), 'drop');
SELECT hyperband_create_study(space(), max_resource => 9, time_limit => '1 hour') AS study \gset
SELECT hyperband_tell(trial_id, attempt, to_resource, 1) FROM hyperband_ask(:study) \g /dev/null
UPDATE hyperband.study SET run_at = run_at - interval '1 hour' WHERE study_id = :study;
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'after the time limit nothing is handed out');
SELECT is(state, 'done', 'and what is there counts') FROM hyperband.study WHERE study_id = :study;

-- Arguments.
SELECT throws_ok($$SELECT hyperband_create_study('{}')$$, '22023', NULL, 'an empty space');
SELECT throws_ok($$SELECT hyperband_create_study(space(), direction => 'up')$$, '22023', NULL, 'a direction');
SELECT throws_ok($$SELECT hyperband_create_study(space(), scheduler => 'x')$$, '22023', NULL, 'a scheduler');
SELECT throws_ok($$SELECT hyperband_create_study(space(), eta => 1)$$, '22023', NULL, 'eta');
SELECT throws_ok($$SELECT hyperband_create_study(space(), options => '{"lease": "1 month"}')$$, '22023', NULL, 'a lease of a month');
SELECT throws_ok($$SELECT hyperband_create_study(space(), options => '{"clip": 1}')$$, '22023', NULL, 'an option of tables');

-- Rights.
CREATE ROLE ask_one;
CREATE ROLE ask_two;
GRANT USAGE ON SCHEMA hyperband, ask_tell TO ask_one;
SELECT hyperband_create_study(space(), max_resource => 9) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
SET ROLE ask_one;
SELECT throws_ok(format('SELECT hyperband_ask(%s)', :study), '42704', NULL, 'another''s study');
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, 1, 1)', :t, :a), '42704', NULL, 'another''s trial');
SELECT hyperband_create_study('{"x": [1, 2]}', max_resource => 1) AS own \gset
SELECT is(count(*)::int, 1, 'one''s own') FROM hyperband_ask(:own);
RESET ROLE;
SET ROLE ask_two;
SELECT throws_ok($$SELECT hyperband_create_study('{"x": 1}')$$, '42501', NULL, 'without USAGE on the schema');
RESET ROLE;
SELECT hyperband_drop(:own) \g /dev/null
REVOKE ALL ON SCHEMA hyperband, ask_tell FROM ask_one;
DROP ROLE ask_one;
DROP ROLE ask_two;

-- A SQL function as the objective.
CREATE TABLE calls (x float8, resource int);
CREATE FUNCTION objective(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	x float8 := config ->> 'x';
BEGIN
	INSERT INTO calls VALUES (x, resource);
	IF x > 0.9 THEN
		RAISE EXCEPTION 'too far' USING ERRCODE = '22003';
	END IF;
	RETURN CASE WHEN x < 0.05 THEN 'NaN' ELSE bowl(config, resource) END;
END $$;
SELECT hyperband_minimize('objective(jsonb, int)', space(), max_resource => 27, seed => 4) AS study \gset
SELECT is(hyperband_wait(:study, '1 minute'), 'done', 'minimize: done');
SELECT ok(bool_and(CASE WHEN x > 0.9 THEN state = 'failed' AND sqlstate = '22003' AND error = 'too far' WHEN x < 0.05 THEN state = 'diverged' ELSE state IN ('stopped', 'completed') END)
	AND count(*) FILTER (WHERE state = 'failed') > 0, 'an ERROR fails the trial and not the study')
	FROM (SELECT *, (config ->> 'x')::float8 AS x FROM hyperband.trial WHERE study_id = :study) t;
SELECT ok(best_loss < 0.1, 'and it is minimised') FROM hyperband.study WHERE study_id = :study;
SELECT is((SELECT count(*) FROM calls), (SELECT count(*) FROM hyperband.evaluation WHERE study_id = :study) + (SELECT count(*) FROM hyperband.trial WHERE study_id = :study AND state = 'diverged'), 'what the objective wrote is committed, unless it failed');
SELECT is(objective, 'ask_tell.objective(pg_catalog.jsonb,integer)', 'the function is kept as text') FROM hyperband.study WHERE study_id = :study;
SELECT throws_ok(format('SELECT hyperband_ask(%s)', :study), '55000', NULL, 'its trials are not for others');
SELECT hyperband_minimize('objective(jsonb, int)', space(), max_resource => 27, seed => 4, workers => 3) AS other \gset
SELECT is(hyperband_wait(:other, '1 minute'), 'done', 'three workers: done');
SELECT results_eq('SELECT number, config, state, rung, loss FROM hyperband.trial WHERE study_id = ' || :other || ' ORDER BY 1', 'SELECT number, config, state, rung, loss FROM hyperband.trial WHERE study_id = ' || :study || ' ORDER BY 1', 'three workers: the same history');
CREATE FUNCTION asleep(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN 1; END $$;
SELECT hyperband_minimize('asleep(jsonb, int)', space(), max_resource => 9) AS study \gset
DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'hyperband evaluator' AND wait_event = 'PgSleep') LOOP PERFORM pg_stat_clear_snapshot(); PERFORM pg_sleep(0.01); END LOOP; END $$;
SELECT throws_ok(format('SELECT hyperband_drop(%s)', :study), '55000', NULL, 'not dropped while it runs');
SELECT ok(hyperband_cancel(:study), 'cancel');
SELECT is(hyperband_wait(:study, '10 seconds'), 'cancelled', 'ends the evaluation');
CREATE FUNCTION fails(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT 1.0::float8 / (resource - resource) $$;
SELECT hyperband_minimize('fails(jsonb, int)', space(), max_resource => 3) AS study \gset
SELECT throws_ok(format('SELECT hyperband_wait(%s, ''1 minute'')', :study), '22012', 'division by zero', 'where every trial fails the study fails with the first error');
SELECT matches(detail, 'All trials of the study failed', 'and says that all of them did') FROM hyperband.study WHERE study_id = :study;
-- Every trial finds the same settings, whatever one before it set in the same worker, also in a trigger that waits for the commit.
CREATE ROLE ask_four;
CREATE TABLE found (settings text);
CREATE SEQUENCE careless_calls;
CREATE FUNCTION leave_settings() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET work_mem = '77MB';
	SET LOCAL temp_buffers = '9MB';
	SET search_path = nowhere;
	PERFORM set_config('ask.trials', coalesce(current_setting('ask.trials', true), '') || '1', false), set_config('role', 'ask_four', false);
END $$;
CREATE FUNCTION leave_more() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET maintenance_work_mem = '78MB'; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON found DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION leave_more();
CREATE FUNCTION careless(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	n int := nextval('ask_tell.careless_calls');
BEGIN
	INSERT INTO found VALUES (concat_ws(' ', current_setting('work_mem'), current_setting('temp_buffers'), current_setting('maintenance_work_mem'),
		current_setting('search_path'), nullif(current_setting('ask.trials', true), ''), current_user, session_user));
	PERFORM leave_settings();
	IF n = 3 THEN
		RAISE EXCEPTION 'now and then it fails';
	END IF;
	RETURN n;
END $$;
SELECT hyperband_minimize('careless(jsonb, int)', space(), scheduler => 'full', max_resource => 1, n_trials => 6) AS study \gset
SELECT is(hyperband_wait(:study, '20 seconds'), 'done', 'an objective that leaves settings behind');
SELECT results_eq('SELECT state, count(*) FROM hyperband.trial WHERE study_id = ' || :study || ' GROUP BY 1 ORDER BY 1', $$VALUES ('completed', 5::bigint), ('failed', 1)$$, 'only the trial that raises an error fails');
SELECT is(count(*), 5::bigint, 'the others left a note') FROM found;
SELECT is(count(DISTINCT settings), 1::bigint, 'they all found the same: ' || string_agg(DISTINCT settings, ', ')) FROM found;
DROP ROLE ask_four;

CREATE FUNCTION wrong(config jsonb, resource int) RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$;
SELECT throws_ok($$SELECT hyperband_minimize('wrong(jsonb, int)', space())$$, '42804', NULL, 'a function of another type');
SELECT throws_ok($$SELECT hyperband_minimize('nowhere(jsonb, int)', space())$$, '42883', NULL, 'a function that does not exist');
CREATE ROLE ask_three LOGIN;
GRANT USAGE ON SCHEMA hyperband, ask_tell TO ask_three;
REVOKE EXECUTE ON FUNCTION objective FROM PUBLIC;
SET ROLE ask_three;
SELECT throws_ok($$SELECT hyperband_minimize('objective(jsonb, int)', '{"x": 1}')$$, '42501', NULL, 'a function that one may not call');
RESET ROLE;
REVOKE ALL ON SCHEMA hyperband, ask_tell FROM ask_three;
DROP ROLE ask_three;

-- Replays: where every curve is complete, full training of all of them finds the best.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 27) AS study \gset
SELECT throws_ok(format('SELECT hyperband_simulate(%s)', :study), '55000', NULL, 'a study that runs is not replayed');
DO $$
DECLARE
	study bigint := (SELECT max(study_id) FROM hyperband.study);
	a record;
BEGIN
	LOOP
		SELECT * INTO a FROM hyperband_ask(study);
		EXIT WHEN NOT FOUND;
		PERFORM hyperband_tell(a.trial_id, a.attempt, r, bowl(a.config, r)) FROM generate_series(1, 9) r;
	END LOOP;
END $$;
SELECT is(max(resource_spent), (SELECT sum(trials * 9)::bigint FROM hyperband_plan(9, scheduler => 'full', n_trials => 27)), 'replay: full training costs what it costs') FROM hyperband_simulate(:study, 'full', options => '{"n_trials": 27}');
SELECT is(min(regret), 0::float8, 'and finds the best') FROM hyperband_simulate(:study, 'full', options => '{"n_trials": 27}');
SELECT ok(max(resource_spent) <= 9 * 9 + 1, 'halving of 9 costs less') FROM hyperband_simulate(:study, 'halving', options => '{"n_trials": 9}');
SELECT is(min(regret), 0::float8, 'curves that never cross: halving of all finds the best, too') FROM hyperband_simulate(:study, 'halving', options => '{"n_trials": 27}');

-- Which bracket was best: a row for each, and one of them the best at equal resource.
SELECT hyperband_create_study(space(), max_resource => 27, seed => 4) AS study \gset
SELECT work(:study) \g /dev/null
SELECT is((SELECT count(*)::int FROM hyperband.bracket_audit WHERE study_id = :study), 4, 'bracket_audit: a row for each bracket');
SELECT is(sum(a.resource_spent), max(s.resource_spent)::numeric, 'what they spent is what the study spent') FROM hyperband.bracket_audit a JOIN hyperband.study s USING (study_id) WHERE study_id = :study;
SELECT is(min(a.best_loss), max(s.best_loss), 'the best of them is the study''s') FROM hyperband.bracket_audit a JOIN hyperband.study s USING (study_id) WHERE study_id = :study;
SELECT ok(bool_and(loss_at_equal_resource >= a.best_loss), 'at equal resource none is better than in the end') FROM hyperband.bracket_audit a WHERE study_id = :study;

-- Warm start.
SELECT hyperband_create_study(space(), max_resource => 9, seed => 4) AS first \gset
SELECT throws_ok(format($$SELECT hyperband_create_study(space(), options => '{"warm_start": %s}')$$, :first), '55000', NULL, 'warm start: the other study must have ended');
SELECT throws_ok($$SELECT hyperband_create_study(space(), options => '{"warm_start": 999999}')$$, '42704', NULL, 'warm start: the other study must be there');
SELECT work(:first) \g /dev/null
CREATE TABLE warm AS SELECT sampler, scheduler, hyperband_create_study(space(), sampler, scheduler, 9, n_trials => 13, seed => 5, options => jsonb_build_object('warm_start', :first)) AS study
	FROM unnest(ARRAY['random', 'grid', 'sobol', 'tpe', 'gp']) sampler, unnest(ARRAY['full', 'halving', 'hyperband', 'asha', 'racing']) scheduler;
SELECT work(study) FROM warm \g /dev/null
SELECT ok(s.state = 'done' AND t.config = (SELECT config FROM hyperband.leaderboard WHERE study_id = :first AND place = 1),
	format('warm start: %s x %s begins with the other study''s best, and ends', w.sampler, w.scheduler))
	FROM warm w JOIN hyperband.study s ON s.study_id = w.study JOIN hyperband.trial t ON t.study_id = w.study AND t.number = 1 ORDER BY w.sampler, w.scheduler;
SELECT is(count(DISTINCT t.config), count(*), format('warm start: %s x %s tries nothing twice', w.sampler, w.scheduler)) FROM warm w JOIN hyperband.trial t ON t.study_id = w.study GROUP BY w.sampler, w.scheduler ORDER BY 1;
SELECT ok(count(*) FILTER (WHERE t.config IN (SELECT config FROM hyperband.trial WHERE study_id = :first)) BETWEEN 1 AND 4, 'warm start: a share of 1/eta comes from there') FROM warm w JOIN hyperband.trial t ON t.study_id = w.study WHERE w.sampler = 'random' AND w.scheduler = 'hyperband';
SELECT hyperband_create_study(space(), 'tpe', 'full', 9, n_trials => 6, seed => 5) AS cold \gset
SELECT hyperband_create_study(space(), 'tpe', 'full', 9, n_trials => 6, seed => 5, options => jsonb_build_object('warm_start', :first)) AS warm \gset
SELECT hyperband_create_study(space(), 'tpe', 'full', 9, n_trials => 6, seed => 5, options => jsonb_build_object('warm_start', :first), direction => 'maximize') AS other \gset
SELECT work(:cold), work(:warm), work(:other) \g /dev/null
SELECT isnt(a.config, b.config, 'warm start: tpe has learned') FROM hyperband.trial a JOIN hyperband.trial b USING (number) WHERE a.study_id = :warm AND b.study_id = :cold AND a.number = 6;
SELECT is(a.config, b.config, 'warm start: nothing from a study of the other direction') FROM hyperband.trial a JOIN hyperband.trial b USING (number) WHERE a.study_id = :other AND b.study_id = :cold AND a.number = 6;
SELECT hyperband_minimize('bowl(jsonb, int)', space(), 'gp', 'hyperband', 9, options => jsonb_build_object('warm_start', :first)) AS study \gset
SELECT is(hyperband_wait(:study, '20 seconds'), 'done', 'warm start: a function');
SELECT is(t.config, l.config, 'warm start: of a function begins with the best') FROM hyperband.trial t, hyperband.leaderboard l WHERE t.study_id = :study AND t.number = 1 AND l.study_id = :first AND l.place = 1;

-- A configuration that the new space does not tell from an earlier one, or does not have, is none to begin with.
SELECT hyperband_create_study('{"arm": [1, 2, 3], "noise": [1, 2, 3], "units": {"type": "int", "low": 32, "high": 256}}', 'random', 'full', 1, n_trials => 27) AS source \gset
SELECT hyperband_tell(a.trial_id, 1, 1, (a.config ->> 'arm')::int) FROM hyperband_ask(:source, 27) a \g /dev/null
SELECT hyperband_create_study('{"arm": {"type": "int", "low": 1, "high": 27}}', 'random', 'full', 1, n_trials => 27, options => jsonb_build_object('warm_start', :source)) AS study \gset
SELECT is(count(DISTINCT a.config), 27::bigint, 'warm start: no configuration twice') FROM hyperband_ask(:study, 27) a;
SELECT hyperband_create_study('{"units": {"type": "int", "low": 32, "high": 256, "step": 32}}', 'random', 'full', 1, n_trials => 6, options => jsonb_build_object('warm_start', :source)) AS study \gset
SELECT ok(bool_and((a.config ->> 'units')::int % 32 = 0), 'warm start: none that lies between the steps') FROM hyperband_ask(:study, 6) a;
SELECT throws_ok($$SELECT hyperband_create_study('{"x": {"type": "float", "low": -1e308, "high": 1e308, "step": 1e307}}')$$, '22023', 'range of "x" is too wide for a step', 'a range that no step divides');

-- Metrics that are no numbers break no ties and nothing else.
SELECT hyperband_create_study('{"x": [1, 2, 3]}', 'random', 'full', 1, n_trials => 3) AS study \gset
SELECT lives_ok(format($$SELECT hyperband_tell(a.trial_id, 1, 1, 0.5, m) FROM hyperband_ask(%s, 3) WITH ORDINALITY a(trial_id, attempt, config, f, t, i)
	JOIN unnest(ARRAY['{"log_loss": null}', '{"log_loss": "n/a", "rmse": 1e200}', '{"log_loss": [1]}']::jsonb[]) WITH ORDINALITY m(m, i) USING (i)$$, :study), 'metrics: what is no number may be told');
SELECT is(state, 'done', 'metrics: and the study ends') FROM hyperband.study WHERE study_id = :study;
SELECT is(count(*), 3::bigint, 'metrics: and has a leaderboard') FROM hyperband.leaderboard WHERE study_id = :study;
SELECT hyperband_create_study('{"x": [1, 2, 3]}', 'random', 'full', 1, n_trials => 3) AS study \gset
SELECT throws_ok(format('SELECT hyperband_tell(a.trial_id, 1, 1, 0.5, ''{"rmse": %s}'') FROM hyperband_ask(%s) a', n, :study), '22003', NULL, 'metrics: a number that no float can be, ' || n) FROM unnest(ARRAY['1e400', '1e-400']) n;

-- Progress: what is not drawn yet is not done, and a plan that grows is known to its end.
SELECT hyperband_create_study(space(), 'random', 'full', 1, n_trials => 100, time_limit => '1 hour') AS study \gset
SELECT is(eta, NULL::interval, 'progress: before the first result nobody knows how long') FROM hyperband.progress WHERE study_id = :study;
SELECT hyperband_tell(a.trial_id, 1, 1, 0.5) FROM hyperband_ask(:study) a \g /dev/null
SELECT ok(eta BETWEEN '0 s' AND '1 hour', 'progress: then at most what the time limit leaves') FROM hyperband.progress WHERE study_id = :study;
SELECT is((brackets_done, rungs_done, trials_done, trials)::text, '(0,0,1,100)', 'progress: one of a hundred trials') FROM hyperband.progress WHERE study_id = :study;
SELECT hyperband_create_study('{"x": [1, 2, 3]}', 'grid', 'full', 1, n_trials => 3) AS study \gset
SELECT work(:study) \g /dev/null
SELECT is((brackets_done, rungs_done, trials_done, trials)::text, '(1,1,3,3)', 'progress: a grid that is at its end') FROM hyperband.progress WHERE study_id = :study;
SELECT hyperband_create_study(space(), max_resource => NULL, eta => 2, n_trials => 40) AS study \gset
SELECT ok(resource_planned > 40 AND resource_planned = (SELECT sum(trials * (resource - before)) FROM (SELECT *, lag(resource, 1, 0) OVER (PARTITION BY bracket ORDER BY rung) AS before
	FROM hyperband_plan(NULL, 2, 1, 'hyperband', 40)) p), 'an infinite horizon with n_trials is planned to its end') FROM hyperband.study WHERE study_id = :study;
SELECT hyperband_create_study(space(), 'random', 'full', 2147483647, n_trials => 1000000) AS study \gset
SELECT hyperband_tell(a.trial_id, 1, 1, 0.5) FROM hyperband_ask(:study) a \g /dev/null
SELECT ok(eta IS NULL, 'progress: a time left beyond all intervals is not told') FROM hyperband.progress WHERE study_id = :study;

-- Time: a limit of any length, and after a resume from its beginning.
SELECT hyperband_create_study(space(), max_resource => 9, time_limit => '120000000 days') AS study \gset
SELECT is(count(*), 1::bigint, 'time limit: of three hundred thousand years') FROM hyperband_ask(:study);
SELECT hyperband_create_study(space(), 'random', 'full', 1, n_trials => 2, time_limit => '1 hour') AS study \gset
SELECT trial_id AS t FROM hyperband_ask(:study) \gset
UPDATE hyperband.study SET run_at = run_at - interval '2 hours' WHERE study_id = :study;
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'time limit: after it nothing is handed out');
SELECT is((state, sqlstate)::text, '(failed,57014)', 'time limit: before the first result the study fails') FROM hyperband.study WHERE study_id = :study;
SELECT hyperband_resume(:study) \g /dev/null
SELECT work(:study) \g /dev/null
SELECT is((s.state, (SELECT count(*) FROM hyperband.trial t WHERE t.study_id = s.study_id AND t.state = 'completed'))::text, '(done,2)', 'time limit: resumed it has the whole of it, and all its trials') FROM hyperband.study s WHERE study_id = :study;

-- Who made, asked or told in this transaction holds up those who would end the wait.
SELECT throws_ok('SELECT hyperband_wait(hyperband_create_study(space()))', '55000', NULL, 'no waiting for a study of the same transaction');
BEGIN;
SELECT hyperband_create_study('{"x": [1, 2]}', 'random', 'full', 1, n_trials => 2) AS study \gset
SELECT work(:study) \g /dev/null
SELECT is(hyperband_wait(:study), 'done', 'but for one that has come to its end in it');
COMMIT;
SELECT hyperband_create_study(space()) AS study \gset
BEGIN;
SELECT trial_id FROM hyperband_ask(:study) \g /dev/null
SELECT throws_ok(format('SELECT hyperband_wait(%s)', :study), '55000', NULL, 'nor after asking in it');
COMMIT;

SELECT * FROM finish();
