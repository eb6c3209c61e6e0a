/*
 * scheduler.c - the registry of schedulers, and what they share
 *
 * A new scheduler is a new file and a line in the list.
 */
#include "tune/scheduler.h"

#include <math.h>
#include <string.h>

#include "tune/registry.h"

extern const HbScheduler hb_scheduler_full;
extern const HbScheduler hb_scheduler_halving;
extern const HbScheduler hb_scheduler_hyperband;
extern const HbScheduler hb_scheduler_asha;
extern const HbScheduler hb_scheduler_racing;

const HbScheduler *const hb_schedulers[] = {&hb_scheduler_full,    &hb_scheduler_hyperband,
											&hb_scheduler_halving, &hb_scheduler_asha,
											&hb_scheduler_racing,  NULL};
#define N_SCHEDULERS ((int) (sizeof(hb_schedulers) / sizeof(hb_schedulers[0])) - 1)

const HbScheduler *
hb_scheduler_find(const char *name, HbStatus *status)
{
	HbRegistryEntry entries[N_SCHEDULERS];
	int found;

	for (int i = 0; i < N_SCHEDULERS; i++)
		entries[i] = (HbRegistryEntry){hb_schedulers[i]->name, hb_schedulers[i]->available};
	found = hb_registry_find("scheduler", entries, N_SCHEDULERS, name, status);
	return found < 0 ? NULL : hb_schedulers[found];
}

static const char *const state_names[] = {
	[HB_TRIAL_WAITING] = "waiting",     [HB_TRIAL_RUNNING] = "running",
	[HB_TRIAL_STOPPED] = "stopped",     [HB_TRIAL_COMPLETED] = "completed",
	[HB_TRIAL_DIVERGED] = "diverged",   [HB_TRIAL_FAILED] = "failed",
	[HB_TRIAL_CANCELLED] = "cancelled",
};
#define N_STATES ((int) (sizeof(state_names) / sizeof(state_names[0])))

const char *
hb_trial_state_name(HbTrialState state)
{
	return state_names[state];
}

bool
hb_trial_state_parse(const char *name, HbTrialState *state)
{
	for (int i = 0; i < N_STATES; i++)
		if (strcmp(state_names[i], name) == 0)
		{
			*state = (HbTrialState) i;
			return true;
		}
	return false;
}

int
hb_compare_results(const void *a, const void *b)
{
	const HbTrialView *x = *(HbTrialView *const *) a;
	const HbTrialView *y = *(HbTrialView *const *) b;
	bool x_finite = isfinite(x->loss);
	bool y_finite = isfinite(y->loss);

	if (x_finite != y_finite)
		return x_finite ? -1 : 1;
	if (x_finite && x->loss != y->loss)
		return x->loss < y->loss ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int
hb_rung_at(const HbPlan *plan, const HbTrialView *trial, int64_t resource)
{
	const HbPlanBracket *bracket = &plan->brackets[trial->bracket_index];

	for (int rung = 0; rung < bracket->nrungs; rung++)
		if (bracket->rungs[rung].resource == resource)
			return rung;
	return -1;
}

bool
hb_result_better(double loss_a, double tie_a, int64_t resource_a, int64_t number_a, double loss_b,
				 double tie_b, int64_t resource_b, int64_t number_b)
{
	if (!isfinite(loss_a) || !isfinite(loss_b))
		return isfinite(loss_a);
	if (loss_a != loss_b)
		return loss_a < loss_b;
	if (isnan(tie_a) != isnan(tie_b))
		return isnan(tie_b);
	if (tie_a < tie_b || tie_a > tie_b)
		return tie_a < tie_b;
	if (resource_a != resource_b)
		return resource_a > resource_b;
	return number_a < number_b;
}

bool
hb_trial_is_live(const HbTrialView *trial)
{
	return trial->state == HB_TRIAL_WAITING || trial->state == HB_TRIAL_RUNNING;
}
