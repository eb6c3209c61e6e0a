/*
 * scheduler_lockstep.c - Hyperband and Successive Halving (Li et al., JMLR 18-185), and full training
 *
 * A stage takes every live trial of every bracket of a wave from one resource level to the next one at which any of their
 * brackets has a rung; a trial is compared only with those of its own bracket.  Where the study stands is read off the
 * trials alone: those not yet trained in the running stage stand at its lower level, trained ones at its upper
 * level, and one that ended within it stays at the lower level, where none of an earlier stage can be.
 */
#include "tune/lockstep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
inconsistent(const HbTrialView *trial, HbStatus *status)
{
	hb_fail(status, HB_ERR_CORRUPTED, "records of the study's trials contradict each other");
	return hb_fail_detail(status, "Trial %lld stands at resource %lld, where no stage left it.",
						  (long long) trial->number, (long long) trial->resource);
}

/* Successive Halving: the best of a rung, as many as the next one takes. */
static bool
choose_halving(const HbHost *host, const HbStudyState *state, const HbPlanBracket *bracket,
			   int rung, HbTrialView **ranked, int n, int *promoted, HbStatus *status)
{
	bool last = rung == bracket->nrungs - 1;
	int64_t places = last ? 0 : bracket->rungs[rung + 1].trials;

	for (int i = 0; i < n; i++)
		promoted[i] = last ? -1 : i < places && isfinite(ranked[i]->loss);
	return true;
}

/* Gives every ranked trial of a rung its decision and applies it. */
static void
apply(HbTrialView **ranked, const int *promoted, int n, HbStage *stage)
{
	for (int i = 0; i < n; i++)
	{
		HbTrialView *trial = ranked[i];
		HbDecision *decision = &stage->decisions[stage->ndecisions++];

		trial->state = promoted[i] < 0 ? HB_TRIAL_COMPLETED
					   : promoted[i]   ? HB_TRIAL_WAITING
									   : HB_TRIAL_STOPPED;
		trial->evaluated = false;
		decision->number = trial->number;
		decision->rung = trial->rung;
		decision->rank = i + 1;
		decision->promoted = promoted[i];
		decision->state = trial->state;
	}
}

/* What deciding needs room for. */
typedef struct Scratch
{
	HbTrialView **ranked;
	int *promoted;
} Scratch;

/* Trials of one bracket lie together, since numbers run in plan order. */
static bool
decide_bracket(const HbHost *host, HbStudyState *state, int index, HbChoose choose,
			   const Scratch *scratch, HbStage *stage, HbStatus *status)
{
	const HbPlanBracket *bracket = &state->plan->brackets[index];
	HbTrialView **ranked = scratch->ranked;
	int n = 0;

	for (int64_t i = bracket->first_number - 1; i < bracket->first_number - 1 + bracket->trials;
		 i++)
	{
		HbTrialView *trial = &state->trials[i];

		if (!hb_trial_is_live(trial))
			continue;
		if (!trial->evaluated)
			return true; /* results are still missing */
		ranked[n++] = trial;
		if (trial->rung != ranked[0]->rung || trial->rung < 0 || trial->rung >= bracket->nrungs)
			return inconsistent(trial, status);
	}
	if (n == 0)
		return true;
	qsort(ranked, n, sizeof(*ranked), hb_compare_results);
	if (!choose(host, state, bracket, ranked[0]->rung, ranked, n, scratch->promoted, status))
		return false;
	apply(ranked, scratch->promoted, n, stage);
	return true;
}

static bool
decide(const HbHost *host, HbStudyState *state, int brackets, HbChoose choose, HbStage *stage,
	   HbStatus *status)
{
	Scratch scratch = {.ranked = hb_alloc(host, state->ntrials * sizeof(*scratch.ranked)),
					   .promoted = hb_alloc(host, state->ntrials * sizeof(int))};
	bool done = true;

	stage->decisions = hb_alloc(host, state->ntrials * sizeof(HbDecision));
	if (!scratch.ranked || !scratch.promoted || !stage->decisions)
		done = hb_fail_memory(status, state->ntrials * sizeof(HbDecision));
	for (int b = 0; done && b < brackets; b++)
		done = decide_bracket(host, state, b, choose, &scratch, stage, status);
	hb_release(host, scratch.ranked);
	hb_release(host, scratch.promoted);
	return done;
}

static int
wave_of(const HbStudyState *state, const HbTrialView *trial)
{
	return state->plan->brackets[trial->bracket_index].wave;
}

/* The first wave that has not ended; -1 where all have. */
static int
current_wave(const HbStudyState *state)
{
	for (int64_t i = 0; i < state->ntrials; i++)
		if (hb_trial_is_live(&state->trials[i]))
			return wave_of(state, &state->trials[i]);
	return -1;
}

