-- What a study leaves behind: rungs, promotions, curves, the winner, views, models, options.
\set QUIET 1
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA results;
SET search_path = results, public;
CREATE TABLE lines (line text);
\copy lines FROM PROGRAM 'gzip -dc test/data/digits.csv.gz' WITH (DELIMITER E'\x01')
CREATE TABLE digits AS SELECT c[1]::int AS id, c[2]::int AS fold, c[3:66]::int[] AS pixels, c[67]::int AS digit
	FROM (SELECT string_to_array(line, ',') AS c FROM lines WHERE line !~ '^id') x;
CREATE VIEW train AS SELECT pixels, digit FROM digits WHERE fold < 8;
CREATE VIEW test AS SELECT pixels, digit FROM digits WHERE fold >= 8;

SELECT hyperband_tune('train', 'digit', name => 'digits', max_resource => 27, seed => 1, options => '{"test": 0.1}') AS study \gset
-- A metric where more is better, few curve points, a cap on the rows.
SELECT hyperband_tune('train', 'digit', model => 'linear', name => 'auc', metric => 'auc', max_resource => 9, options => '{"curve_points": 2, "max_rows": 500}') AS auc \gset
SELECT hyperband_tune('train', 'digit', name => 'all', scheduler => 'full', n_trials => 8, max_resource => 6, search_space => '{"optimizer": "sgd", "activation": "relu", "learning_rate": [0.05, 1000]}', seed => 4) AS diverging \gset
SELECT hyperband_wait(:study), hyperband_wait(:auc), hyperband_wait(:diverging) \g /dev/null

SELECT plan(57);
SELECT is(hyperband_wait(:study), 'done', 'a study of digits is done');
SELECT is((SELECT count(*)::int FROM hyperband.bracket WHERE study_id = :study), 4, 'four brackets');
SELECT results_eq(format('SELECT bracket, trials, min_resource, rungs FROM hyperband.bracket WHERE study_id = %s ORDER BY bracket DESC', :study),
	'VALUES (3, 27, 1, 4), (2, 9, 3, 3), (1, 6, 9, 2), (0, 4, 27, 1)', 'as the plan says');
SELECT results_eq(format('SELECT bracket, e.rung, count(*)::int, min(e.resource), max(e.resource) FROM hyperband.evaluation e JOIN hyperband.trial USING (trial_id) WHERE e.study_id = %s GROUP BY 1, 2 ORDER BY 1 DESC, 2', :study),
	'SELECT bracket, rung, trials, resource, resource FROM hyperband_plan(27)', 'evaluations at every rung as the plan says');
SELECT ok(bool_and(NOT coalesce(worse, false)), 'who is promoted is better than who is not') FROM (
	SELECT max(e.loss) FILTER (WHERE promoted) > min(e.loss) FILTER (WHERE NOT promoted) AS worse
	FROM hyperband.evaluation e JOIN hyperband.trial USING (trial_id, study_id) WHERE study_id = :study GROUP BY bracket, e.rung) x;
SELECT ok(bool_and(rank = expected), 'ranks follow the loss, ties the lower number') FROM (
	SELECT e.rank, row_number() OVER (PARTITION BY t.bracket, e.rung ORDER BY e.loss, t.number) AS expected
	FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = :study AND e.rank IS NOT NULL) x;
SELECT is((SELECT count(*)::int FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) JOIN hyperband.bracket b ON b.study_id = t.study_id AND b.bracket = t.bracket
	WHERE e.study_id = :study AND (e.promoted IS NULL) <> (e.rung = b.rungs - 1)), 0, 'promoted is NULL at last rungs and nowhere else');
SELECT results_eq(format('SELECT state, count(*)::int FROM hyperband.trial WHERE study_id = %s GROUP BY 1 ORDER BY 1', :study),
	'VALUES (''completed'', 8), (''stopped'', 38)', 'eight trials went all the way, the others were stopped');
