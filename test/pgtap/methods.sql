-- Every search method on a small real table: studies end, follow their plans, repeat themselves, and leave logs that can be checked.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA methods;
SET search_path = methods, public;
CREATE TABLE pima (id int PRIMARY KEY, fold int, pregnant int, glucose int, pressure int, triceps int, insulin int, mass float8, pedigree float8, age int, diabetes text);
\copy pima FROM PROGRAM 'gzip -dc test/data/pima2.csv.gz' WITH (FORMAT csv, HEADER)
CREATE TABLE runs (label text, sampler text, scheduler text, resource text, max_resource int, trainers int, id bigint, PRIMARY KEY (label, sampler, scheduler, resource, trainers));
CREATE FUNCTION start(label text, sampler text, scheduler text, resource text DEFAULT 'epochs', trainers int DEFAULT 1, max_resource int DEFAULT 9, eta int DEFAULT 3,
	n_trials int DEFAULT NULL, options jsonb DEFAULT '{}', space jsonb DEFAULT NULL, time_limit interval DEFAULT NULL, seed bigint DEFAULT 5, model text DEFAULT 'linear') RETURNS void LANGUAGE sql AS $$
	INSERT INTO runs SELECT label, sampler, scheduler, resource, max_resource, trainers, hyperband_tune('pima', 'diabetes', model, space, name => 'methods', sampler => sampler,
		scheduler => scheduler, resource => resource, max_resource => max_resource, eta => eta, n_trials => n_trials, trainers => trainers, options => options, time_limit => time_limit, seed => seed)
$$;
CREATE FUNCTION id(label text, sampler text DEFAULT 'random', scheduler text DEFAULT 'hyperband', resource text DEFAULT 'epochs', trainers int DEFAULT 1) RETURNS bigint LANGUAGE sql AS $$
	SELECT r.id FROM runs r WHERE (r.label, r.sampler, r.scheduler, r.resource, r.trainers) = ($1, $2, $3, $4, $5)
$$;
-- What a study did, without ids and times.
CREATE FUNCTION history(study bigint) RETURNS text LANGUAGE sql AS $$
	SELECT md5(string_agg(concat_ws('|', t.number, t.bracket, t.config, t.state, t.resource, e.rung, e.resource, e.loss, e.metrics, e.seq, e.rank, e.promoted), E'\n' ORDER BY t.number, e.rung))
	FROM hyperband.trial t LEFT JOIN hyperband.evaluation e USING (trial_id) WHERE t.study_id = $1
$$;

-- Samplers x schedulers; hyperband, halving and full with one trainer and with two.
SELECT start('all', s, c, 'epochs', t) FROM unnest(ARRAY['random', 'grid', 'sobol', 'tpe', 'gp']) s, unnest(ARRAY['full', 'halving', 'hyperband', 'asha']) c, unnest(ARRAY[1, 2]) t \g /dev/null
-- A race needs trials that nine folds can tell apart: networks that hardly leave their random start are such.
SELECT start('all', s, c, r, t, model => CASE c WHEN 'racing' THEN 'mlp' ELSE 'linear' END, space => CASE c WHEN 'racing' THEN
	'{"optimizer": "sgd", "units": 16, "layers": 1, "learning_rate": {"type": "float", "low": 0.00001, "high": 1, "log": true}}'::jsonb END)
	FROM unnest(ARRAY['random', 'tpe']) s, unnest(ARRAY['full', 'halving', 'hyperband', 'asha', 'racing']) c, unnest(ARRAY['rows', 'folds']) r, unnest(ARRAY[1, 2]) t
	WHERE c <> 'racing' OR r = 'folds' \g /dev/null
