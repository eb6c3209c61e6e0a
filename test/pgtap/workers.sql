-- What workers and objectives can rely on: features as the resource, read-only transactions, objectives that run studies of their own,
-- asha's log, time limits, studies in which every trial diverged, and warm starts whose source is gone.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA workers;
SET search_path = workers, public;
SELECT plan(57);

CREATE FUNCTION space() RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"x": {"type": "float", "low": 0, "high": 1}}'::jsonb $$;
CREATE FUNCTION bowl(config jsonb, resource int) RETURNS float8 LANGUAGE sql AS $$ SELECT abs((config ->> 'x')::float8 - 0.3) + 1.0 / resource $$;
CREATE FUNCTION work(study bigint, n int DEFAULT 1, most int DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	told int := 0;
	a record;
	batch int;
BEGIN
	LOOP
		batch := 0;
		FOR a IN SELECT * FROM hyperband_ask(study, n) LOOP
			PERFORM hyperband_tell(a.trial_id, a.attempt, a.to_resource, bowl(a.config, a.to_resource));
			batch := batch + 1;
		END LOOP;
		told := told + batch;
		EXIT WHEN batch = 0 OR told >= most;
	END LOOP;
	RETURN told;
END $$;

-- The first m random features: cos(w_j x + b_j), w_j and b_j from a hash of j, so the first of 27 are the same in 81.
CREATE TABLE points AS SELECT i, i / 60.0::float8 AS x, sin(6 * i / 60.0::float8) AS y FROM generate_series(0, 60) i;
CREATE FUNCTION uniform(j int, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT ((hashint8extended(j, salt) & 1073741823) + 1) / 1073741825.0 $$;
-- Mean squared error of the sum of the first m features, each given the weight that fits what the ones before it left over
-- (matching pursuit), shrunk by the ridge.
CREATE FUNCTION fit(config jsonb, m int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	width CONSTANT float8 := config ->> 'width';
	ridge CONSTANT float8 := config ->> 'ridge';
	rest float8[] := (SELECT array_agg(y ORDER BY i) FROM points);
	feature float8[];
	weight float8;
BEGIN
	FOR j IN 1 .. m LOOP
		feature := (SELECT array_agg(cos((uniform(j, 1) - 0.5) * 2 * width * x + 2 * pi() * uniform(j, 2)) ORDER BY i) FROM points);
		weight := (SELECT sum(f * r) / (sum(f * f) + ridge) FROM unnest(feature, rest) AS u(f, r));
		rest := (SELECT array_agg(r - weight * f ORDER BY place) FROM unnest(feature, rest) WITH ORDINALITY AS u(f, r, place));
	END LOOP;
	RETURN (SELECT avg(r * r) FROM unnest(rest) r);
END $$;
SELECT cmp_ok(fit('{"width": 8, "ridge": 0.1}', 27), '<', fit('{"width": 8, "ridge": 0.1}', 3), 'features: more of them fit better');
SELECT hyperband_minimize('fit(jsonb, int)', '{"width": {"type": "float", "low": 0.1, "high": 100, "log": true}, "ridge": {"type": "float", "low": 0.01, "high": 100, "log": true}}',
	resource => 'features', max_resource => 27, min_resource => 3, seed => 3) AS study \gset
SELECT is(hyperband_wait(:study, '1 minute'), 'done', 'features: a SQL function is tuned');
SELECT is(resource, 'features', 'features: recorded as what a trial is given more of') FROM hyperband.study WHERE study_id = :study;
SELECT results_eq('SELECT t.bracket, e.rung, e.resource, count(*)::int FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = ' || :study || ' GROUP BY 1, 2, 3 ORDER BY 1, 2',
	'SELECT bracket, rung, resource, trials FROM hyperband_plan(27, min_resource => 3) ORDER BY 1, 2', 'features: from the least to the most, as the plan says');
SELECT is_empty(format('SELECT 1 FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = %s AND e.loss <> fit(t.config, e.resource)', :study),
	'features: every result is that of the first m');
SELECT is(resource_spent, (SELECT sum(trials * resource)::bigint FROM hyperband_plan(27, min_resource => 3)), 'features: a trial that goes on is trained anew, and so is it counted') FROM hyperband.study WHERE study_id = :study;
SELECT is(resource_spent, resource_planned, 'features: what was planned') FROM hyperband.study WHERE study_id = :study;
SELECT is(sum(a.resource_spent), max(s.resource_spent)::numeric, 'features: bracket_audit counts alike') FROM hyperband.bracket_audit a JOIN hyperband.study s USING (study_id) WHERE study_id = :study;
SELECT cmp_ok(best_loss, '<', fit('{"width": 0.1, "ridge": 100}', 27), 'features: and the best is good') FROM hyperband.study WHERE study_id = :study;
SELECT hyperband_create_study(space(), 'random', 'halving', 9, n_trials => 9, resource => 'features') AS study \gset
SELECT work(:study, 9, 9) \g /dev/null
SELECT results_eq('SELECT from_resource, to_resource FROM hyperband_ask(' || :study || ')', 'VALUES (0, 3)', 'features: an outside worker is asked to train anew');
SELECT hyperband_create_study(space(), 'random', 'halving', 9, n_trials => 9) AS study \gset
SELECT work(:study, 9, 9) \g /dev/null
SELECT results_eq('SELECT from_resource, to_resource FROM hyperband_ask(' || :study || ')', 'VALUES (1, 3)', 'epochs: to go on');
CREATE TABLE numbers AS SELECT n AS a, n % 7 AS b, n % 2 = 0 AS y FROM generate_series(1, 50) n;
SELECT throws_ok($$SELECT hyperband_tune('numbers', 'y', resource => 'features')$$, '0A000', 'resource "features" is not supported', 'features: not of a table''s models');

-- A transaction that only reads.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 3) AS finished \gset
SELECT work(:finished) \g /dev/null
SELECT hyperband_create_study(space(), max_resource => 9) AS study \gset
SELECT trial_id AS t, attempt AS a FROM hyperband_ask(:study) \gset
CREATE FUNCTION outcome(call text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE call; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ': ' || SQLERRM; END $$;
CREATE TABLE writes AS SELECT * FROM (VALUES ('hyperband_create_study', 'SELECT hyperband_create_study(workers.space())'), ('hyperband_minimize', $$SELECT hyperband_minimize('workers.bowl(jsonb, int)', workers.space())$$),
	('hyperband_ask', format('SELECT hyperband_ask(%s)', :study)), ('hyperband_tell', format('SELECT hyperband_tell(%s, %s, 1, 1)', :t, :a)), ('hyperband_cancel', format('SELECT hyperband_cancel(%s)', :study)),
	('hyperband_resume', format('SELECT hyperband_resume(%s)', :study)), ('hyperband_drop', format('SELECT hyperband_drop(%s)', :finished)),
	('hyperband_tune', $$SELECT hyperband_tune('workers.numbers', 'y')$$)) AS v(name, call);
BEGIN READ ONLY;
SELECT string_agg(format('%s %s', name, outcome(call)), E'\n' ORDER BY name) AS outcomes, outcome(format('SELECT * FROM hyperband_simulate(%s, ''halving'')', :finished)) AS simulated,
	outcome('SELECT * FROM hyperband_plan(9)') AS planned FROM writes \gset
COMMIT;
SELECT is(line, name || ' 25006: cannot execute ' || name || '() in a read-only transaction', 'read only: ' || name) FROM writes JOIN unnest(string_to_array(:'outcomes', E'\n')) line ON split_part(line, ' ', 1) = name ORDER BY name;
SELECT is(:'simulated'::text, 'done', 'read only: hyperband_simulate only reads');
SELECT is(:'planned'::text, 'done', 'read only: so does hyperband_plan');

-- An objective that runs studies of its own: more of them than a session remembers, and its own study is still the one it works on.
CREATE FUNCTION nested(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	study bigint;
	best float8;
BEGIN
	FOR i IN 1 .. 20 LOOP
		study := hyperband_create_study(workers.space(), 'random', 'full', 1, n_trials => 2, seed => i);
		PERFORM workers.work(study);
		best := least(best, (SELECT best_loss FROM hyperband.study s WHERE s.study_id = study));
		PERFORM hyperband_drop(study);
	END LOOP;
	RETURN bowl(config, resource) + 0 * best;
END $$;
SELECT hyperband_minimize('nested(jsonb, int)', space(), 'random', 'hyperband', 9, seed => 8, workers => 2) AS study \gset
SELECT hyperband_minimize('bowl(jsonb, int)', space(), 'random', 'hyperband', 9, seed => 8) AS plain \gset
SELECT is(hyperband_wait(:study, '2 minutes'), 'done', 'an objective that asks and tells 20 studies a call: done');
SELECT is(hyperband_wait(:plain, '1 minute'), 'done', 'and one that does not');
SELECT results_eq('SELECT number, config, state, rung, loss FROM hyperband.trial WHERE study_id = ' || :study || ' ORDER BY 1', 'SELECT number, config, state, rung, loss FROM hyperband.trial WHERE study_id = ' || :plain || ' ORDER BY 1',
	'have the same history');

-- asha: every start, result and promotion has its place in the log, the rule holds at each, and rung_audit counts what is there.
CREATE TABLE asha AS SELECT hyperband_create_study(space(), 'random', 'asha', 27, n_trials => 60, seed => 6) AS study;
SELECT work(study, 5) FROM asha \g /dev/null
SELECT is(state, 'done', 'asha: done') FROM hyperband.study JOIN asha ON study = study_id;
CREATE VIEW log AS SELECT started_seq AS seq, 'start' AS what, 0 AS rung, trial_id, NULL::float8 AS loss FROM hyperband.trial JOIN asha ON study = study_id
	UNION ALL SELECT result_seq, 'result', rung, trial_id, loss FROM hyperband.evaluation JOIN asha ON study = study_id
	UNION ALL SELECT seq, 'promotion', rung, trial_id, loss FROM hyperband.evaluation JOIN asha ON study = study_id WHERE promoted;
SELECT ok(count(seq) = count(*) AND max(seq) = count(*) AND count(DISTINCT seq) = count(*), 'asha: positions in the log ascend without a gap') FROM log;
SELECT is_empty('SELECT * FROM log r WHERE what = ''result'' AND NOT EXISTS (SELECT FROM log b WHERE b.trial_id = r.trial_id AND b.seq < r.seq AND (b.what, b.rung) = (CASE WHEN r.rung = 0 THEN ''start'' ELSE ''promotion'' END, greatest(r.rung - 1, 0)))',
	'asha: each result comes after its start or promotion');
-- Among the results at the rung so far it is one of the best floor(results / eta).
SELECT is_empty('SELECT * FROM log p WHERE what = ''promotion'' AND (SELECT count(*) FROM log r WHERE r.what = ''result'' AND r.rung = p.rung AND r.seq < p.seq AND (r.loss, r.trial_id) <= (p.loss, p.trial_id))
	> (SELECT count(*) / 3 FROM log r WHERE r.what = ''result'' AND r.rung = p.rung AND r.seq < p.seq)', 'asha: who is promoted is in the top third then');
-- A trial is started only while no rung has a candidate.
SELECT is_empty('SELECT s.seq FROM log s CROSS JOIN generate_series(0, 2) g(rung) WHERE s.what = ''start'' AND EXISTS (
	SELECT FROM (SELECT r.trial_id, row_number() OVER (ORDER BY r.loss, r.trial_id) AS place, count(*) OVER () AS results FROM log r WHERE r.what = ''result'' AND r.rung = g.rung AND r.seq < s.seq) o
	WHERE place <= results / 3 AND NOT EXISTS (SELECT FROM log p WHERE p.what = ''promotion'' AND p.rung = g.rung AND p.trial_id = o.trial_id AND p.seq < s.seq))',
	'asha: a trial is started only where nobody can be promoted');
SELECT results_eq('SELECT rung, trials, promoted FROM hyperband.rung_audit JOIN asha ON study = study_id ORDER BY 1',
	'SELECT rung, (count(*) FILTER (WHERE what = ''result''))::int, (count(*) FILTER (WHERE what = ''promotion''))::int FROM log GROUP BY 1 ORDER BY 1', 'asha: rung_audit counts results and promotions of the log');
SELECT is_empty('SELECT * FROM hyperband.rung_audit JOIN asha ON study = study_id WHERE trials > 0 AND winner_rank IS NULL OR promoted > 0 AND cut_loss IS NULL', 'asha: and the audit is complete');
SELECT is_empty('SELECT * FROM hyperband.trial JOIN asha ON study = study_id WHERE state NOT IN (''stopped'', ''completed'')', 'asha: no trial is left open');

-- A time limit is looked at when somebody asks; results told afterwards still count until then.
SELECT hyperband_create_study(space(), max_resource => 9, time_limit => '1 hour') AS study \gset
SELECT trial_id AS t, attempt AS a, to_resource AS r FROM hyperband_ask(:study) \gset
UPDATE hyperband.study SET run_at = run_at - interval '1 hour' WHERE study_id = :study;
SELECT is(state, 'running', 'time limit: nobody has asked since') FROM hyperband.study WHERE study_id = :study;
SELECT lives_ok(format('SELECT hyperband_tell(%s, %s, %s, 0.5)', :t, :a, :r), 'time limit: a result that comes late counts');
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'time limit: who asks is given nothing');
SELECT ok(state = 'done' AND best_loss = 0.5, 'time limit: and the study ends') FROM hyperband.study WHERE study_id = :study;
SELECT throws_ok(format('SELECT hyperband_tell(%s, %s, %s, 0.4)', :t, :a, :r), '23505', NULL, 'time limit: what was told stays');
SELECT hyperband_create_study(space(), max_resource => 9, time_limit => '1 ms') AS study \gset
SELECT pg_sleep(0.01) \g /dev/null
SELECT is_empty('SELECT * FROM hyperband_ask(' || :study || ')', 'time limit: over before the first trial');
SELECT is(state || ' ' || sqlstate, 'failed 57014', 'time limit: then the study has failed') FROM hyperband.study WHERE study_id = :study;

-- Every trial diverges.
SELECT hyperband_create_study(space(), 'random', 'full', 9, n_trials => 2) AS study \gset
SELECT hyperband_tell(trial_id, attempt, 1, 'NaN') FROM hyperband_ask(:study, 2) \g /dev/null
SELECT is(state, 'failed', 'all diverged: the study has failed') FROM hyperband.study WHERE study_id = :study;
SELECT throws_ok(format('SELECT hyperband_ask(%s)', :study), '55000', 'study ' || :study || ' is failed', 'all diverged: there is nothing to ask for');
SELECT throws_ok(format('SELECT hyperband_wait(%s)', :study), '22000', 'all trials diverged', 'all diverged: waiting for it says why');

-- A warm start outlives the study it started from.
SELECT hyperband_create_study(space(), 'random', 'hyperband', 9, seed => 4) AS first \gset
SELECT work(:first) \g /dev/null
SELECT hyperband_tell(trial_id, attempt, 1, 'NaN') FROM hyperband_ask(hyperband_create_study(space(), 'random', 'full', 9, n_trials => 1)) \g /dev/null
CREATE TABLE warm AS SELECT part, sampler, hyperband_create_study(space(), sampler, 'hyperband', 9, seed => 5, options => jsonb_build_object('warm_start', :first)) AS study
	FROM unnest(ARRAY['random', 'tpe', 'gp']) sampler, generate_series(1, 2) part;
-- One of each two is worked to its end, of the other a part; then the source goes, and the other goes on when this session has forgotten it.
SELECT work(study, 1, CASE WHEN part = 2 THEN 4 END) FROM warm \g /dev/null
SELECT hyperband_minimize('bowl(jsonb, int)', space(), 'tpe', 'hyperband', 9, seed => 5, options => jsonb_build_object('warm_start', :first)) AS function \gset
SELECT is(hyperband_wait(:function, '1 minute'), 'done', 'warm start: a function''s study');
SELECT hyperband_cancel(study) FROM warm WHERE part = 2 \g /dev/null
SELECT hyperband_minimize('bowl(jsonb, int)', space(), 'tpe', 'hyperband', 9, seed => 5, options => jsonb_build_object('warm_start', :first)) AS later \gset
SELECT hyperband_cancel(:later) \g /dev/null
SELECT hyperband_wait(:later, '1 minute') \g /dev/null
SELECT hyperband_tune('numbers', 'y', 'linear', sampler => 'tpe', max_resource => 3, seed => 5, options => jsonb_build_object('warm_start', :first)) AS tuned \gset
SELECT is(hyperband_wait(:tuned, '1 minute'), 'done', 'warm start: of a table from a study of another kind takes what fits');
SELECT hyperband_tune('numbers', 'y', 'linear', sampler => 'tpe', max_resource => 3, seed => 5, name => 'w', options => jsonb_build_object('warm_start', :tuned)) AS again \gset
SELECT is(hyperband_wait(:again, '1 minute'), 'done', 'warm start: of a table');
SELECT hyperband_tune('numbers', 'y', 'linear', sampler => 'tpe', max_resource => 3, seed => 5, name => 'w', options => jsonb_build_object('warm_start', :tuned)) AS cut \gset
SELECT hyperband_cancel(:cut) \g /dev/null
SELECT hyperband_wait(:cut, '1 minute') \g /dev/null
SELECT hyperband_drop(:first), hyperband_drop(:tuned) \g /dev/null
SELECT work(hyperband_create_study(space(), 'random', 'full', 1, n_trials => 1)) FROM generate_series(1, 20) \g /dev/null
SELECT hyperband_resume(study) FROM warm WHERE part = 2 \g /dev/null
SELECT hyperband_resume(:later) WHERE (SELECT state FROM hyperband.study WHERE study_id = :later) <> 'done' \g /dev/null
SELECT hyperband_resume(:cut) WHERE (SELECT state FROM hyperband.study WHERE study_id = :cut) <> 'done' \g /dev/null
SELECT work(study) FROM warm WHERE part = 2 \g /dev/null
SELECT is(s.state, 'done', format('warm start: %s goes on without the study it started from', w.sampler)) FROM warm w JOIN hyperband.study s ON s.study_id = w.study WHERE part = 2 ORDER BY 1;
SELECT is_empty(format('SELECT * FROM (SELECT number, config, loss, rung FROM hyperband.trial WHERE study_id = %s) a FULL JOIN (SELECT number, config, loss, rung FROM hyperband.trial WHERE study_id = %s) b USING (number, config, loss, rung)
	WHERE a IS NULL OR b IS NULL', w.study, v.study), format('warm start: %s with the trials of one that was not interrupted', w.sampler)) FROM warm w JOIN warm v ON v.sampler = w.sampler WHERE v.part = 1 AND w.part = 2 ORDER BY 1;
SELECT is(hyperband_wait(:later, '1 minute'), 'done', 'warm start: so does a function''s study');
SELECT results_eq('SELECT number, config, loss FROM hyperband.trial WHERE study_id = ' || :later || ' ORDER BY 1', 'SELECT number, config, loss FROM hyperband.trial WHERE study_id = ' || :function || ' ORDER BY 1', 'warm start: with the same trials');
SELECT is(hyperband_wait(:cut, '1 minute'), 'done', 'warm start: so does a table''s study');
SELECT results_eq('SELECT number, config, loss FROM hyperband.trial WHERE study_id = ' || :cut || ' ORDER BY 1', 'SELECT number, config, loss FROM hyperband.trial WHERE study_id = ' || :again || ' ORDER BY 1', 'warm start: with the same trials');
SELECT throws_ok(format($$SELECT hyperband_create_study(space(), options => '{"warm_start": %s}')$$, :first), '42704', NULL, 'warm start: a new one needs the study');

SELECT * FROM finish();
