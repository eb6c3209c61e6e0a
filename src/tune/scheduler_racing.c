/*
 * scheduler_racing.c - successive elimination with confidence bounds, for folds and repeated evaluations
 *
 * Even-Dar, Mannor and Mansour (JMLR 7, 2006) with the pairing of Hoeffding races and F-Race (Maron and Moore,
 * NIPS 1994; Birattari et al., GECCO 2002): all arms see the same pulls, so what counts is the difference to
 * the leader pull by pull, which is far less noisy than two means.  After pull k an arm is dropped where the t-interval
 * of its mean difference at 1 - 0.05/(n*k*(k+1)) lies above 0; over all n arms and all k the levels sum to
 * 0.05.  The interval takes differences to be nearly normal, which those of folds are not quite, and the leader is
 * chosen by the same data: approximate, so at least three pulls are asked for.
 */
#include "tune/racing.h"

#include <math.h>
#include <string.h>

#include "tune/lockstep.h"
#include "tune/student.h"

double
hb_racing_pull(double mean, double mean_before, int64_t k)
{
	return k == 1 ? mean : mean + (double) (k - 1) * (mean - mean_before);
}

double
hb_racing_alpha(int64_t n, int64_t k)
{
	return 0.05 / ((double) n * (double) k * (double) (k + 1));
}

/* Mean and half width of a sample's interval. */
typedef struct Interval
{
	double mean;
	double bound;
} Interval;

/* Of x - y pull by pull, or of x where y is NULL.  Two passes: folds of one data set differ little. */
static Interval
interval(const double *x, const double *y, int64_t k, double alpha)
{
	Interval result = {0, NAN};
	double squares = 0;

	for (int64_t j = 0; j < k; j++)
		result.mean += x[j] - (y ? y[j] : 0);
	result.mean /= (double) k;
	if (k < 2)
		return result;
	for (int64_t j = 0; j < k; j++)
	{
		double d = x[j] - (y ? y[j] : 0) - result.mean;

		squares += d * d;
	}
	result.bound =
		hb_student_quantile(alpha, (double) (k - 1)) * sqrt(squares / ((double) (k - 1) * k));
	return result;
}

static bool
missing(int64_t number, int64_t pull, HbStatus *status)
{
	hb_fail(status, HB_ERR_CORRUPTED, "records of the study's trials contradict each other");
	return hb_fail_detail(status, "The result of trial %lld at pull %lld is missing.",
						  (long long) number, (long long) pull);
}

/*
 * Pulls of the chosen trials side by side: pulls[slot*k + rung]. slot: by number - 1, -1 where not chosen.  Results
 * above k are left out.
 */
static bool
collect_pulls(const HbStudyState *state, const int *slot, int64_t k, double *pulls, bool *known)
{
	for (int64_t i = 0; i < state->nresults; i++)
	{
		const HbResult *result = &state->results[i];
		int64_t at;

		if (result->number < 1 || result->number > state->ntrials)
			return false;
		at = slot[result->number - 1];
		if (at < 0 || result->rung < 0 || result->rung >= k)
			continue;
		pulls[at * k + result->rung] = result->pull;
		known[at * k + result->rung] = true;
	}
	return true;
}

/* A race's numbers in one place. */
typedef struct Table
{
	int *slot;
	double *pulls;
	bool *known;
} Table;

static void
release(const HbHost *host, Table *table)
{
	hb_release(host, table->slot);
	hb_release(host, table->pulls);
	hb_release(host, table->known);
}

static bool
allocate(const HbHost *host, int64_t ntrials, int64_t n, int64_t k, Table *table, HbStatus *status)
{
	size_t cells = (size_t) n * (size_t) k;

	table->slot = hb_alloc(host, ntrials * sizeof(int));
	table->pulls = hb_alloc(host, cells * sizeof(double));
	table->known = hb_alloc(host, cells);
	if (!table->slot || !table->pulls || !table->known)
	{
		release(host, table);
		return hb_fail_memory(status, cells * sizeof(double));
	}
	for (int64_t i = 0; i < ntrials; i++)
		table->slot[i] = -1;
	return true;
}

/* The first k pulls of each of n trials, none missing; table->slot is by number - 1. */
static bool
fill(const HbHost *host, const HbStudyState *state, const int64_t *numbers, int64_t n, int64_t k,
	 Table *table, HbStatus *status)
{
	if (!allocate(host, state->ntrials, n, k, table, status))
		return false;
	for (int64_t i = 0; i < n; i++)
		table->slot[numbers[i] - 1] = (int) i;
	if (!collect_pulls(state, table->slot, k, table->pulls, table->known))
	{
		release(host, table);
		return hb_fail(status, HB_ERR_CORRUPTED, "study has results of trials that do not exist");
	}
	for (int64_t i = 0; i < n * k; i++)
		if (!table->known[i])
		{
			release(host, table);
			return missing(numbers[i / k], i % k + 1, status);
		}
	return true;
}

