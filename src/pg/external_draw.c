/*
 * external_draw.c - new trials of studies that others train, drawn one by one as they are asked for
 *
 * A proposal of a sampler that does not learn depends on the seed and the trial's number alone.  One that learns sees
 * what the waves of brackets before gave, so that proposals are the same whoever is faster; the first wave, and so a
 * study of one bracket, is drawn from what was known when the study was made.  Under asha, which knows no waves, it
 * sees every result there is, which is the same each time only where one worker asks and tells.
 */
#include "pg.h"

#include <math.h>

#include "pg/external.h"
#include "pg/run.h"

/* The trials that a study without end may have. */
#define NO_LIMIT ((int64) PG_INT32_MAX)

static int64
trial_limit(const HbExternal *study)
{
	if (!study->request.infinite)
		return study->plan.trials;
	return study->request.n_trials > 0 ? study->request.n_trials : NO_LIMIT;
}

static void
extend_plan(HbExternal *study, int64 number)
{
	MemoryContext old = MemoryContextSwitchTo(study->context);
	bool extended = true;
	HbStatus status;

	hb_status_init(&status);
	while (extended && study->plan.trials < number)
		if (!study->scheduler->extend(&hb_host_pg, &study->request, &study->plan, &extended,
									  &status))
			hb_raise(&status);
	MemoryContextSwitchTo(old);
}

/* Numbers ascend in plan order. */
const HbPlanBracket *
hb_external_bracket(HbExternal *study, int64 number)
{
	int low = 0;
	int high;

	if (number > trial_limit(study))
		return NULL;
	if (study->request.infinite)
		extend_plan(study, number);
	if (number < 1 || number > study->plan.trials)
		return NULL;
	high = study->plan.nbrackets - 1;
	while (low < high)
	{
		int middle = (low + high + 1) / 2;

		if (study->plan.brackets[middle].first_number <= number)
			low = middle;
		else
			high = middle - 1;
	}
	return &study->plan.brackets[low];
}

static bool
config_seen(void *context, const HbJson *config)
{
	const HbExternal *study = context;

	return hb_config_drawn(study->study_id, hb_json_to_jsonb(config));
}

/* The last trial before the wave of a bracket. */
static int64
before_wave(const HbExternal *study, const HbPlanBracket *bracket)
{
	while (bracket > study->plan.brackets && bracket[-1].wave == bracket->wave)
		bracket--;
	return bracket->first_number - 1;
}

/*
 * The highest rung of asha's with so many results that a model is of it or of one above: nothing below it is read, so
 * that a draw takes no more than it learns from.
 */
static int
modelled_rung(const HbExternal *study)
{
	int rung = study->plan.brackets[0].nrungs - 1;
	HbRungRow row;

	for (; rung > 0; rung--)
	{
		hb_rung_get(study->study_id, 0, rung, &row);
		if (row.results >= study->space->nparams + HB_MODEL_RESULTS)
			break;
	}
	return rung;
}

/* Trials that ended on their way to a rung count as the worst of those that came there. */
static void
observe_ends(HbExternal *study, HbObservation *observations, int n)
{
	for (int i = 0; i < n; i++)
	{
		const HbPlanBracket *bracket;

		if (isfinite(observations[i].loss))
			continue;
		bracket = hb_external_bracket(study, observations[i].number);
		if (bracket != NULL)
			observations[i].resource = hb_plan_level(bracket, observations[i].resource);
	}
}

/* Another study's results, then this one's up to a trial, in order of numbers. */
static void
observe(HbExternal *study, int64 last, HbSampleRequest *request)
{
	int before = study->warm ? study->warm->nobservations : 0;
	int rung = study->asha && last > 0 ? modelled_rung(study) : 0;
	HbObservation *own;
	HbObservation *all;
	int n;

	if (rung > 0)
		own = hb_observations_above(study->study_id, rung,
									study->plan.brackets[0].rungs[rung - 1].resource, &n);
	else
		own = hb_observations_get(study->study_id, last, &n);
	observe_ends(study, own, n);
	all = palloc(sizeof(HbObservation) * Max(before + n, 1));
	if (before > 0)
		memcpy(all, study->warm->observations, sizeof(HbObservation) * before);
	if (n > 0)
		memcpy(all + before, own, sizeof(HbObservation) * n);
	request->observations = all;
	request->nobservations = before + n;
}

/* What is known of earlier trials, for a sampler that learns. */
static void
fill_request(HbExternal *study, const HbPlanBracket *bracket, HbSampleRequest *request)
{
	int64 last = request->number - 1;

	if (study->sequential)
		last = before_wave(study, bracket);
	observe(study, last, request);
	request->pending = hb_pending_get(study->study_id, study->sequential ? last : 0,
									  study->sequential, &request->npending);
	request->multi_fidelity = false;
	for (int i = 0; i < study->plan.nbrackets && !request->multi_fidelity; i++)
		request->multi_fidelity = study->plan.brackets[i].nrungs > 1;
}

/* NULL: the sampler has no configuration left. */
static Jsonb *
sample(HbExternal *study, const HbPlanBracket *bracket, int64 number)
{
	bool exhausted = false;
	HbSampleRequest request = {.host = &hb_host_pg,
							   .space = study->space,
							   .seed = study->seed,
							   .number = number,
							   .warm_trials = study->warm_trials,
							   .seen = config_seen,
							   .seen_context = study,
							   .memo = &study->memo,
							   .exhausted = &exhausted};
	HbStatus status;
	HbJson *config;

	if (number <= study->warm_trials)
		return hb_json_to_jsonb(study->warm->configs[number - 1]);
	hb_status_init(&status);
	if (study->sampler->learns)
		fill_request(study, bracket, &request);
	config = study->sampler->sample(&request, &status);
	if (config == NULL && !exhausted)
		hb_raise(&status);
	return config == NULL ? NULL : hb_json_to_jsonb(config);
}

/* A wave of brackets begins when those before have ended, where the sampler learns from them. */
static bool
must_wait(const HbExternal *study, const HbTurn *turn, const HbPlanBracket *bracket)
{
	return study->sequential && turn->open_brackets > 0 &&
		   before_wave(study, bracket) == bracket->first_number - 1;
}

bool
hb_external_draw(HbExternal *study, HbTurn *turn, HbHandout *handout)
{
	int64 number = turn->drawn + 1;
	const HbPlanBracket *bracket;
	bool first;

	if (turn->exhausted)
		return false;
	bracket = hb_external_bracket(study, number);
	if (bracket == NULL)
		return false;
	first = number == bracket->first_number;
	if (first && must_wait(study, turn, bracket))
		return false;
	handout->config = sample(study, bracket, number);
	if (handout->config == NULL)
	{
		turn->exhausted = true;
		if (!first)
			hb_bracket_cut_short(study, turn, bracket, (int) (number - bracket->first_number));
		return false;
	}
	if (first)
	{
		hb_bracket_start(study->study_id, bracket);
		turn->open_brackets++;
	}
	handout->trial_id = hb_trial_draw(study->study_id, number, bracket->bracket, handout->config,
									  study->asha ? ++turn->seq : 0);
	handout->attempt = 1;
	handout->rung = 0;
	handout->from_resource = 0;
	handout->to_resource = bracket->rungs[0].resource;
	turn->drawn = number;
	return true;
}