SELECT start('infinite', s, 'hyperband', 'epochs', t, NULL, 2, 40) FROM unnest(ARRAY['random', 'grid', 'sobol', 'tpe', 'gp']) s, unnest(ARRAY[1, 2]) t \g /dev/null
SELECT start('precise', 'random', 'hyperband', options => '{"precision": "highest"}') \g /dev/null
SELECT start(p, 'random', 'hyperband', model => 'mlp', options => jsonb_build_object('precision', p)) FROM unnest(ARRAY['medium', 'high']) p \g /dev/null
SELECT start('limited', 'tpe', 'hyperband', max_resource => NULL, eta => 2, time_limit => '8 s') \g /dev/null
SELECT start('exhausted', 'grid', 'hyperband', space => '{"optimizer": ["nesterov", "adam"], "l2": {"type": "float", "low": 0.0001, "high": 0.01, "log": true, "grid": 3}, "learning_rate": 0.01}') \g /dev/null
SELECT start('capped', 'grid', 'full', n_trials => 4, space => '{"optimizer": ["nesterov", "adam"], "l2": {"type": "float", "low": 0.0001, "high": 0.01, "log": true, "grid": 3}, "learning_rate": 0.01}') \g /dev/null
SELECT start('nine epochs', 'random', 'full', 'rows', options => '{"epochs": 9}') \g /dev/null
SELECT start('one pull', 'random', 'halving', 'folds', n_trials => 9) \g /dev/null
SELECT start('large', 'random', 'asha', 'epochs', 2, 27) \g /dev/null
-- Some of the learning rates diverge.
SELECT start('crashes', s, c, r, space => '{"optimizer": "sgd", "learning_rate": {"type": "float", "low": 0.001, "high": 1000, "log": true}, "l2": {"type": "float", "low": 0.00001, "high": 10, "log": true}}', max_resource => 27)
	FROM unnest(ARRAY['random', 'tpe', 'gp']) s, unnest(ARRAY['hyperband', 'asha']) c, unnest(ARRAY['epochs', 'rows', 'folds']) r WHERE r = 'epochs' OR s = 'tpe' \g /dev/null
SELECT hyperband_wait(id, '2 minutes') FROM runs ORDER BY id \g /dev/null
SELECT start('warm', s, c, options => jsonb_build_object('warm_start', id('all', 'random', 'hyperband')), seed => 6) FROM unnest(ARRAY['random', 'grid', 'tpe', 'gp']) s, unnest(ARRAY['full', 'hyperband', 'asha']) c \g /dev/null
SELECT start('cold', s, c, seed => 6) FROM unnest(ARRAY['random', 'tpe']) s, unnest(ARRAY['hyperband']) c \g /dev/null
SELECT hyperband_wait(id, '2 minutes') FROM runs ORDER BY id \g /dev/null

SELECT plan(202);
SELECT is(s.state || coalesce(': ' || s.error, ''), 'done', concat_ws(' ', r.label || ':', r.sampler, 'x', r.scheduler || ',', r.resource || ',', r.trainers, 'trainers: done'))
	FROM runs r JOIN hyperband.study s ON s.study_id = r.id ORDER BY r.id;
SELECT is_empty($$SELECT r.* FROM runs r WHERE (SELECT count(*) FROM hyperband.trial WHERE study_id = id) <> (SELECT count(DISTINCT config) FROM hyperband.trial WHERE study_id = id)$$,
	'no study tries a configuration twice');
SELECT is_empty($$SELECT r.* FROM runs r JOIN hyperband.trial t ON t.study_id = id WHERE label NOT IN ('limited') AND t.state NOT IN ('completed', 'stopped', 'diverged')$$, 'no trial is left open');
SELECT is_empty($$SELECT a.sampler, a.scheduler, a.resource, a.label FROM runs a JOIN runs b USING (label, sampler, scheduler, resource) WHERE a.trainers = 1 AND b.trainers = 2
	AND a.scheduler <> 'asha' AND history(a.id) <> history(b.id)$$, 'lockstep schedulers: the same history with two trainers as with one');
