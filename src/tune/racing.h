/*
 * racing.h - successive elimination of trials whose resource is folds or repeated evaluations
 */
#ifndef HB_RACING_H
#define HB_RACING_H

#include "tune/scheduler.h"

/* What a race knows of one of its trials (arms). */
typedef struct HbRacingArm
{
	int64_t number;
	int64_t pulls;
	double mean;
	double bound; /* half width of the mean's interval; NaN before the second pull */
	double
		difference; /* mean paired difference to the leader, over the arm's pulls; 0 for the leader */
	double difference_bound; /* its half width; NaN before the second pull */
} HbRacingArm;

/*
 * The last pull alone, where results are means of all pulls so far: k*mean - (k-1)*mean_before.  k = 1: the mean itself.
 */
extern double hb_racing_pull(double mean, double mean_before, int64_t k);

/* alpha of the interval after pull k of a race of n arms: 0.05/(n*k*(k+1)), whose sum over arms and pulls is 0.05. */
extern double hb_racing_alpha(int64_t n, int64_t k);

/*
 * Every trial of the study with at least one result, by number; an arm that was stopped with its bounds at its last
 * pull.  arms has room for state->ntrials.  A false return has a status: 53200, or XX001 where a result is missing.
 * The leader is the best of those with the most pulls.
 */
extern bool hb_racing_report(const HbHost *host, const HbStudyState *state, HbRacingArm *arms,
							 int64_t *narms, HbStatus *status);

#endif /* HB_RACING_H */