/* The level that trials not yet trained in this stage stand at; -1 where none is left to train. */
static int64_t
lower_level(const HbStudyState *state, int wave)
{
	int64_t level = -1;

	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (wave_of(state, trial) == wave && hb_trial_is_live(trial) && !trial->evaluated &&
			(level < 0 || trial->resource < level))
			level = trial->resource;
	}
	return level;
}

/* Whether the trial was alive when the wave's stage that starts at this level began. */
static bool
is_member(const HbStudyState *state, const HbTrialView *trial, int wave, int64_t from)
{
	if (wave_of(state, trial) != wave)
		return false;
	if (trial->resource != from)
		return trial->resource > from;
	return hb_trial_is_live(trial) || trial->state == HB_TRIAL_DIVERGED ||
		   trial->state == HB_TRIAL_FAILED;
}

/* The next rung resource above a level among the members' brackets; -1 where there is none. */
static int64_t
upper_level(const HbStudyState *state, int wave, int64_t from)
{
	int64_t level = -1;

	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];
		const HbPlanBracket *bracket = &state->plan->brackets[trial->bracket_index];

		if (!is_member(state, trial, wave, from))
			continue;
		for (int rung = 0; rung < bracket->nrungs; rung++)
		{
			int64_t resource = bracket->rungs[rung].resource;

			if (resource > from && (level < 0 || resource < level))
				level = resource;
		}
	}
	return level;
}

/*
 * Trial numbers must match their places and brackets before anything is looked up by them.  Brackets that are not
 * drawn yet have no trials at all.
 */
static bool
check_state(const HbStudyState *state, int *brackets, HbStatus *status)
{
	*brackets = hb_plan_drawn(state->plan, state->ntrials);
	if (*brackets < 0)
		return hb_fail(status, HB_ERR_CORRUPTED, "study has %lld trials, its plan has %lld",
					   (long long) state->ntrials, (long long) state->plan->trials);
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];
		const HbPlanBracket *bracket;

		if (trial->number != i + 1 || trial->bracket_index < 0 || trial->bracket_index >= *brackets)
			return inconsistent(trial, status);
		bracket = &state->plan->brackets[trial->bracket_index];
		if (trial->number < bracket->first_number ||
			trial->number >= bracket->first_number + bracket->trials)
			return inconsistent(trial, status);
	}
	return true;
}

static bool
collect_members(const HbHost *host, const HbStudyState *state, int wave, HbStage *stage,
				HbStatus *status)
{
	stage->numbers = hb_alloc(host, state->ntrials * sizeof(int64_t));
	if (!stage->numbers)
		return hb_fail_memory(status, state->ntrials * sizeof(int64_t));
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (!is_member(state, trial, wave, stage->from_resource))
			continue;
		if (trial->resource != stage->from_resource && trial->resource != stage->to_resource)
			return inconsistent(trial, status);
		stage->numbers[stage->ntrials++] = trial->number;
	}
	return true;
}

bool
hb_lockstep_next(const HbHost *host, HbStudyState *state, HbChoose choose, HbStage *stage,
				 HbStatus *status)
{
	int brackets;
	int wave;

	memset(stage, 0, sizeof(*stage));
	if (!check_state(state, &brackets, status) ||
		!decide(host, state, brackets, choose, stage, status))
		return false;
	wave = current_wave(state);
	if (wave < 0)
		return true;
	stage->from_resource = lower_level(state, wave);
	stage->to_resource =
		stage->from_resource < 0 ? -1 : upper_level(state, wave, stage->from_resource);
	if (stage->to_resource < 0)
	{
		for (int64_t i = 0; i < state->ntrials; i++)
			if (hb_trial_is_live(&state->trials[i]))
				return inconsistent(&state->trials[i], status);
	}
	return collect_members(host, state, wave, stage, status);
}

static bool
halving_next(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status)
{
	return hb_lockstep_next(host, state, choose_halving, stage, status);
}

extern const HbScheduler hb_scheduler_full;
const HbScheduler hb_scheduler_full = {
	.name = "full",
	.description = "every trial gets the maximum resource, none is stopped early",
	.available = true,
	.plan = hb_plan_full,
	.next = halving_next,
};

extern const HbScheduler hb_scheduler_halving;
const HbScheduler hb_scheduler_halving = {
	.name = "halving",
	.description = "one bracket of Successive Halving",
	.available = true,
	.plan = hb_plan_halving,
	.next = halving_next,
};

extern const HbScheduler hb_scheduler_hyperband;
const HbScheduler hb_scheduler_hyperband = {
	.name = "hyperband",
	.description = "brackets of Successive Halving from many short to few long trials",
	.available = true,
	.plan = hb_plan_hyperband,
	.next = halving_next,
	.extend = hb_plan_extend_infinite,
};