SELECT is((SELECT array_agg(number ORDER BY number) FROM hyperband.trial WHERE study_id = :study), (SELECT array_agg(n) FROM generate_series(1, 46) n), 'trials are numbered from 1');
SELECT is(resource_spent, (27*1 + 9*2 + 3*6 + 1*18 + 9*3 + 3*6 + 1*18 + 6*9 + 2*18 + 4*27)::bigint, 'promoted trials went on from where they were') FROM hyperband.study WHERE study_id = :study;
SELECT is(resource_spent, resource_planned, 'spent as planned') FROM hyperband.study WHERE study_id = :study;
SELECT ok(bool_and(points = resource AND first = 1 AND last = resource), 'train loss for every epoch of every trial') FROM (
	SELECT t.resource, count(*) AS points, min(c.resource) AS first, max(c.resource) AS last FROM hyperband.trial t JOIN hyperband.loss_curve c USING (trial_id)
	WHERE t.study_id = :study GROUP BY t.trial_id, t.resource) x;
SELECT ok(bool_and((validation_loss IS NOT NULL) = (resource <= 9 OR resource % 3 = 0)), 'validation loss up to epoch 9, then at every third') FROM hyperband.loss_curve WHERE study_id = :study;
SELECT ok(bool_and(round(e.loss::numeric, 9) = round(c.metric_value::numeric, 9)), 'the curve at a rung is the evaluation there')
	FROM hyperband.evaluation e JOIN hyperband.loss_curve c USING (trial_id, resource) WHERE e.study_id = :study;
SELECT ok(bool_and(metrics ?& ARRAY['error', 'log_loss', 'auc']), 'all metrics of the task at every rung') FROM hyperband.evaluation WHERE study_id = :study;

-- The winner: lowest loss over all evaluations, then log loss, larger resource, lower number.
SELECT is(s.best_trial_id, (SELECT e.trial_id FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = s.study_id
	ORDER BY e.loss, (e.metrics ->> 'log_loss')::float8, e.resource DESC, t.number LIMIT 1), 'the winner') FROM hyperband.study s WHERE study_id = :study;
SELECT is(s.best_trial_id, l.trial_id, 'leads the leaderboard') FROM hyperband.study s JOIN hyperband.leaderboard l USING (study_id) WHERE study_id = :study AND place = 1;
SELECT is(s.best_trial_id, m.trial_id, 'and is the model') FROM hyperband.study s JOIN hyperband.model m USING (study_id) WHERE study_id = :study;
SELECT cmp_ok((SELECT avg((hyperband_classify('digits', t) IS DISTINCT FROM digit::text)::int)::float8 FROM test t), '<=', 0.05::float8, 'test error of digits');
SELECT cmp_ok((test_metrics ->> 'error')::float8, '<=', 0.08::float8, 'test_metrics: rows that no choice has seen') FROM hyperband.model WHERE name = 'digits';
SELECT is(labels, ARRAY['0','1','2','3','4','5','6','7','8','9'], 'labels in order') FROM hyperband.model WHERE name = 'digits';
SELECT is((SELECT rows_train + rows_validation < (SELECT count(*) FROM train) FROM hyperband.study WHERE study_id = :study), true, 'test rows are neither training nor validation rows');

-- Probabilities and classes agree.
SELECT ok(bool_and(abs(total - 1) < 1e-4 AND labels = 10), 'probabilities of all classes sum to one') FROM (
	SELECT sum(p.value::float8) AS total, count(*) AS labels FROM test t, jsonb_each_text(hyperband_probabilities('digits', t)) p GROUP BY t.pixels) x;
SELECT ok(bool_and((hyperband_classify('digits', t) = (SELECT key FROM jsonb_each_text(hyperband_probabilities('digits', t)) ORDER BY value::float8 DESC LIMIT 1)) IS TRUE),
	'the class is the most likely one') FROM test t;
SELECT ok(bool_and((hyperband_classify('digits', ROW(pixels)) = hyperband_classify('digits', jsonb_build_object('pixels', pixels))) IS TRUE), 'by position and as jsonb') FROM test;

