-- What the studies found: leaderboard, loss curves, errors on rows that no model saw, predictions.
-- adult_mlp, fashion_mlp: the studies' ids.
\echo
\echo 'The leaderboard of adult_mlp, with the loss curves drawn:'
SELECT place, number AS trial, bracket, resource AS epochs, round(metric_value::numeric, 4) AS error, curve,
	concat_ws(', ', config ->> 'optimizer', 'rate ' || round((config ->> 'learning_rate')::numeric, 5), config ->> 'activation',
		(config ->> 'layers') || ' × ' || (config ->> 'units'), 'dropout ' || (config ->> 'dropout')) AS configuration
FROM hyperband.leaderboard WHERE study_id = :adult_mlp AND place <= 10 ORDER BY place;

\echo 'Every point of every loss curve is a row.  Of the ten longest-trained networks for fashion_mlp: where validation loss was'
\echo 'lowest, and how far it had risen again at the end:'
SELECT t.number AS trial, count(*) AS points, round(min(c.validation_loss)::numeric, 3) AS lowest,
	(array_agg(c.resource ORDER BY c.validation_loss))[1] AS at_epoch,
	round((array_agg(c.validation_loss ORDER BY c.resource DESC))[1]::numeric, 3) AS at_the_end,
	round((array_agg(c.train_loss ORDER BY c.resource DESC))[1]::numeric, 3) AS train_loss
FROM hyperband.loss_curve c JOIN hyperband.trial t USING (trial_id)
WHERE c.study_id = :fashion_mlp AND c.validation_loss IS NOT NULL
GROUP BY t.trial_id ORDER BY max(c.resource) DESC, lowest LIMIT 10;

\echo 'The share of mistakes on rows that no model saw:'
WITH adult AS (
	SELECT avg((hyperband_classify('adult_mlp', t) <> income)::int) AS mlp,
		avg((hyperband_classify('adult_mlp_default', t) <> income)::int) AS mlp_default,
		avg((hyperband_classify('adult_linear', t) <> income)::int) AS linear,
		avg((hyperband_classify('adult_linear_default', t) <> income)::int) AS linear_default,
		avg((income <> (SELECT mode() WITHIN GROUP (ORDER BY income) FROM adult_train))::int) AS majority
	FROM adult_test t),
fashion AS (
	SELECT avg((hyperband_classify('fashion_mlp', t) <> label)::int) AS mlp,
		avg((hyperband_classify('fashion_mlp_default', t) <> label)::int) AS mlp_default,
		avg((label <> (SELECT mode() WITHIN GROUP (ORDER BY label) FROM fashion_train))::int) AS majority
	FROM fashion_test t)
SELECT model, round(tuned, 4) AS tuned, round(default_configuration, 4) AS default_configuration, round(majority, 4) AS always_the_commonest
FROM (SELECT 1, 'adult, linear', linear, linear_default, majority FROM adult
	UNION ALL SELECT 2, 'adult, mlp', mlp, mlp_default, majority FROM adult
	UNION ALL SELECT 3, 'fashion, mlp', mlp, mlp_default, majority FROM fashion) x (n, model, tuned, default_configuration, majority)
ORDER BY n;
\echo 'On 8,000 to 10,000 rows differences of less than 0.004 are chance.'
\echo

\echo 'Prediction is a function call:'
\echo '    SELECT hyperband_classify(''adult_mlp'', t), hyperband_predict(''adult_mlp'', t), ... FROM adult_test t LIMIT 5'
SELECT age, education, occupation, hours_per_week AS hours, income, hyperband_classify('adult_mlp', t) AS predicted,
	round(hyperband_predict('adult_mlp', t)::numeric, 3) AS "P(>50K)"
FROM adult_test t LIMIT 5;
\echo 'Pictures, too; with the probability of each class:'
SELECT label, hyperband_classify('fashion_mlp', t) AS predicted,
	(SELECT string_agg(key || ' ' || round(value::numeric, 2), ', ' ORDER BY value::numeric DESC)
	 FROM jsonb_each_text(hyperband_probabilities('fashion_mlp', t)) WHERE value::numeric >= 0.01) AS probabilities
FROM fashion_test t LIMIT 5;
