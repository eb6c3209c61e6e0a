/*
 * catalog_observations.h - what a study found out, as one query for those who learn from it and those who keep a copy
 */
#ifndef HB_CATALOG_OBSERVATIONS_H
#define HB_CATALOG_OBSERVATIONS_H

/*
 * number, resource, loss and config of every result of the trials of a study numbered up to last, ascending by number
 * and resource.  Trials that diverged or failed have a further one without a loss, above their last resource: whoever
 * knows their bracket moves it to the rung that they were on their way to (hb_plan_level).
 */
#define HB_OBSERVATIONS_QUERY(study, last)                                                         \
	"SELECT t.number, coalesce(e.resource, t.resource), e.loss, t.config"                          \
	" FROM hyperband.trial t LEFT JOIN hyperband.evaluation e ON e.trial_id = t.trial_id"          \
	" WHERE t.study_id = " study " AND t.number <= " last " AND (e.trial_id IS NOT NULL"           \
	" OR t.state IN ('diverged', 'failed')) UNION ALL"                                             \
	" SELECT t.number, t.resource + 1, NULL, t.config FROM hyperband.trial t"                      \
	" WHERE t.study_id = " study " AND t.number <= " last " AND t.rung IS NOT NULL"                \
	" AND t.state IN ('diverged', 'failed') ORDER BY 1, 2"

/* What breaks ties between equal losses; hb_tie_loss() in C. */
#define HB_TIE_LOSS(metrics) "hyperband.tie_loss(" metrics ")"

#endif /* HB_CATALOG_OBSERVATIONS_H */