-- Views.
SELECT is(count(*)::int, 46, 'the leaderboard has every trial') FROM hyperband.leaderboard WHERE study_id = :study;
SELECT ok(bool_and(loss >= before), 'best first') FROM (SELECT loss, lag(loss) OVER (ORDER BY place) AS before FROM hyperband.leaderboard WHERE study_id = :study) x WHERE before IS NOT NULL;
SELECT ok(bool_and(curve ~ '^[▁▂▃▄▅▆▇█ ]+$'), 'with a sparkline') FROM hyperband.leaderboard WHERE study_id = :study;
SELECT is((state, brackets, brackets_done, rungs, rungs_done, trials, trials_done, trials_running)::text, '(done,4,4,10,10,46,46,0)', 'progress of a finished study') FROM hyperband.progress WHERE study_id = :study;
SELECT ok(bar <> '' AND elapsed > 0 AND eta IS NULL, 'a bar, the time it took and nothing to wait for') FROM hyperband.progress WHERE study_id = :study;
SELECT is(count(*)::int, 10, 'the audit has every rung') FROM hyperband.rung_audit WHERE study_id = :study;
SELECT ok(bool_and(rank_correlation BETWEEN -1.0000001 AND 1.0000001), 'rank correlations are correlations') FROM hyperband.rung_audit WHERE study_id = :study AND rank_correlation IS NOT NULL;

-- Checkpoints: none are left but what the winner needs at most.
SELECT cmp_ok((SELECT count(DISTINCT trial_id)::int FROM hyperband.checkpoint WHERE study_id = :study), '<=', 9, 'checkpoints of final rungs and the winner only');

-- More is better.
SELECT ok(bool_and(loss = - metric_value AND metric_value BETWEEN 0 AND 1), 'auc: loss is the negated metric') FROM hyperband.leaderboard WHERE study_id = :auc;
SELECT is((direction, metric)::text, '(maximize,auc)', 'auc: direction') FROM hyperband.study WHERE study_id = :auc;
SELECT is(best_metric_value, max, 'auc: the best is the largest') FROM hyperband.progress, (SELECT max(metric_value) FROM hyperband.leaderboard WHERE study_id = :auc) m WHERE study_id = :auc;
SELECT is((SELECT array_agg(DISTINCT resource ORDER BY resource) FROM hyperband.loss_curve WHERE study_id = :auc AND validation_loss IS NOT NULL), '{1,3,5,9}', 'two curve points, of which the last is a rung; and the other rungs');
SELECT is(rows_train + rows_validation, 500::bigint, 'max_rows') FROM hyperband.study WHERE study_id = :auc;

-- Divergence.
SELECT results_eq(format('SELECT DISTINCT state FROM hyperband.trial WHERE study_id = %s AND (config ->> ''learning_rate'')::float8 > 1', :diverging), 'VALUES (''diverged'')', 'a trial with an absurd learning rate diverges');
SELECT is(count(*)::int, 0, 'a diverged trial has no evaluation and never wins') FROM hyperband.trial t JOIN hyperband.evaluation USING (trial_id) WHERE t.study_id = :diverging AND t.state = 'diverged';

-- Full training of a table says what cutting at 1 and at 3 epochs would have cost, by the curves.
SELECT results_eq(format('SELECT a.rung, a.resource, a.trials, a.promoted, a.winner_rank, a.regret FROM hyperband.rung_audit a WHERE study_id = %s', :diverging), format($$
	WITH point AS (SELECT c.resource, t.number, t.loss AS final, row_number() OVER (PARTITION BY c.resource ORDER BY c.metric_value, t.number) AS place, row_number() OVER (PARTITION BY c.resource ORDER BY t.loss, t.number) AS last,
			count(*) OVER (PARTITION BY c.resource) AS n FROM hyperband.trial t JOIN hyperband.loss_curve c USING (trial_id) WHERE t.study_id = %s AND t.state = 'completed' AND c.resource IN (1, 3, 6))
	SELECT CASE resource WHEN 1 THEN 0 WHEN 3 THEN 1 ELSE 2 END, resource, n::int, CASE resource WHEN 6 THEN 0 ELSE greatest(1, n / 3) END::int, min(place) FILTER (WHERE last = 1)::int,
		CASE WHEN resource < 6 THEN min(final) FILTER (WHERE place <= greatest(1, n / 3)) - min(final) END FROM point GROUP BY resource, n ORDER BY 1$$, :diverging), 'rung_audit of a table under full');

