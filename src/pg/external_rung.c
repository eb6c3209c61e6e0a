/*
 * external_rung.c - the barriers of studies that others train: when a rung is decided, and what then
 *
 * The result that completes a rung decides it, in the transaction of the hyperband_tell that brings it.  The rule is
 * the scheduler's own: it is shown the trials of one bracket as a study of one bracket.  asha has no barriers: its
 * candidate is looked up when a trial is asked for, so each result only moves the line below the best results/eta.
 */
#include "pg.h"

#include <math.h>

#include "pg/external.h"
#include "pg/run.h"
#include "tune/racing.h"
#include "utils/memutils.h"

/* ---- asha ---- */

static bool
place_less(HbPlace a, HbPlace b)
{
	return a.loss != b.loss ? a.loss < b.loss : a.trial_id < b.trial_id;
}

/*
 * The cut is the last of the best floor(results/eta).  A new result above it (better) pushes it down by one, and one
 * place more lets it move up again, so it moves by at most one.
 */
static void
asha_arrived(HbExternal *study, int rung, HbPlace place, HbRungRow row)
{
	int64 eta = study->request.eta;
	int64 places;
	bool grown;
	bool inside;

	places = row.results / eta;
	grown = places > (row.results - 1) / eta;
	inside = row.cut.trial_id != 0 && place_less(place, row.cut);
	if (places == 1 && grown)
		row.cut = hb_place_first(study->study_id, rung);
	else if (places > 0 && inside && !grown)
		row.cut = hb_place_before(study->study_id, rung, row.cut);
	else if (places > 0 && !inside && grown)
		row.cut = hb_place_after(study->study_id, rung, row.cut);
	if (place_less(place, row.open))
		row.open = place;
	hb_rung_cut(study->study_id, rung, row.cut, row.open);
}

/* ---- barriers ---- */

/* The trials of a bracket as a study of their own, numbered from 1. */
static void
build_state(const HbExternal *study, const HbPlanBracket *bracket, int rung, int n,
			const HbTrialRow *rows, HbPlan *plan, HbPlanBracket *own, HbStudyState *state)
{
	*plan = study->plan;
	*own = *bracket;
	own->first_number = 1;
	own->trials = n;
	own->wave = 0;
	plan->nbrackets = 1;
	plan->brackets = own;
	plan->trials = n;
	memset(state, 0, sizeof(*state));
	state->plan = plan;
	state->ntrials = n;
	state->trials = MemoryContextAllocExtended(
		CurrentMemoryContext, sizeof(HbTrialView) * Max(n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
	{
		HbTrialView *view = &state->trials[i];

		view->number = i + 1;
		view->rung = rows[i].rung;
		view->resource = rows[i].resource;
		view->state = rows[i].state;
		view->loss = rows[i].loss;
		view->tie_loss = NAN;
		view->evaluated = rows[i].state == HB_TRIAL_WAITING && rows[i].rung == rung;
	}
}

/* Under racing every pull counts. */
static void
add_results(const HbExternal *study, const HbPlanBracket *bracket, HbStudyState *state)
{
	HbRecorded *recorded;
	HbResult *results;
	int n;

	recorded = hb_results_between(study->study_id, bracket->first_number,
								  bracket->first_number + state->ntrials - 1, &n);
	results = palloc(sizeof(HbResult) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		bool follows = i > 0 && recorded[i - 1].number == recorded[i].number;

		results[i].number = recorded[i].number - bracket->first_number + 1;
		results[i].rung = recorded[i].rung;
		results[i].loss = recorded[i].loss;
		results[i].pull = hb_racing_pull(recorded[i].loss, follows ? recorded[i - 1].loss : 0,
										 recorded[i].rung + 1);
	}
	state->nresults = n;
	state->results = results;
}

static void
store_decisions(HbExternal *study, HbTurn *turn, int rung, const HbTrialRow *rows,
				const HbStage *stage)
{
	int n = stage->ndecisions;
	int64 *trial_ids = palloc(sizeof(int64) * Max(n, 1));
	int64 *ranks = palloc(sizeof(int64) * Max(n, 1));
	int64 *promoted = palloc(sizeof(int64) * Max(n, 1));
	int64 *completed = palloc(sizeof(int64) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		const HbDecision *d = &stage->decisions[i];

		if (d->rung != rung)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("records of the study's trials contradict each other"),
							errdetail("A decision is about rung %d, expected %d.", d->rung, rung)));
		trial_ids[i] = rows[d->number - 1].trial_id;
		ranks[i] = d->rank;
		promoted[i] = d->promoted;
		completed[i] = d->state == HB_TRIAL_COMPLETED;
	}
	hb_decided(n, trial_ids, rung, ranks, promoted, completed, turn->seq);
	turn->seq += n;
}

