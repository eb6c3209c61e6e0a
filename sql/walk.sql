-- A walk through: plan, tune, look, predict.
-- The table: 768 women, eight measurements with missing values, diabetes or not.
CREATE TABLE pima (
	id int PRIMARY KEY, fold int, pregnant int, glucose int, pressure int, triceps int, insulin int,
	mass float8, pedigree float8, age int, diabetes text);
\copy pima FROM PROGRAM 'gzip -dc test/data/pima2.csv.gz' WITH (FORMAT csv, HEADER)

-- What will be trained: 15 configurations, most of them for one epoch only.
SELECT * FROM hyperband_plan(9);

-- Tune.  The call returns at once; training starts at COMMIT.
CREATE VIEW pima_train AS SELECT pregnant, glucose, pressure, triceps, insulin, mass, pedigree, age, diabetes FROM pima WHERE fold < 8;
SELECT hyperband_tune('pima_train', 'diabetes', model => 'linear', name => 'diabetes', max_resource => 9) AS study \gset
SELECT hyperband_wait(:study);

-- What happened is in tables.
SELECT state, task, model, metric, sampler, scheduler, rows_train + rows_validation AS rows, rows_skipped, resource_spent, resource_planned
FROM hyperband.study WHERE study_id = :study;
SELECT bracket, trials, min_resource, rungs FROM hyperband.bracket WHERE study_id = :study ORDER BY bracket DESC;
SELECT state, count(*) FROM hyperband.trial WHERE study_id = :study GROUP BY state ORDER BY state;
SELECT t.bracket, e.rung, e.resource, count(*) AS trials, count(*) FILTER (WHERE promoted) AS promoted
FROM hyperband.evaluation e JOIN hyperband.trial t USING (trial_id) WHERE e.study_id = :study
GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2;
SELECT count(*) AS points, count(DISTINCT trial_id) AS trials, bool_and(train_loss > 0) AS positive
FROM hyperband.loss_curve WHERE study_id = :study;
SELECT name, state, brackets_done, brackets, rungs_done, rungs, trials_running, trials_done, trials, resource_spent, resource_planned
FROM hyperband.progress WHERE study_id = :study;
SELECT place, loss < 0.3 AS good, metric_value = loss AS same, config ? 'learning_rate' AS configured, length(curve) > 0 AS drawn
FROM hyperband.leaderboard WHERE study_id = :study AND place <= 3 ORDER BY place;

-- The best trial is a model that predicts, for rows that it never saw.
SELECT name, version, is_current, family, task, labels, features FROM hyperband.model WHERE study_id = :study;
SELECT avg((hyperband_classify('diabetes', p) <> diabetes)::int) < 0.3 AS better_than_guessing FROM pima p WHERE fold >= 8;
SELECT bool_and(hyperband_predict('diabetes', p) BETWEEN 0 AND 1) AS probabilities FROM pima p;
SELECT hyperband_classify('diabetes', '{"glucose": 190, "mass": 45, "age": 50, "pregnant": 8, "pressure": 80, "triceps": 40, "insulin": 300, "pedigree": 1.2}'::jsonb) AS high_sugar;

-- A regression over a query, one fixed configuration, no early stopping.
CREATE VIEW pima_mass AS SELECT triceps, age, glucose, mass FROM pima WHERE mass IS NOT NULL;
-- (hyperband_run reports in notices; how many there are depends on the time it takes.)
SET client_min_messages = warning;
CALL hyperband_run('pima_mass', 'mass', name => 'mass', search_space => '{"optimizer": "adam", "learning_rate": 0.01, "units": 32}', scheduler => 'full', n_trials => 1, max_resource => 9) \gset
RESET client_min_messages;
SELECT task, metric, best_loss < 7 AS good FROM hyperband.study WHERE study_id = :study;
SELECT hyperband_predict('mass', ROW(40, 30, 120)) BETWEEN 30 AND 50 AS plausible;

-- What is not a plan, a model or a column.
SELECT * FROM hyperband_plan(9, 1);
SELECT hyperband_tune('pima', 'diabetes', model => 'forest');
SELECT hyperband_tune('pima', 'sugar');
SELECT hyperband_tune('pima', 'diabetes', search_space => '{"learning_rate": {"type": "float", "low": 1, "high": 0}}');

-- Leave nothing behind.
SELECT hyperband_drop(study_id) FROM hyperband.study ORDER BY study_id;
SELECT hyperband_drop_model('diabetes'), hyperband_drop_model('mass');
SELECT count(*) FROM hyperband.trial;
DROP TABLE pima CASCADE;