-- Versions of a model.
SELECT hyperband_tune('train', 'digit', name => 'digits', scheduler => 'full', n_trials => 1, max_resource => 1, search_space => '{"learning_rate": 1e-6, "optimizer": "adam"}') AS worse \gset
SELECT hyperband_wait(:worse) \g /dev/null
SELECT results_eq('SELECT version, is_current FROM hyperband.model WHERE name = ''digits'' ORDER BY 1', 'VALUES (1, true), (2, false)', 'a worse model does not replace the current one');
SELECT cmp_ok((SELECT avg((hyperband_classify('digits', t, 2) <> digit::text)::int)::float8 FROM test t), '>', 0.3::float8, 'a version can be asked for');
SELECT is(hyperband_promote('digits', 2), true, 'promote');
SELECT is(hyperband_promote('digits', 2), false, 'promote it again: nothing changes');
SELECT cmp_ok((SELECT avg((hyperband_classify('digits', t) IS DISTINCT FROM digit::text)::int)::float8 FROM test t), '>', 0.3::float8, 'the session notices the new current version');
SELECT lives_ok('SELECT hyperband_promote(''digits'', 1)', 'promote the first again');
SELECT cmp_ok((SELECT avg((hyperband_classify('digits', t) IS DISTINCT FROM digit::text)::int)::float8 FROM test t), '<', 0.1::float8, 'and notices that, too');
SELECT lives_ok('SELECT hyperband_drop_model(''digits'', 2)', 'drop a version');
SELECT throws_ok('SELECT hyperband_promote(''digits'', 2)', '42704', NULL, 'which is then gone');
SELECT hyperband_drop(:study) \g /dev/null
SELECT is((SELECT count(*)::int FROM hyperband.study WHERE study_id = :study), 0, 'drop the study');
SELECT cmp_ok((SELECT avg((hyperband_classify('digits', t) IS DISTINCT FROM digit::text)::int)::float8 FROM test t), '<', 0.1::float8, 'its model stays');
SELECT lives_ok('SELECT hyperband_drop_model(''digits'')', 'drop the model');
SELECT throws_ok('SELECT hyperband_classify(''digits'', t) FROM test t', '55000', 'model "digits" has no finished version', 'which is then gone');

-- A target whose mean is a billion times its deviation: no figure is rounded to floats of its own unit.
CREATE TABLE oscillator AS SELECT n AS id, sin(n) AS a, cos(n * 3) AS b, 1e9::float8 + sin(n) + 0.2 * cos(n * 3) + 0.1 * sin(n * n) AS hertz FROM generate_series(1, 2000) n;
SELECT hyperband_tune('oscillator', 'hertz', model => 'linear', name => 'oscillator', scheduler => 'full', n_trials => 1, max_resource => 9,
	search_space => '{"learning_rate": 0.02}', options => '{"test": 0.2}') AS study \gset
SELECT hyperband_wait(:study) \g /dev/null
SELECT ok(abs((metrics ->> 'rmse')::float8 / s.best_loss - 1) < 1e-4 AND s.best_loss BETWEEN 0.05 AND 0.1, 'the model''s error is its trial''s')
	FROM hyperband.model JOIN hyperband.study s USING (study_id) WHERE model.name = 'oscillator';
SELECT ok((test_metrics ->> 'rmse')::float8 BETWEEN 0.05 AND 0.1 AND (test_metrics ->> 'r2')::float8 BETWEEN 0.9 AND 1, 'so is that of the test rows') FROM hyperband.model WHERE name = 'oscillator';
SELECT ok(stddev(hyperband_predict('oscillator', o) - hertz) BETWEEN 0.05 AND 0.1, 'and that of the predictions') FROM oscillator o;
SELECT * FROM finish();