SELECT is(count(*)::int, 34, 'so many were compared') FROM runs a JOIN runs b USING (label, sampler, scheduler, resource) WHERE a.trainers = 1 AND b.trainers = 2 AND a.scheduler <> 'asha';
SELECT is(count(DISTINCT history(id))::int, 5, 'five samplers, five histories') FROM runs WHERE label = 'all' AND scheduler = 'hyperband' AND resource = 'epochs' AND trainers = 1;

-- Plans.
SELECT is_empty($$
	SELECT r.label, r.sampler, r.scheduler, r.resource, p.bracket, p.rung FROM runs r, hyperband_plan(9, scheduler => r.scheduler) p
	WHERE label = 'all' AND scheduler IN ('full', 'halving', 'hyperband') AND p.trials <> (SELECT count(*) FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
		WHERE e.study_id = r.id AND e.rung = p.rung AND e.resource = p.resource AND (r.scheduler = 'full' OR t.bracket = p.bracket))$$, 'every rung has as many results as the plan says');
SELECT is_empty($$
	SELECT r.sampler, p.* FROM runs r, hyperband_plan(NULL, 2, n_trials => 40) p WHERE label = 'infinite' AND p.trials <> (SELECT count(*) FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id)
		WHERE e.study_id = r.id AND e.rung = p.rung AND e.resource = p.resource AND t.bracket = p.bracket)$$, 'and so it is on an infinite horizon');
SELECT is_empty($$SELECT label, r.sampler, r.scheduler, r.resource FROM runs r JOIN hyperband.study s ON s.study_id = id WHERE r.scheduler IN ('full', 'halving', 'hyperband') AND label NOT IN ('limited', 'crashes')
	AND resource_spent <> resource_planned$$, 'what was planned was spent');
SELECT is_empty($$SELECT label, r.sampler FROM runs r JOIN hyperband.study s ON s.study_id = id WHERE r.scheduler = 'racing' AND resource_spent > resource_planned$$, 'a race spends at most what was planned');
SELECT ok(count(*) > 40, 'without n_trials the plan grows until the time is over: ' || count(*) || ' trials') FROM hyperband.trial WHERE study_id = id('limited', 'tpe');
SELECT ok(resource_planned > 100 AND max_resource IS NULL AND best_loss < 0.3, 'and the best so far is the result') FROM hyperband.study WHERE study_id = id('limited', 'tpe');
SELECT ok(bool_and(config ->> 'schedule' IS NULL OR config ->> 'schedule' IN ('constant', 'inverse_time')), 'no schedule there waits for an end') FROM hyperband.trial WHERE study_id = id('infinite', 'random');
SELECT is(count(*)::int, 6, 'a grid of 2 x 3 points ends the study') FROM hyperband.trial WHERE study_id = id('exhausted', 'grid');
SELECT is(count(*)::int, 4, 'n_trials takes part of it') FROM hyperband.trial WHERE study_id = id('capped', 'grid', 'full');
SELECT set_eq($$SELECT round((config -> 'l2')::numeric, 6) FROM hyperband.trial WHERE study_id = id('exhausted', 'grid')$$, ARRAY[0.0001, 0.001, 0.01]::numeric[], 'evenly spaced in the logarithm');

SELECT ok(count(*) > 10, 'trials that diverged were among them') FROM runs r JOIN hyperband.trial t ON t.study_id = id WHERE label = 'crashes' AND t.state = 'diverged';
SELECT is_empty($$SELECT r.* FROM runs r JOIN hyperband.trial t ON t.study_id = id JOIN hyperband.evaluation e USING (trial_id) WHERE t.state = 'diverged' AND e.rung = t.rung AND e.promoted IS NOT TRUE AND r.scheduler <> 'asha'$$,
	'who diverged had been promoted, or had no result');

-- Samplers that learn draw later brackets from what earlier ones gave, where nothing is known yet at random.
SELECT is((SELECT count(*)::int FROM hyperband.trial a JOIN hyperband.trial b USING (number, config) WHERE a.study_id = id('all', 'sobol') AND b.study_id = id('all', 'tpe') AND number <= 9), 9,
	'tpe x hyperband: the first bracket is sobol''s');
