/*
 * scheduler_asha.c - asynchronous Successive Halving (Li et al., MLSys 2020) over the rows of a study
 *
 * The rule is in asha.c; here it meets the trials.  Work that was lost is given again before anything is decided.  Once
 * nobody can be promoted, no trial is new and nobody works, whoever still waits is stopped, and every result
 * gets its final rank.
 */
#include "tune/asha.h"

#include <math.h>
#include <string.h>

struct HbAshaIndex
{
	HbAsha *core;
	int64_t nseen; /* of state->results */
	/* trials with work, and those whose end at the last rung is not decided */
	int64_t nactive;
	int32_t *active;
};

static void
asha_close(const HbHost *host, HbStudyState *state)
{
	struct HbAshaIndex *index = state->asha;

	if (!index)
		return;
	hb_asha_release(host, index->core);
	hb_release(host, index->active);
	hb_release(host, index);
	state->asha = NULL;
}

static bool
asha_open(const HbHost *host, HbStudyState *state, HbStatus *status)
{
	struct HbAshaIndex *index = hb_alloc(host, sizeof(*index));

	if (!index)
		return hb_fail_memory(status, sizeof(*index));
	state->asha = index;
	index->active = hb_alloc(host, state->plan->trials * sizeof(int32_t));
	if (!index->active)
		hb_fail_memory(status, state->plan->trials * sizeof(int32_t));
	else
		index->core = hb_asha_create(host, state->plan, status);
	if (!index->core || !hb_asha_restore(index->core, state, status))
	{
		asha_close(host, state);
		return false;
	}
	index->nseen = state->nresults;
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];

		if (hb_asha_has_work(trial) || (hb_trial_is_live(trial) && trial->evaluated &&
										trial->rung == state->plan->brackets[0].nrungs - 1))
			index->active[index->nactive++] = (int32_t) (i + 1);
	}
	return true;
}

static void
add_decision(HbStage *stage, const HbTrialView *trial, int rung, int64_t rank, int promoted)
{
	stage->decisions[stage->ndecisions++] = (HbDecision){.number = trial->number,
														 .rung = rung,
														 .rank = (int) rank,
														 .promoted = promoted,
														 .state = trial->state};
}

static bool
see_results(struct HbAshaIndex *index, const HbStudyState *state, HbStatus *status)
{
	for (; index->nseen < state->nresults; index->nseen++)
	{
		const HbResult *result = &state->results[index->nseen];
		HbAshaEvent event = {.kind = HB_ASHA_RESULT,
							 .number = result->number,
							 .rung = result->rung,
							 .loss = result->loss};

		if (!hb_asha_apply(index->core, &event, status))
			return false;
	}
	return true;
}

/*
 * Forgets who has its result or has ended, and completes those that came to the end.  Returns a trial whose work
 * was lost, 0 where there is none.
 */
static int64_t
look_after_active(struct HbAshaIndex *index, HbStudyState *state, HbStage *stage)
{
	int last = state->plan->brackets[0].nrungs - 1;
	int64_t lost = 0;
	int64_t kept = 0;

	for (int64_t i = 0; i < index->nactive; i++)
	{
		int32_t number = index->active[i];
		HbTrialView *trial = &state->trials[number - 1];

		if (number > state->ntrials || hb_asha_has_work(trial))
		{
			index->active[kept++] = number;
			if (number <= state->ntrials && trial->state == HB_TRIAL_WAITING &&
				(lost == 0 || number < lost))
				lost = number;
		}
		else if (hb_trial_is_live(trial) && trial->rung == last)
		{
			trial->state = HB_TRIAL_COMPLETED;
			trial->evaluated = false;
			add_decision(stage, trial, last, hb_asha_rank(index->core, number, last), -1);
		}
	}
	index->nactive = kept;
	return lost;
}

