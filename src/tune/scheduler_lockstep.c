/*
 * scheduler_lockstep.c - Hyperband (Li et al., JMLR 18-185) and full training, all brackets in lockstep
 *
 * A stage takes every live trial of every bracket from one resource level to the next one at which any of their
 * brackets has a rung; a trial is compared only with those of its own bracket.  Where the study stands is read off the
 * trials alone: those not yet trained in the running stage stand at its lower level, trained ones at its upper
 * level, and one that ended within it stays at the lower level, where none of an earlier stage can be.
 */
#include "tune/scheduler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
is_live(const HbTrialView *trial)
{
	return trial->state == HB_TRIAL_WAITING || trial->state == HB_TRIAL_RUNNING;
}

static bool
inconsistent(const HbTrialView *trial, HbStatus *status)
{
	hb_fail(status, HB_ERR_CORRUPTED, "records of the study's trials contradict each other");
	return hb_fail_detail(status, "Trial %lld stands at resource %lld, where no stage left it.",
						  (long long) trial->number, (long long) trial->resource);
}

/* The best first; without a finite loss last; ties to the lower number. */
static int
compare_results(const void *a, const void *b)
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

/* Gives every ranked trial of a rung its decision and applies it. */
static void
decide_rung(const HbPlanBracket *bracket, int rung, HbTrialView **ranked, int n, HbStage *stage)
{
	bool last = rung == bracket->nrungs - 1;
	int64_t places = last ? 0 : bracket->rungs[rung + 1].trials;

	for (int i = 0; i < n; i++)
	{
		HbTrialView *trial = ranked[i];
		HbDecision *decision = &stage->decisions[stage->ndecisions++];
		bool promoted = i < places && isfinite(trial->loss);

		trial->state = last ? HB_TRIAL_COMPLETED : promoted ? HB_TRIAL_WAITING : HB_TRIAL_STOPPED;
		trial->evaluated = false;
		decision->number = trial->number;
		decision->rung = rung;
		decision->rank = i + 1;
		decision->promoted = last ? -1 : promoted;
		decision->state = trial->state;
	}
}

/* Trials of one bracket lie together, since numbers run in plan order. */
static bool
decide_bracket(HbStudyState *state, int index, HbTrialView **ranked, HbStage *stage,
			   HbStatus *status)
{
	const HbPlanBracket *bracket = &state->plan->brackets[index];
	int n = 0;

	for (int64_t i = bracket->first_number - 1; i < bracket->first_number - 1 + bracket->trials;
		 i++)
	{
		HbTrialView *trial = &state->trials[i];

		if (!is_live(trial))
			continue;
		if (!trial->evaluated)
			return true; /* results are still missing */
		ranked[n++] = trial;
		if (trial->rung != ranked[0]->rung || trial->rung < 0 || trial->rung >= bracket->nrungs)
			return inconsistent(trial, status);
	}
	if (n == 0)
		return true;
	qsort(ranked, n, sizeof(*ranked), compare_results);
	decide_rung(bracket, ranked[0]->rung, ranked, n, stage);
	return true;
}

static bool
decide(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status)
{
	HbTrialView **ranked = hb_alloc(host, state->ntrials * sizeof(*ranked));
	bool done = true;

	stage->decisions = hb_alloc(host, state->ntrials * sizeof(HbDecision));
	if (!ranked || !stage->decisions)
	{
		hb_release(host, ranked);
		return hb_fail_memory(status, state->ntrials * sizeof(HbDecision));
	}
	for (int b = 0; done && b < state->plan->nbrackets; b++)
		done = decide_bracket(state, b, ranked, stage, status);
	hb_release(host, ranked);
	return done;
}

/* The level that trials not yet trained in this stage stand at; -1 where none is left to train. */
static int64_t
lower_level(const HbStudyState *state)
{
	int64_t level = -1;

	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (is_live(trial) && !trial->evaluated && (level < 0 || trial->resource < level))
			level = trial->resource;
	}
	return level;
}

/* Whether the trial was alive when the stage that starts at this level began. */
static bool
is_member(const HbTrialView *trial, int64_t from)
{
	if (trial->resource != from)
		return trial->resource > from;
	return is_live(trial) || trial->state == HB_TRIAL_DIVERGED || trial->state == HB_TRIAL_FAILED;
}

/* The next rung resource above a level among the members' brackets; -1 where there is none. */
static int64_t
upper_level(const HbStudyState *state, int64_t from)
{
	int64_t level = -1;

	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];
		const HbPlanBracket *bracket = &state->plan->brackets[trial->bracket_index];

		for (int rung = 0; is_member(trial, from) && rung < bracket->nrungs; rung++)
		{
			int64_t resource = bracket->rungs[rung].resource;

			if (resource > from && (level < 0 || resource < level))
				level = resource;
		}
	}
	return level;
}

/* Trial numbers must match their places and brackets before anything is looked up by them. */
static bool
check_state(const HbStudyState *state, HbStatus *status)
{
	if (state->ntrials != state->plan->trials)
		return hb_fail(status, HB_ERR_CORRUPTED, "study has %lld trials, its plan has %lld",
					   (long long) state->ntrials, (long long) state->plan->trials);
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];
		const HbPlanBracket *bracket;

		if (trial->number != i + 1 || trial->bracket_index < 0 ||
			trial->bracket_index >= state->plan->nbrackets)
			return inconsistent(trial, status);
		bracket = &state->plan->brackets[trial->bracket_index];
		if (trial->number < bracket->first_number ||
			trial->number >= bracket->first_number + bracket->trials)
			return inconsistent(trial, status);
	}
	return true;
}

static bool
collect_members(const HbHost *host, const HbStudyState *state, HbStage *stage, HbStatus *status)
{
	stage->numbers = hb_alloc(host, state->ntrials * sizeof(int64_t));
	if (!stage->numbers)
		return hb_fail_memory(status, state->ntrials * sizeof(int64_t));
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (!is_member(trial, stage->from_resource))
			continue;
		if (trial->resource != stage->from_resource && trial->resource != stage->to_resource)
			return inconsistent(trial, status);
		stage->numbers[stage->ntrials++] = trial->number;
	}
	return true;
}

static bool
lockstep_next(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status)
{
	int64_t from;

	memset(stage, 0, sizeof(*stage));
	if (!check_state(state, status) || !decide(host, state, stage, status))
		return false;
	from = lower_level(state);
	if (from < 0)
		return true;
	stage->from_resource = from;
	stage->to_resource = upper_level(state, from);
	if (stage->to_resource < 0)
	{
		for (int64_t i = 0; i < state->ntrials; i++)
			if (is_live(&state->trials[i]))
				return inconsistent(&state->trials[i], status);
	}
	return collect_members(host, state, stage, status);
}

extern const HbScheduler hb_scheduler_full;
const HbScheduler hb_scheduler_full = {
	.name = "full",
	.description = "every trial gets the maximum resource, none is stopped early",
	.available = true,
	.plan = hb_plan_full,
	.next = lockstep_next,
};

extern const HbScheduler hb_scheduler_hyperband;
const HbScheduler hb_scheduler_hyperband = {
	.name = "hyperband",
	.description = "brackets of Successive Halving from many short to few long trials",
	.available = true,
	.plan = hb_plan_hyperband,
	.next = lockstep_next,
};
