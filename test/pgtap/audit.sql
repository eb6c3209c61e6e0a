-- What the views say of a search, number by number: studies that are told chosen losses, so that every row can be worked out by hand.
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS hyperband;
CREATE SCHEMA audit;
SET search_path = audit, public;
SELECT plan(27);

-- The loss of a study's trial at a resource, by the trial's number: brackets take the numbers in order, the largest first.
CREATE TABLE script (part text, number int, resource int, loss float8);
CREATE FUNCTION arms(n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('arm', jsonb_agg(i)) FROM generate_series(1, n) i $$;
-- Asks and tells, points on the way included, until nothing is left or so many trials were asked for.
CREATE FUNCTION play(study bigint, of_part text, sign int DEFAULT 1, most int DEFAULT 1000) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	a record;
BEGIN
	FOR i IN 1 .. most LOOP
		SELECT * INTO a FROM hyperband_ask(study);
		EXIT WHEN NOT FOUND;
		PERFORM hyperband_tell(a.trial_id, a.attempt, s.at, sign * s.loss)
			FROM (SELECT c.resource AS at, c.loss FROM script c JOIN hyperband.trial t USING (number) WHERE part = of_part AND t.trial_id = a.trial_id AND c.resource > a.from_resource AND c.resource <= a.to_resource ORDER BY c.resource) s;
	END LOOP;
END $$;

-- A trial that diverges is no healthy one in a replay: trial 1 is the best by far after a unit, and has no loss from 3 on.
INSERT INTO script VALUES ('diverging', 1, 1, 0.3), ('diverging', 1, 3, 'NaN'),
	('diverging', 2, 1, 0.6), ('diverging', 2, 3, 0.4), ('diverging', 2, 9, 0.1),
	('diverging', 3, 1, 0.7), ('diverging', 3, 3, 0.45), ('diverging', 3, 9, 0.05);
INSERT INTO script SELECT 'diverging', n, r, 1 + n / 10.0 FROM generate_series(4, 9) n, unnest(ARRAY[1, 3, 9]) r;
SELECT hyperband_create_study(arms(9), 'grid', 'full', 9, n_trials => 9) AS study \gset
SELECT play(:study, 'diverging') \g /dev/null
SELECT is(state || ' ' || resource, 'diverged 0', 'a trial diverges after a point of its curve') FROM hyperband.trial WHERE study_id = :study AND number = 1;
SELECT results_eq(format('SELECT resource_spent, best_loss, regret FROM hyperband_simulate(%s, ''halving'', options => ''{"n_trials": 9}'') WHERE resource_spent = 21', :study),
	'SELECT 21::bigint, 0.1::float8, 0.1::float8 - 0.05::float8 FROM generate_series(1, 2)', 'replay: under halving another is promoted in its place');

-- Hyperband of 9: brackets 2 (trials 1 to 9), 1 (10 to 12), 0 (13 to 15). The boldest, bracket 2, loses at equal resource; the best
-- result of all comes too late to count there: bracket 0 has spent 9 of 15 after its first trial, 18 after its second.
INSERT INTO script SELECT 'brackets', n, 1, 2 - n / 10.0 FROM generate_series(1, 9) n;
INSERT INTO script VALUES ('brackets', 7, 3, 0.35), ('brackets', 8, 3, 0.31), ('brackets', 9, 3, 0.40), ('brackets', 8, 9, 0.30),
	('brackets', 10, 3, 0.50), ('brackets', 11, 3, 0.45), ('brackets', 12, 3, 0.60), ('brackets', 11, 9, 0.20),
	('brackets', 13, 9, 0.25), ('brackets', 14, 9, 0.22), ('brackets', 15, 9, 0.05);
SELECT hyperband_create_study(arms(15), 'grid', 'hyperband', 9) AS study \gset
SELECT play(:study, 'brackets') \g /dev/null
SELECT is(state, 'done', 'hyperband: done') FROM hyperband.study WHERE study_id = :study;
-- Of the three that went on from rung 0 the order was 9, 8, 7 there and 8, 7, 9 in the end: 1 - 6 * (1 + 1 + 4) / (3 * 8) = -0.5.
SELECT results_eq('SELECT bracket, rung, resource, trials, promoted, round(rank_correlation::numeric, 9), winner_rank, cut_loss, regret FROM hyperband.rung_audit WHERE study_id = ' || :study,
	$$VALUES (2, 0, 1, 9, 3, -0.5, 2, 1.3::float8, NULL::float8), (2, 1, 3, 3, 1, NULL, 1, 0.31, NULL), (2, 2, 9, 1, 0, NULL, 1, NULL, NULL),
		(1, 0, 3, 3, 1, NULL, 1, 0.45, NULL), (1, 1, 9, 1, 0, NULL, 1, NULL, NULL), (0, 0, 9, 3, 0, NULL, 1, NULL, NULL)$$, 'rung_audit of hyperband, row by row');
SELECT results_eq('SELECT bracket, min_resource, trials, resource_spent, best_loss, equal_resource, loss_at_equal_resource, place FROM hyperband.bracket_audit WHERE study_id = ' || :study,
	$$VALUES (2, 1, 9, 21::bigint, 0.3::float8, 15::bigint, 0.31::float8, 3), (1, 3, 3, 15, 0.2, 15, 0.2, 1), (0, 9, 3, 27, 0.05, 15, 0.25, 2)$$, 'bracket_audit of hyperband, row by row');
-- The same, but where bracket 1 spends least and finds nothing, the boldest wins.
INSERT INTO script SELECT 'bold', number, resource, CASE WHEN number = 11 THEN 8 WHEN number BETWEEN 10 AND 13 THEN 9 ELSE loss END FROM script WHERE part = 'brackets';
SELECT hyperband_create_study(arms(15), 'grid', 'hyperband', 9) AS study \gset
SELECT play(:study, 'bold') \g /dev/null
SELECT results_eq('SELECT bracket, loss_at_equal_resource, place FROM hyperband.bracket_audit WHERE study_id = ' || :study, $$VALUES (2, 0.31::float8, 1), (1, 8, 2), (0, 9, 3)$$, 'bracket_audit: the boldest bracket is the best');

-- Full training answers whether stopping early is safe: nine trials whose order turns round, and a tenth that diverges.
INSERT INTO script SELECT 'full', n, 1, 1 - n / 10.0 FROM generate_series(1, 9) n;
INSERT INTO script SELECT 'full', n, 3, (ARRAY[0.5, 0.2, 0.9, 0.8, 0.7, 0.6, 0.55, 0.4, 0.3])[n] FROM generate_series(1, 9) n;
INSERT INTO script SELECT 'full', n, 9, n / 10.0 FROM generate_series(1, 9) n;
INSERT INTO script VALUES ('full', 10, 1, 0.01), ('full', 10, 2, 'NaN');
-- tpe draws them in two batches, which count as one bracket; where more is better the loss is the negated value.
CREATE TABLE studies AS SELECT sampler, direction, hyperband_create_study(arms(10), sampler, 'full', 9, n_trials => 10, direction => direction) AS study
	FROM (VALUES ('grid', 'minimize'), ('tpe', 'maximize')) v (sampler, direction);
SELECT play(study, 'full', CASE direction WHEN 'maximize' THEN -1 ELSE 1 END) FROM studies \g /dev/null
-- At 1 the order is the final one turned round: the kept 9, 8, 7 end at 0.7 at best. At 3 they are 2, 9, 8; the squared differences of the
-- ranks 4, 1, 9, 8, 7, 6, 5, 3, 2 from 1 to 9 sum to 144: 1 - 6 * 144 / (9 * 80) = -0.2. The winner is the ninth, then the fourth.
SELECT results_eq('SELECT bracket, rung, resource, trials, promoted, round(rank_correlation::numeric, 9), winner_rank, cut_loss, round(regret::numeric, 9) FROM hyperband.rung_audit WHERE study_id = ' || study,
	$$VALUES (0, 0, 1, 9, 3, -1.0, 9, 0.3::float8, 0.6), (0, 1, 3, 9, 3, -0.2, 4, 0.4, 0.1), (0, 2, 9, 9, 0, NULL, 1, NULL, NULL)$$, format('rung_audit of full, row by row: %s, %s', sampler, direction)) FROM studies ORDER BY 1;
-- The tenth had the lowest loss of all before it diverged.
SELECT is(min(best_loss), 0.1::float8, format('replay: under full who diverged does not win with the loss that it had: %s', sampler)) FROM studies, hyperband_simulate(study, 'full', options => '{"n_trials": 10}') GROUP BY sampler ORDER BY sampler;
-- Curves that never cross: nothing is lost. A rung before the curves begin is left out, the last loss before a rung is taken.
INSERT INTO script SELECT 'safe', n, r, n + 1.0 / r FROM generate_series(1, 9) n, unnest(ARRAY[2, 8, 9]) r;
SELECT hyperband_create_study(arms(9), 'grid', 'full', 9, n_trials => 9) AS study \gset
SELECT play(:study, 'safe') \g /dev/null
SELECT results_eq('SELECT rung, resource, rank_correlation, winner_rank, cut_loss, regret FROM hyperband.rung_audit WHERE study_id = ' || :study,
	$$VALUES (1, 3, 1::float8, 1, 3.5::float8, 0::float8), (2, 9, NULL, 1, NULL, NULL)$$, 'rung_audit of full where stopping early is safe');
SELECT hyperband_create_study(arms(9), 'grid', 'full', 9, n_trials => 9) AS study \gset
SELECT hyperband_tell(trial_id, attempt, r, 1.0 / r) FROM hyperband_ask(:study, 2), unnest(ARRAY[1, 3, 9]) r \g /dev/null
SELECT results_eq('SELECT rung, trials, rank_correlation, winner_rank, regret FROM hyperband.rung_audit WHERE study_id = ' || :study,
	$$VALUES (0, 2, NULL::float8, NULL::int, NULL::float8), (1, 2, NULL, NULL, NULL), (2, 2, NULL, NULL, NULL)$$, 'rung_audit of full before the end: nothing is said about it');

-- Replays, step by step. With seed 0 nine curves come as 1 3 4 9 7 2 8 5 6, then as 1 5 4 7 3 6 9 2 8.
INSERT INTO script SELECT 'replay', number, resource, loss + CASE resource WHEN 9 THEN 0 ELSE 1 END FROM script WHERE part = 'full' AND number < 10;
SELECT hyperband_create_study(arms(9), 'grid', 'full', 9, n_trials => 9) AS study \gset
SELECT play(:study, 'replay') \g /dev/null
PREPARE replay AS SELECT resource_spent, round(best_loss::numeric, 9), round(regret::numeric, 9) FROM hyperband_simulate($1, $2, options => $3);
-- All nine at 1; 9 8 7 of bracket 2 and 1 5 4 of bracket 1 at 3; 9, 1, and 7 3 6 of bracket 0 at 9: the best is 1, which bracket 2 had cut.
SELECT results_eq('EXECUTE replay(' || :study || ', ''hyperband'', ''{}'')',
	$$VALUES (1::bigint, 1.9, 1.8), (2, 1.7, 1.6), (3, 1.6, 1.5), (4, 1.1, 1.0), (39, 0.9, 0.8), (45, 0.1, 0.0), (63, 0.1, 0.0)$$, 'replay: hyperband');
-- 1 3 4 at 1, 4 at 3, 9 at 1 and 3, 7 2 at 1, 7 at 3, of 4 9 7 then 9 at 9, 8 at 1 and 3, 5 6 at 1: 1, 2 and 3, the best ones in the end, never come to 3.
SELECT results_eq('EXECUTE replay(' || :study || ', ''asha'', ''{"n_trials": 9}'')',
	$$VALUES (1::bigint, 1.9, 1.8), (2, 1.7, 1.6), (3, 1.6, 1.5), (6, 1.1, 1.0), (18, 0.9, 0.8), (23, 0.9, 0.8)$$, 'replay: asha');

-- A race: losses told are means of the first so many evaluations. The numbers of the intervals are from SciPy, t.ppf(1 - 0.05 / (4 * k * (k + 1)) / 2, k - 1).
INSERT INTO script SELECT 'race', n, k, avg(fold[j] + (ARRAY[0, 0.001, 0.3, 0.02])[n] + wobble[n][j]) FROM generate_series(1, 4) n, generate_series(1, 6) k, generate_series(1, k) j,
	(VALUES (ARRAY[0.5, 0.9, 0.2, 0.7, 0.4, 0.6], ARRAY[[0, 0, 0, 0, 0, 0], [0.004, -0.003, 0.001, -0.004, 0.003, -0.001], [0.001, -0.001, 0.001, -0.001, 0.001, -0.001],
		[0.001, -0.001, 0.0005, -0.0005, 0.001, -0.001]])) v (fold, wobble) GROUP BY n, k;
SELECT hyperband_create_study(arms(4), 'grid', 'racing', 6, n_trials => 4) AS study \gset
SELECT is_empty('SELECT * FROM hyperband.racing_audit WHERE study_id = ' || :study, 'racing_audit: nothing before the first pull');
PREPARE race AS SELECT number, pulls, round(mean::numeric, 9), round(bound::numeric, 9), round(difference::numeric, 9), round(difference_bound::numeric, 9), state
	FROM hyperband.racing_audit WHERE study_id = $1;
SELECT play(:study, 'race', most => 4) \g /dev/null
SELECT results_eq('EXECUTE race(' || :study || ')', $$VALUES (1, 1, 0.5, NULL::numeric, 0::numeric, NULL::numeric, 'waiting'), (2, 1, 0.505, NULL, 0.005, NULL, 'waiting'),
	(4, 1, 0.521, NULL, 0.021, NULL, 'waiting'), (3, 1, 0.801, NULL, 0.301, NULL, 'waiting')$$, 'racing_audit: one pull has no bound');
SELECT play(:study, 'race', most => 4) \g /dev/null
SELECT results_eq('EXECUTE race(' || :study || ')', $$VALUES (1, 2, 0.7, 61.115279981, 0::numeric, 0::numeric, 'waiting'), (2, 2, 0.7015, 60.045762581, 0.0015, 1.0695174, 'waiting'),
	(4, 2, 0.72, 60.809703581, 0.02, 0.3055764, 'waiting'), (3, 2, 1.0, 60.809703581, 0.3, 0.3055764, 'waiting')$$, 'racing_audit: the second gives one');
SELECT play(:study, 'race', most => 4) \g /dev/null
SELECT results_eq('EXECUTE race(' || :study || ')', $$VALUES (1, 3, 0.533333333, 6.277341054, 0::numeric, 0::numeric, 'waiting'), (2, 3, 0.535, 6.237659904, 0.001666667, 0.062773411, 'waiting'),
	(4, 3, 0.5535, 6.262931166, 0.020166667, 0.018604437, 'stopped'), (3, 3, 0.833666667, 6.258684898, 0.300333333, 0.02063977, 'stopped')$$,
	'racing_audit: after the third those are dropped whose difference is larger than its bound');
SELECT play(:study, 'race') \g /dev/null
SELECT results_eq('EXECUTE race(' || :study || ')', $$VALUES (1, 6, 0.55, 0.882840253, 0::numeric, 0::numeric, 'completed'), (2, 6, 0.551, 0.874801228, 0.001, 0.011721219, 'completed'),
	(4, 3, 0.5535, 6.262931166, 0.020166667, 0.018604437, 'stopped'), (3, 3, 0.833666667, 6.258684898, 0.300333333, 0.02063977, 'stopped')$$,
	'racing_audit: at the end those dropped keep what they had');
SELECT is_empty('SELECT * FROM hyperband.racing_audit JOIN studies ON study = study_id', 'racing_audit: studies that are no races have no rows');
SELECT is_empty('SELECT hyperband.race(study) FROM studies', 'and give none when they are asked for');
CREATE ROLE audit_other;
GRANT USAGE ON SCHEMA hyperband TO audit_other;
SET ROLE audit_other;
SELECT is(count(*)::int, 0, 'racing_audit: another''s races are not seen') FROM hyperband.racing_audit;
SELECT throws_ok('SELECT * FROM hyperband.race(' || :study || ')', '42704', 'study ' || :study || ' does not exist', 'nor when they are asked for');
RESET ROLE;
REVOKE ALL ON SCHEMA hyperband FROM audit_other;
DROP ROLE audit_other;

-- Under racing and for folds the winner is the best of those that had the most, not the one that was lucky once.
INSERT INTO script SELECT 'lucky', n, k, CASE WHEN n = 2 THEN (0.1 + 0.5 * (k - 1)) / k ELSE 0.3 + n / 100.0 END FROM generate_series(1, 3) n, generate_series(1, 6) k;
SELECT hyperband_create_study(arms(3), 'grid', 'racing', 6, n_trials => 3) AS study \gset
SELECT play(:study, 'lucky', most => 4) \g /dev/null
SELECT results_eq('SELECT place, number, resource, loss FROM hyperband.leaderboard WHERE study_id = ' || :study, $$VALUES (1, 1, 2, 0.31::float8), (2, 2, 1, 0.1), (3, 3, 1, 0.33)$$,
	'leaderboard: a race under way is led by the best of those with the most pulls');
SELECT play(:study, 'lucky') \g /dev/null
SELECT results_eq('SELECT l.place, l.number, l.state, l.resource, round(l.loss::numeric, 9), l.trial_id = s.best_trial_id FROM hyperband.leaderboard l JOIN hyperband.study s USING (study_id) WHERE study_id = ' || :study,
	$$VALUES (1, 1, 'completed', 6, 0.31, true), (2, 2, 'completed', 6, 0.433333333, false), (3, 3, 'stopped', 3, 0.33, false)$$, 'leaderboard: of a race, each trial at its last pull, the winner first');
SELECT hyperband_create_study(arms(3), 'random', 'full', 1, n_trials => 2, options => jsonb_build_object('warm_start', :study)) AS warm \gset
SELECT results_eq(format('SELECT a.config FROM hyperband_ask(%s) a', :warm), format('SELECT config FROM hyperband.trial WHERE study_id = %s AND number = 1', :study), 'warm start: from a race it begins with its winner');
SELECT hyperband_create_study(arms(3), 'grid', 'racing', 6, n_trials => 3, time_limit => '1 hour') AS study \gset
SELECT play(:study, 'lucky', most => 4) \g /dev/null
UPDATE hyperband.study SET run_at = run_at - interval '1 hour' WHERE study_id = :study;
SELECT play(:study, 'lucky') \g /dev/null
SELECT results_eq('SELECT s.state, s.best_loss, l.number, l.trial_id = s.best_trial_id FROM hyperband.leaderboard l JOIN hyperband.study s USING (study_id) WHERE place = 1 AND study_id = ' || :study,
	$$VALUES ('done', 0.1::float8, 2, true)$$, 'leaderboard: where nobody completed, the best result of all wins');

SELECT * FROM finish();