/* Names the trial as the one to train towards a rung. */
static bool
hand_out(const HbHost *host, HbStudyState *state, int64_t number, int rung, HbStage *stage,
		 HbStatus *status)
{
	const HbPlanBracket *bracket = &state->plan->brackets[0];

	stage->numbers = hb_alloc(host, sizeof(int64_t));
	if (!stage->numbers)
		return hb_fail_memory(status, sizeof(int64_t));
	stage->from_resource = rung > 0 ? bracket->rungs[rung - 1].resource : 0;
	stage->to_resource = bracket->rungs[rung].resource;
	stage->numbers[0] = number;
	stage->ntrials = 1;
	if (number <= state->ntrials)
	{
		HbTrialView *trial = &state->trials[number - 1];

		if (trial->resource != stage->from_resource)
		{
			hb_fail(status, HB_ERR_CORRUPTED,
					"records of the study's trials contradict each other");
			return hb_fail_detail(status, "Trial %lld stands at resource %lld, expected %lld.",
								  (long long) number, (long long) trial->resource,
								  (long long) stage->from_resource);
		}
		trial->state = HB_TRIAL_RUNNING;
		trial->started = true;
		trial->evaluated = false;
	}
	return true;
}

/* Everybody is done: final ranks, and the end of those that wait. */
static bool
finish(const HbHost *host, const struct HbAshaIndex *index, HbStudyState *state, HbStage *stage,
	   HbStatus *status)
{
	int nrungs = state->plan->brackets[0].nrungs;
	HbAshaPlace *places = hb_alloc(host, state->ntrials * sizeof(HbAshaPlace));

	/* in place of what this call decided so far, which is repeated */
	hb_release(host, stage->decisions);
	stage->ndecisions = 0;
	stage->decisions = hb_alloc(host, state->nresults * sizeof(HbDecision));
	if (!places || !stage->decisions)
	{
		hb_release(host, places);
		return hb_fail_memory(status, state->nresults * sizeof(HbDecision));
	}
	/* all states first: each of a trial's decisions carries its last */
	for (int64_t i = 0; i < state->ntrials; i++)
		if (hb_trial_is_live(&state->trials[i]) && state->trials[i].evaluated)
		{
			state->trials[i].state = HB_TRIAL_STOPPED;
			state->trials[i].evaluated = false;
		}
	for (int r = 0; r < nrungs; r++)
	{
		int64_t n = hb_asha_order(index->core, r, places);

		for (int64_t i = 0; i < n; i++)
		{
			const HbTrialView *trial = &state->trials[places[i].number - 1];
			bool stopped = trial->rung == r && trial->state == HB_TRIAL_STOPPED;

			add_decision(stage, trial, r, i + 1, r == nrungs - 1 ? -1 : !stopped);
		}
	}
	hb_release(host, places);
	return true;
}

static bool
decide(const HbHost *host, struct HbAshaIndex *index, HbStudyState *state, HbStage *stage,
	   HbStatus *status)
{
	HbAshaEvent event = {.kind = HB_ASHA_START};
	int64_t lost;

	/* at most one decision for each active trial, and a promotion */
	stage->decisions = hb_alloc(host, (index->nactive + 1) * sizeof(HbDecision));
	if (!stage->decisions)
		return hb_fail_memory(status, (index->nactive + 1) * sizeof(HbDecision));
	if (!see_results(index, state, status))
		return false;
	lost = look_after_active(index, state, stage);
	if (lost)
		return hand_out(host, state, lost, state->trials[lost - 1].rung + 1, stage, status);
	if (!hb_asha_choose(index->core, &event.number, &event.rung))
		return index->nactive > 0 || finish(host, index, state, stage, status);
	if (!hb_asha_apply(index->core, &event, status) ||
		!hand_out(host, state, event.number, event.rung, stage, status))
		return false;
	index->active[index->nactive++] = (int32_t) event.number;
	stage->seq = ++state->last_seq;
	if (event.rung > 0)
		add_decision(stage, &state->trials[event.number - 1], event.rung - 1,
					 hb_asha_rank(index->core, event.number, event.rung - 1), 1);
	return true;
}

static bool
asha_next(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status)
{
	bool temporary = !state->asha;
	bool decided;

	memset(stage, 0, sizeof(*stage));
	if (temporary && !asha_open(host, state, status))
		return false;
	decided = decide(host, state->asha, state, stage, status);
	if (temporary)
		asha_close(host, state);
	return decided;
}

extern const HbScheduler hb_scheduler_asha;
const HbScheduler hb_scheduler_asha = {
	.name = "asha",
	.description = "asynchronous Successive Halving",
	.available = true,
	.asynchronous = true,
	.plan = hb_plan_asha,
	.next = asha_next,
	.open = asha_open,
	.close = asha_close,
};