/* Whether the arm cannot win: its interval of differences to the leader lies above 0. */
static bool
is_beaten(const double *arm, const double *leader, int64_t k, double alpha)
{
	Interval difference = interval(arm, leader, k, alpha);

	return difference.mean - difference.bound > 0;
}

/* An arm without a finite mean cannot win either; one that is left alone has won; after the last pull all have ended. */
static bool
choose_racing(const HbHost *host, const HbStudyState *state, const HbPlanBracket *bracket, int rung,
			  HbTrialView **ranked, int n, int *promoted, HbStatus *status)
{
	int64_t k = rung + 1;
	double alpha = hb_racing_alpha(bracket->trials, k);
	int64_t *numbers = hb_alloc(host, n * sizeof(int64_t));
	Table table;
	int left = 0;

	if (!numbers)
		return hb_fail_memory(status, n * sizeof(int64_t));
	for (int i = 0; i < n; i++)
		numbers[i] = ranked[i]->number;
	if (!fill(host, state, numbers, n, k, &table, status))
	{
		hb_release(host, numbers);
		return false;
	}
	for (int i = 0; i < n; i++)
	{
		promoted[i] = isfinite(ranked[i]->loss);
		if (promoted[i] && i > 0 && k >= state->plan->min_pulls)
			promoted[i] = !is_beaten(table.pulls + i * k, table.pulls, k, alpha);
		left += promoted[i];
	}
	/* the leader is among those left */
	if (left == 1 && k >= state->plan->min_pulls)
		promoted[0] = -1;
	for (int i = 0; rung == bracket->nrungs - 1 && i < n; i++)
		promoted[i] = -1;
	release(host, &table);
	hb_release(host, numbers);
	return true;
}

static bool
racing_next(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status)
{
	return hb_lockstep_next(host, state, choose_racing, stage, status);
}

/* Most pulls first, then the better. */
static bool
leads(const HbTrialView *a, const HbTrialView *b)
{
	if (a->rung != b->rung)
		return a->rung > b->rung;
	return hb_compare_results(&a, &b) < 0;
}

static void
report_arm(const HbTrialView *trial, const double *arm, const double *leader, int64_t n,
		   HbRacingArm *out)
{
	int64_t k = trial->rung + 1;
	double alpha = hb_racing_alpha(n, k);
	Interval own = interval(arm, NULL, k, alpha);
	Interval paired = interval(arm, leader, k, alpha);

	out->number = trial->number;
	out->pulls = k;
	out->mean = own.mean;
	out->bound = own.bound;
	out->difference = paired.mean;
	out->difference_bound = paired.bound;
}

bool
hb_racing_report(const HbHost *host, const HbStudyState *state, HbRacingArm *arms, int64_t *narms,
				 HbStatus *status)
{
	const HbTrialView *leader = NULL;
	int64_t most;
	Table table;

	*narms = 0;
	for (int64_t i = 0; i < state->ntrials; i++)
		if (state->trials[i].rung >= 0 && (!leader || leads(&state->trials[i], leader)))
			leader = &state->trials[i];
	if (!leader)
		return true;
	most = leader->rung + 1;
	if (!allocate(host, state->ntrials, state->ntrials, most, &table, status))
		return false;
	for (int64_t i = 0; i < state->ntrials; i++)
		table.slot[i] = (int) i;
	if (!collect_pulls(state, table.slot, most, table.pulls, table.known))
	{
		release(host, &table);
		return hb_fail(status, HB_ERR_CORRUPTED, "study has results of trials that do not exist");
	}
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (trial->rung < 0)
			continue;
		for (int64_t j = 0; j <= trial->rung; j++)
			if (!table.known[i * most + j])
			{
				release(host, &table);
				return missing(trial->number, j + 1, status);
			}
		report_arm(trial, table.pulls + i * most, table.pulls + (leader->number - 1) * most,
				   state->plan->trials, &arms[(*narms)++]);
	}
	release(host, &table);
	return true;
}

extern const HbScheduler hb_scheduler_racing;
const HbScheduler hb_scheduler_racing = {
	.name = "racing",
	.description = "drops trials that are significantly worse than the leader",
	.available = true,
	.completed_wins = true,
	.plan = hb_plan_racing,
	.next = racing_next,
};