SELECT ok((SELECT count(*) FROM hyperband.trial a JOIN hyperband.trial b USING (number, config) WHERE a.study_id = id('infinite', 'sobol') AND b.study_id = id('infinite', 'tpe') AND number > 20) < 15,
	'tpe: later ones are not');

-- asha: the log, gone through by the rule itself.
CREATE FUNCTION log_of(study bigint) RETURNS TABLE (seq int, decision boolean, number int, rung int, loss float8) LANGUAGE sql AS $$
	SELECT started_seq, true, number, 0, NULL::float8 FROM hyperband.trial WHERE study_id = $1 AND started_seq IS NOT NULL
	UNION ALL SELECT e.seq, true, t.number, e.rung + 1, NULL FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = $1 AND e.promoted
	UNION ALL SELECT e.result_seq, false, t.number, e.rung, e.loss FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = $1 ORDER BY 1
$$;
-- The first decision that does not follow; NULL where all do.
CREATE FUNCTION contradiction(study bigint, rungs int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	event record;
	expected record;
	next_new int := 1;
BEGIN
	CREATE TEMP TABLE result (number int, rung int, loss float8, promoted boolean) ON COMMIT DROP;
	FOR event IN SELECT * FROM log_of(study) LOOP
		IF NOT event.decision THEN
			INSERT INTO result VALUES (event.number, event.rung, event.loss, false);
			CONTINUE;
		END IF;
		SELECT q.number, q.rung + 1 AS rung INTO expected
			FROM (SELECT r.*, rank() OVER (PARTITION BY r.rung ORDER BY r.loss, r.number) AS place, count(*) OVER (PARTITION BY r.rung) AS n FROM result r) q
			WHERE place <= n / 3 AND NOT promoted AND q.rung < rungs - 1 ORDER BY q.rung DESC, place LIMIT 1;
		IF NOT FOUND THEN
			SELECT next_new AS number, 0 AS rung INTO expected;
			next_new := next_new + 1;
		END IF;
		IF (event.number, event.rung) IS DISTINCT FROM (expected.number, expected.rung) THEN
			RETURN format('%s: trial %s to rung %s, expected %s to %s', event.seq, event.number, event.rung, expected.number, expected.rung);
		END IF;
		UPDATE result r SET promoted = true WHERE r.number = event.number AND r.rung = event.rung - 1;
	END LOOP;
	DROP TABLE result;
	RETURN NULL;
END $$;
SELECT is(contradiction(id, CASE max_resource WHEN 27 THEN 4 ELSE 3 END), NULL, concat_ws(' ', sampler, 'x asha,', resource || ',', trainers, 'trainers: every decision in the log follows from the events before it'))
	FROM runs WHERE scheduler = 'asha' AND label IN ('all', 'large', 'warm') ORDER BY id;
SELECT is_empty($$SELECT id FROM runs r WHERE scheduler = 'asha' AND (SELECT array_agg(seq ORDER BY seq) <> array_agg(n::int ORDER BY n) FROM (SELECT seq, row_number() OVER (ORDER BY seq) AS n FROM log_of(id)) l)$$,
	'the log has no gaps');
SELECT is_empty($$SELECT id FROM runs r JOIN hyperband.evaluation e ON e.study_id = id WHERE scheduler = 'asha' AND rank IS NULL$$, 'every result has its final rank');
SELECT is_empty($$SELECT id FROM runs r JOIN hyperband.evaluation e ON e.study_id = id JOIN hyperband.checkpoint c USING (trial_id) JOIN hyperband.trial t USING (trial_id) JOIN hyperband.study s ON s.study_id = id
	WHERE r.scheduler = 'asha' AND t.state = 'stopped' AND s.best_trial_id <> t.trial_id$$, 'and trials that were stopped keep no checkpoint');

-- rows: all of them for as many epochs is full training; fewer rows cost less and give more of the loss.
SELECT is_empty($$SELECT a.number, a.loss, b.loss FROM hyperband.trial a JOIN hyperband.trial b USING (number, config)
	WHERE a.study_id = id('nine epochs', 'random', 'full', 'rows') AND b.study_id = id('all', 'random', 'full') AND a.loss <> b.loss$$, 'rows: all rows for nine epochs give what nine epochs give');
SELECT is(count(*)::int, 7, 'so many were compared') FROM hyperband.trial a JOIN hyperband.trial b USING (number, config)
	WHERE a.study_id = id('nine epochs', 'random', 'full', 'rows') AND b.study_id = id('all', 'random', 'full');
SELECT ok(avg(e.loss) FILTER (WHERE e.rung = 0) > avg(e.loss) FILTER (WHERE e.rung = 1), 'rows: with more of them the survivors are better') FROM hyperband.evaluation e
	WHERE study_id = id('all', 'random', 'halving', 'rows') AND trial_id IN (SELECT f.trial_id FROM hyperband.evaluation f WHERE f.study_id = e.study_id AND f.rung = 1);
SELECT is_empty($$SELECT c.* FROM runs r JOIN hyperband.loss_curve c ON c.study_id = id LEFT JOIN hyperband.evaluation e ON e.trial_id = c.trial_id AND e.resource = c.resource WHERE r.resource = 'rows' AND e.trial_id IS NULL$$,
	'rows: a curve has a point a rung');

-- folds: a loss is a share of the rows of one fold, later the mean of such.
SELECT ok(bool_and(abs(loss * n - round(loss * n)) < 1e-9), 'folds: the first pull is evaluated on a ninth of the training rows')
	FROM hyperband.evaluation e, LATERAL (SELECT ceil(rows_train / 9.0) AS n FROM hyperband.study s WHERE s.study_id = e.study_id) f
	WHERE study_id = id('one pull', 'random', 'halving', 'folds') AND resource = 1;
SELECT ok(bool_and(x.sum BETWEEN -1e-9 AND 9 + 1e-9), 'folds: what later pulls add is a share, too')
	FROM (SELECT e.resource * e.loss - f.resource * f.loss AS sum FROM hyperband.evaluation e JOIN hyperband.evaluation f ON f.trial_id = e.trial_id AND f.rung = e.rung - 1
		WHERE e.study_id = id('all', 'random', 'racing', 'folds')) x;
SELECT is_empty($$SELECT r.* FROM runs r JOIN hyperband.study s ON s.study_id = id JOIN hyperband.trial t ON t.trial_id = s.best_trial_id WHERE r.resource = 'folds' AND t.state <> 'completed'$$,
	'folds: the winner is one that completed');
SELECT is_empty($$SELECT r.*, s.best_loss, l.loss, l.number FROM runs r JOIN hyperband.study s ON s.study_id = id LEFT JOIN hyperband.leaderboard l ON l.study_id = id AND l.place = 1
	WHERE (l.trial_id, l.loss) IS DISTINCT FROM (s.best_trial_id, s.best_loss)$$, 'every study''s winner leads its leaderboard');
-- The pulls of a race from its means, and all that does not need a table of Student's t.
CREATE TABLE pulls AS SELECT e.study_id, t.number, e.rung, e.resource * e.loss - coalesce((e.resource - 1) * f.loss, 0) AS loss FROM runs r JOIN hyperband.evaluation e ON e.study_id = r.id
	JOIN hyperband.trial t USING (trial_id) LEFT JOIN hyperband.evaluation f ON f.trial_id = e.trial_id AND f.rung = e.rung - 1 WHERE r.scheduler = 'racing';
CREATE TABLE races AS SELECT a.*, first_value(number) OVER (PARTITION BY study_id ORDER BY pulls DESC, mean, number) AS leader FROM hyperband.racing_audit a WHERE study_id IN (SELECT id FROM runs);
SELECT ok(count(DISTINCT study_id) = 4 AND bool_or(state = 'stopped') AND bool_or(difference > 0) AND bool_and(number <> leader OR difference = 0 AND difference_bound = 0), 'racing_audit: the races of tables, with their leaders') FROM races;
SELECT is_empty($$SELECT a.*, p.* FROM races a, LATERAL (SELECT count(*) AS n, avg(x.loss) AS mean, stddev_samp(x.loss) AS s, avg(x.loss - y.loss) AS difference, stddev_samp(x.loss - y.loss) AS ds
		FROM pulls x JOIN pulls y USING (study_id, rung) WHERE x.study_id = a.study_id AND x.number = a.number AND y.number = a.leader) p
	WHERE a.pulls <> p.n OR abs(a.mean - p.mean) > 1e-9 OR abs(a.difference - p.difference) > 1e-9 OR abs(a.difference_bound * p.s - a.bound * p.ds) > 1e-9$$, 'racing_audit: means, and bounds in the ratio of standard deviations');
SELECT is_empty($$SELECT * FROM races WHERE state = 'stopped' AND pulls = (SELECT max(b.pulls) FROM races b WHERE b.study_id = races.study_id) AND difference <= difference_bound$$, 'racing_audit: who was dropped is behind by more than the bound');
SELECT ok(s.best_loss IN (SELECT t.loss FROM hyperband.trial t WHERE t.study_id = id('all', 'random', 'full', 'folds') AND t.state = 'completed'),
	'folds: replayed under ' || c || ', who was trained on all of them wins') FROM unnest(ARRAY['halving', 'hyperband', 'asha']) c,
	LATERAL (SELECT best_loss FROM hyperband_simulate(id('all', 'random', 'full', 'folds'), c) ORDER BY resource_spent DESC LIMIT 1) s;
SELECT ok(count(*) > 1 AND bool_and(best_loss IS NOT NULL), 'folds: a replay that its budget ends has found something') FROM hyperband_simulate(id('all', 'random', 'full', 'folds'), 'full', options => '{"budget": 20}');
SELECT is_empty($$SELECT r.* FROM runs r JOIN hyperband.checkpoint c ON c.study_id = id WHERE r.resource = 'folds'$$, 'folds: no fold''s weights are kept');
SELECT is(count(*)::int, (SELECT count(*)::int FROM runs), 'every study has made a version of the model') FROM hyperband.model WHERE name = 'methods';
SELECT is_empty($$SELECT m.version FROM hyperband.model m WHERE name = 'methods' AND (SELECT avg((hyperband_classify('methods', p, m.version) IS DISTINCT FROM diabetes)::int) FROM pima p) > 0.35$$, 'and each of them predicts');
SELECT is_empty($$SELECT m.version FROM hyperband.model m JOIN runs r ON r.id = m.study_id WHERE name = 'methods' AND abs(loss - (metrics -> 'error')::float8) > CASE label WHEN 'medium' THEN 0.02 ELSE 1e-9 END$$,
	'a version''s loss is that of the validation rows; with precision medium, whose products round, but for some that are undecided');

-- Warm start: the best first, and something learned.
SELECT is_empty($$
	SELECT w.sampler, w.scheduler, b.place FROM runs w, LATERAL (SELECT place, config FROM hyperband.leaderboard WHERE study_id = id('all', 'random', 'hyperband') AND place <= CASE w.scheduler WHEN 'full' THEN 2 ELSE 3 END) b
	JOIN hyperband.trial t ON t.number = b.place WHERE label = 'warm' AND sampler <> 'grid' AND t.study_id = w.id AND t.config <> b.config$$, 'warm start: another study''s best configurations come first');
SELECT is((SELECT count(*)::int FROM hyperband.trial a JOIN hyperband.trial b USING (number, config) WHERE a.study_id = id('warm', 'random') AND b.study_id = id('cold', 'random')), 12, 'random: then what it would have drawn');
SELECT ok((SELECT count(*) FROM hyperband.trial a JOIN hyperband.trial b USING (number, config) WHERE a.study_id = id('warm', 'tpe') AND b.study_id = id('cold', 'tpe') AND number BETWEEN 4 AND 9) < 6, 'tpe: it has learned');
SELECT throws_ok($$SELECT start('no', 'random', 'full', options => '{"warm_start": 123456789}')$$, '42704', 'study 123456789 does not exist', 'warm start from a study that is not there');
SELECT throws_ok($$SELECT start('no', 'random', 'full', options => '{"warm_start": "best"}')$$, '22023', NULL, 'warm start from something else');

-- Precision: products in float32 throughout, on processors that have something faster, too; of single bfloat16 numbers only where it is asked for.
SELECT ok(versions ->> 'provider' <> 'bf16', 'precision high: computed by ' || (versions ->> 'provider')) FROM hyperband.study WHERE study_id = id('all', 'random', 'hyperband');
SELECT CASE WHEN flags ~ ' avx512_bf16 ' AND flags !~ ' amx_bf16 ' THEN is(versions ->> 'provider', 'bf16', 'precision medium: computed by bf16 where the processor has it, and no more')
	ELSE isnt(versions ->> 'provider', 'bf16', 'precision medium: computed by ' || (versions ->> 'provider')) END
	FROM hyperband.study, regexp_replace(pg_read_file('/proc/cpuinfo') || ' ', '\s', ' ', 'g') AS flags WHERE study_id = id('medium');
SELECT ok((SELECT bool_and(abs(p.best_loss - h.best_loss) < 0.02) FROM hyperband.study p, hyperband.study h WHERE p.study_id = id('medium') AND h.study_id = id('high')), 'and the result is as good');
SELECT is((SELECT count(*)::int FROM hyperband.trial a JOIN hyperband.trial b USING (number, config) WHERE a.study_id = id('medium') AND b.study_id = id('high')),
	(SELECT count(*)::int FROM hyperband.trial WHERE study_id = id('medium')), 'of the same configurations');
SELECT ok(versions ->> 'provider' NOT IN ('amx', 'bf16'), 'precision highest: computed by ' || (versions ->> 'provider')) FROM hyperband.study WHERE study_id = id('precise');
SELECT ok((SELECT bool_and(abs(p.best_loss - h.best_loss) < 0.02) FROM hyperband.study p, hyperband.study h WHERE p.study_id = id('precise') AND h.study_id = id('all', 'random', 'hyperband')), 'and the result is as good');

-- What does not go together.
SELECT throws_ok($$SELECT start('no', 'random', 'racing')$$, '22023', 'scheduler "racing" cannot be used with resource "epochs"', 'a race of epochs');
SELECT throws_ok($$SELECT start('no', 'random', 'full', options => '{"epochs": 5}')$$, '22023', NULL, 'option epochs with resource epochs');
SELECT throws_ok($$SELECT start('no', 'random', 'full', 'folds', max_resource => 1)$$, '22023', NULL, 'one fold');
SELECT throws_ok($$SELECT start('no', 'random', 'hyperband', max_resource => NULL, eta => 2)$$, '22023', '"n_trials" or "time_limit" must be given where "max_resource" is null', 'a study without an end');
SELECT throws_ok($$SELECT start('no', 'random', 'hyperband', max_resource => NULL, n_trials => 9)$$, '22023', '"eta" must be 2 for an infinite horizon', 'an infinite horizon of another eta');
SELECT throws_ok($$SELECT start('no', 'random', 'asha', max_resource => NULL, n_trials => 9)$$, '0A000', NULL, 'an infinite horizon of another scheduler');
SELECT throws_ok($$SELECT start('no', 'random', 'hyperband', 'rows', max_resource => NULL, eta => 2, n_trials => 9)$$, '22023', NULL, 'rows without a largest number');
SELECT throws_ok($$SELECT start('no', 'random', 'hyperband', max_resource => NULL, eta => 2, n_trials => 9, space => '{"schedule": ["cosine", "constant"]}')$$, '22023', NULL, 'a schedule that needs an end');

SELECT * FROM finish();
