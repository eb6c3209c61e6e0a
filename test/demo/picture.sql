-- The brackets of a study, drawn: a line a trial, epochs from left to right, as far as it was trained; the darker, the
-- lower its validation loss (in sixths of the range seen); a star on the winner.  study: its id.
WITH range AS (
	SELECT percentile_cont(0.02) WITHIN GROUP (ORDER BY validation_loss) AS low,
		percentile_cont(0.90) WITHIN GROUP (ORDER BY validation_loss) AS high
	FROM hyperband.loss_curve WHERE study_id = :study),
-- Epochs between two evaluations take the shade of the last one.
shaded AS (
	SELECT t.trial_id, t.bracket, t.number, t.resource, t.rung, t.loss, e.epoch,
		(SELECT c.validation_loss FROM hyperband.loss_curve c WHERE c.trial_id = t.trial_id AND c.resource <= e.epoch
			AND c.validation_loss IS NOT NULL ORDER BY c.resource DESC LIMIT 1) AS loss_there
	FROM hyperband.trial t, generate_series(1, t.resource) AS e (epoch) WHERE t.study_id = :study),
lines AS (
	SELECT bracket, number, trial_id, resource, loss, row_number() OVER (PARTITION BY bracket ORDER BY resource DESC, loss, number) AS line,
		string_agg(repeat(substr('█▓▒░·', 1 + least(4, greatest(0, floor(5 * (loss_there - low) / nullif(high - low, 0))))::int, 1), 2), ''
			ORDER BY epoch) AS drawn
	FROM shaded, range GROUP BY bracket, number, trial_id, resource, loss)
SELECT CASE WHEN line = 1 THEN 'bracket ' || bracket ELSE repeat(' ', 9) END || ' ' || lpad(number::text, 3) || ' '
	|| rpad(drawn, 54) || '  ' || coalesce(round(loss::numeric, 4)::text, 'diverged')
	|| CASE WHEN l.trial_id = s.best_trial_id THEN ' ★' ELSE '' END
	|| CASE WHEN line = 12 AND more > 12 THEN format('  and %s more that ended at the first rung or soon after', more - 12) ELSE '' END
FROM (SELECT *, count(*) OVER (PARTITION BY bracket) AS more FROM lines) l, hyperband.study s
WHERE s.study_id = :study AND line <= 12
ORDER BY bracket DESC, line;
