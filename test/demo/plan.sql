-- Brackets as rows, rungs as columns: trials × epochs.  Many for one epoch, the best third of them for three, and so on;
-- each further bracket starts fewer trials with more epochs.
SELECT bracket,
	max(trials || ' × ' || resource) FILTER (WHERE rung = 0) AS "trials × epochs",
	coalesce(max('→ ' || trials || ' × ' || resource) FILTER (WHERE rung = 1), '') AS "best third",
	coalesce(max('→ ' || trials || ' × ' || resource) FILTER (WHERE rung = 2), '') AS "best third ",
	coalesce(max('→ ' || trials || ' × ' || resource) FILTER (WHERE rung = 3), '') AS "best third  "
FROM hyperband_plan(27) GROUP BY bracket ORDER BY bracket DESC;