/* All results of a rung that is not the last one are in: some trials go on, by number. */
static void
decide(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int rung, int trials)
{
	HbPlanBracket own;
	HbPlan plan;
	HbStudyState state;
	HbStage stage;
	HbStatus status;
	HbTrialRow *rows;
	int n;

	hb_status_init(&status);
	rows = hb_trials_between(study->study_id, bracket->first_number,
							 Min(bracket->first_number + bracket->trials - 1, turn->drawn), &n);
	build_state(study, bracket, rung, n, rows, &plan, &own, &state);
	if (study->racing)
		add_results(study, bracket, &state);
	memset(&stage, 0, sizeof(stage));
	if (!study->scheduler->next(&hb_host_pg, &state, &stage, &status))
		hb_raise(&status);
	store_decisions(study, turn, rung, rows, &stage);
	for (int i = 0; i < stage.ntrials; i++)
		hb_queue_push(study->study_id, turn->tail++, rows[stage.numbers[i] - 1].trial_id);
	hb_rung_expect(study->study_id, bracket->bracket, rung + 1, stage.ntrials);
	if (stage.ntrials == 0)
		turn->open_brackets--;
}

/* trials: how many are to reach the rung; all of them have arrived or ended. */
static void
rung_complete(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int rung, int trials)
{
	if (rung == bracket->nrungs - 1)
		turn->open_brackets--;
	else
		decide(study, turn, bracket, rung, trials);
}

void
hb_rung_arrived(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int rung,
				HbPlace place, bool evaluated)
{
	HbRungRow row;

	hb_rung_add(study->study_id, bracket->bracket, rung, (int) evaluated, 1, &row);
	if (study->asha)
	{
		if (evaluated && rung < bracket->nrungs - 1)
			asha_arrived(study, rung, place, row);
		return;
	}
	if (row.trials >= 0 && row.ended >= row.trials)
		rung_complete(study, turn, bracket, rung, row.trials);
}

void
hb_bracket_cut_short(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int trials)
{
	HbRungRow row;

	hb_bracket_cut(study->study_id, bracket->bracket, trials);
	hb_rung_expect(study->study_id, bracket->bracket, 0, trials);
	if (study->asha)
		return;
	hb_rung_get(study->study_id, bracket->bracket, 0, &row);
	if (row.ended >= trials)
		rung_complete(study, turn, bracket, 0, trials);
}

/* ---- the end ---- */

bool
hb_external_complete(HbExternal *study, HbTurn *turn)
{
	int64 trial_id;
	int rung;

	if (turn->outstanding > 0 ||
		(!turn->exhausted && hb_external_bracket(study, turn->drawn + 1) != NULL))
		return false;
	if (!study->asha)
		return turn->open_brackets == 0;
	return !hb_asha_candidate(study->study_id, study->plan.brackets[0].nrungs - 1, &trial_id,
							  &rung);
}

void
hb_external_finish(HbExternal *study, HbTurn *turn, bool out_of_time)
{
	HbStatus failure;
	bool found;

	if (study->asha)
		hb_asha_close_study(study->study_id, study->plan.brackets[0].nrungs - 1);
	found = hb_study_choose_best(study->study_id, study->scheduler->completed_wins);
	/* a race that time ended has no trial that completed */
	if (!found && study->scheduler->completed_wins)
		found = hb_study_choose_best(study->study_id, false);
	/* what ended for want of time goes on from its handouts when it is resumed */
	if (found || !out_of_time)
	{
		hb_handouts_clear(study->study_id);
		turn->outstanding = 0;
	}
	hb_status_init(&failure);
	if (!found && out_of_time)
		hb_fail(&failure, "57014", HB_TIME_LIMIT_MESSAGE);
	else if (!found && !hb_study_failure(study->study_id, &failure))
		hb_fail(&failure, HB_ERR_DATA, "all trials diverged");
	else if (!found && !failure.detail[0])
		strlcpy(failure.detail, HB_ALL_FAILED_DETAIL, sizeof(failure.detail));
	hb_study_finish(study->study_id, found ? "done" : "failed", found ? NULL : &failure);
	turn->state = found ? "done" : "failed";
}
