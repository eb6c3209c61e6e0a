/*
 * external_turn.c - what is handed out next, and what becomes of a result
 *
 * One session at a time reads and writes a study's turn, from the lock that hb_turn_begin() takes to the end of its
 * transaction: so no trial is handed out twice, the number of trials is exact and a rung is decided once.  What is
 * done in between takes well under a millisecond; a caller that leaves its transaction open keeps the others waiting.
 *
 * A worker that vanished is noticed by its session lock, or by its lease.  Looking takes a step for each worker, so
 * it is done when nothing else is there to hand out, and else at most once a second.
 */
#include "pg.h"

#include <math.h>

#include "pg/external.h"

#define LOOK_AFTER_WORKERS_EVERY 1000 /* ms */
#define HB_MAX_LOSSES 3               /* of a trial of an objective that takes its worker along */

static void
contradiction(int64 trial_id)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
					errmsg("records of the study's trials contradict each other"),
					errdetail("Trial %lld is where no decision left it.", (long long) trial_id)));
}

bool
hb_turn_begin(HbExternal *study, HbTurn *turn)
{
	hb_lock_turn(study->study_id);
	return hb_turn_get(study->study_id, turn) && turn->created_at == study->created_at;
}

/* Ends the study where nothing is left to do; the supervisor of a function does so itself. */
void
hb_turn_end(HbExternal *study, HbTurn *turn)
{
	if (!study->function && strcmp(turn->state, "running") == 0 &&
		hb_external_complete(study, turn))
		hb_external_finish(study, turn, false);
	hb_turn_set(study->study_id, turn);
}

/* ---- lost workers ---- */

/* The trial has ended without a result: its bracket no longer waits for it. */
static void
end_trial(HbExternal *study, HbTurn *turn, int64 trial_id, const HbToldTrial *trial,
		  const char *state, const HbStatus *error)
{
	HbPlace none = {NAN, 0};
	const HbPlanBracket *bracket = hb_external_bracket(study, trial->number);

	if (bracket == NULL)
		contradiction(trial_id);
	hb_trial_end(trial_id, state, error);
	hb_handout_delete(trial_id);
	turn->outstanding--;
	hb_rung_arrived(study, turn, bracket, trial->rung, none, false);
}

static void
give_up_trial(HbExternal *study, HbTurn *turn, int64 trial_id, int losses)
{
	HbToldTrial trial;
	HbStatus error;

	hb_status_init(&error);
	hb_fail(&error, "38000", "evaluation was lost %d times", losses);
	if (!hb_told_get(trial_id, &trial))
		contradiction(trial_id);
	end_trial(study, turn, trial_id, &trial, "failed", &error);
}

/* They wait in the queue; their rows tell what they were trained for. */
static int
requeue(HbExternal *study, HbTurn *turn, int64 worker, bool all)
{
	int *losses;
	int n;
	int64 *trial_ids = hb_handouts_lose(study->study_id, worker, all, &losses, &n);

	for (int i = 0; i < n; i++)
	{
		if (study->function && losses[i] >= HB_MAX_LOSSES)
			give_up_trial(study, turn, trial_ids[i], losses[i]);
		else
			hb_queue_push(study->study_id, turn->tail++, trial_ids[i]);
	}
	return n;
}

void
hb_turn_recover(HbExternal *study, HbTurn *turn, int64 worker)
{
	(void) requeue(study, turn, worker, worker == 0);
}

/* Workers of a function study are looked after by its supervisor. */
static int
lose_vanished(HbExternal *study, HbTurn *turn)
{
	int64 *workers;
	int lost = 0;
	int n;

	turn->checked_at = 0;
	if (study->function)
		return 0;
	if (study->lease > 0)
		return requeue(study, turn, 0, false);
	workers = hb_handout_workers(study->study_id, &n);
	for (int i = 0; i < n; i++)
		if (!hb_worker_is_alive(workers[i]))
			lost += requeue(study, turn, workers[i], false);
	return lost;
}

/* ---- asking ---- */

/* A trial that goes on, or is lost: what for, and the next attempt. */
static void
hand_again(HbExternal *study, HbTurn *turn, int64 worker, HbHandout *handout)
{
	const HbPlanBracket *bracket;
	HbToldTrial trial;

	if (!hb_told_get(handout->trial_id, &trial))
		contradiction(handout->trial_id);
	bracket = hb_external_bracket(study, trial.number);
	if (trial.state != HB_TRIAL_WAITING || bracket == NULL)
		contradiction(handout->trial_id);
	hb_trial_hand_again(handout);
	if (trial.handed_out)
	{
		handout->rung = trial.rung;
		handout->from_resource = trial.from_resource;
		handout->to_resource = trial.to_resource;
		hb_handout_take(handout, worker, study->lease);
		return;
	}
	if (trial.last_rung < 0 || trial.last_rung >= bracket->nrungs - 1)
		contradiction(handout->trial_id);
	handout->rung = trial.last_rung + 1;
	handout->from_resource = study->from_scratch ? 0 : trial.resource;
	handout->to_resource = bracket->rungs[handout->rung].resource;
	hb_handout_insert(study->study_id, handout, worker, study->lease);
	turn->outstanding++;
}

static bool
take_from_queue(HbExternal *study, HbTurn *turn, int64 worker, HbHandout *handout)
{
	int64 place;

	if (turn->head >= turn->tail)
		return false;
	handout->trial_id = hb_queue_pop(study->study_id, turn->head, &place);
	turn->head = handout->trial_id == 0 ? turn->tail : place + 1;
	if (handout->trial_id == 0)
		return false;
	hand_again(study, turn, worker, handout);
	return true;
}

static bool
promote(HbExternal *study, HbTurn *turn, int64 worker, HbHandout *handout)
{
	int rung;

	if (!study->asha || !hb_asha_candidate(study->study_id, study->plan.brackets[0].nrungs - 1,
										   &handout->trial_id, &rung))
		return false;
	hb_asha_promote(study->study_id, handout->trial_id, rung, ++turn->seq);
	hand_again(study, turn, worker, handout);
	return true;
}

static bool
draw(HbExternal *study, HbTurn *turn, int64 worker, HbHandout *handout)
{
	if (!hb_external_draw(study, turn, handout))
		return false;
	hb_handout_insert(study->study_id, handout, worker, study->lease);
	turn->outstanding++;
	return true;
}

int
hb_turn_ask(HbExternal *study, HbTurn *turn, int64 worker, int n, HbHandout *handouts)
{
	TimestampTz now = GetCurrentTimestamp();
	bool looked = false;
	int given = 0;

	if (turn->deadline != 0 && now >= turn->deadline)
	{
		if (!study->function)
			hb_external_finish(study, turn, true);
		return 0;
	}
	if (TimestampDifferenceExceeds(turn->checked_at, now, LOOK_AFTER_WORKERS_EVERY))
	{
		(void) lose_vanished(study, turn);
		looked = true;
	}
	while (given < n)
	{
		HbHandout *handout = &handouts[given];

		if (take_from_queue(study, turn, worker, handout) ||
			promote(study, turn, worker, handout) || draw(study, turn, worker, handout))
		{
			given++;
			continue;
		}
		/* drawing may have found the last bracket complete */
		if (turn->head < turn->tail)
			continue;
		if (looked || turn->outstanding == 0)
			break;
		looked = true;
		if (lose_vanished(study, turn) == 0)
			break;
	}
	return given;
}

/* ---- telling ---- */

static bool
same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

static void
already_told(int64 trial_id, int64 resource, bool same)
{
	if (same)
		ereport(NOTICE, (errmsg("result of trial %lld at resource %lld is recorded already",
								(long long) trial_id, (long long) resource)));
	else
		ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
						errmsg("trial %lld has another result at resource %lld already",
							   (long long) trial_id, (long long) resource)));
}

static bool
same_metrics(Jsonb *stored, Jsonb *metrics)
{
	if (metrics == NULL)
		return JB_ROOT_COUNT(stored) == 0;
	return compareJsonbContainers(&stored->root, &metrics->root) == 0;
}

/* Whether there is a result at this resource already, and the same one. */
static bool
find_told(int64 trial_id, const HbToldTrial *trial, int64 resource, double loss, double value,
		  Jsonb *metrics, bool *same)
{
	double before;
	Jsonb *metrics_before;

	/* points lie below the resource that a trial is trained to, and results at or below the one it has reached */
	if (trial->handed_out && resource == trial->to_resource && resource > trial->resource)
		return false;
	if (hb_result_get(trial_id, resource, &before, &metrics_before))
	{
		*same = same_number(before, loss) && same_metrics(metrics_before, metrics);
		return true;
	}
	if (hb_point_get(trial_id, resource, &before))
	{
		/* one between two rungs may be trained again, where the worker before was lost */
		*same = same_number(before, value);
		return *same || !trial->handed_out || trial->losses == 0 || resource <= trial->resource;
	}
	*same = trial->state == HB_TRIAL_DIVERGED && !isfinite(loss);
	return *same;
}

static void
check_attempt(int64 trial_id, int attempt, const HbToldTrial *trial)
{
	if (attempt < trial->attempt)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("attempt %d of trial %lld is out of date", attempt, (long long) trial_id),
				 errdetail("The trial was handed out again, as attempt %d.", trial->attempt)));
	if (attempt > trial->attempt)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attempt %d of trial %lld was never handed out", attempt,
							   (long long) trial_id)));
}

static void
check_told(const HbExternal *study, const HbTurn *turn, int64 trial_id, const HbToldTrial *trial,
		   int64 resource)
{
	if (strcmp(turn->state, "running") != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("study %lld is %s", (long long) study->study_id, turn->state)));
	if (!trial->handed_out)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("trial %lld is %s", (long long) trial_id,
							   hb_trial_state_name(trial->state)),
						errhint("Ask for a trial with hyperband_ask().")));
	if (resource <= trial->from_resource || resource > trial->to_resource)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resource %lld of trial %lld is out of range", (long long) resource,
						(long long) trial_id),
				 errdetail("It was asked for from %lld to %lld.", (long long) trial->from_resource,
						   (long long) trial->to_resource)));
}

/* Its worker was given up and tells after all: nobody else needs to train it. */
static void
take_back(HbExternal *study, HbTurn *turn, int64 trial_id, const HbToldTrial *trial)
{
	if (trial->lost)
		hb_queue_remove(study->study_id, turn->head, trial_id);
}

static void
record_result(HbExternal *study, HbTurn *turn, int64 trial_id, const HbToldTrial *trial,
			  double loss, double value, Jsonb *metrics)
{
	const HbPlanBracket *bracket = hb_external_bracket(study, trial->number);
	bool last;

	if (bracket == NULL)
		contradiction(trial_id);
	last = trial->rung == bracket->nrungs - 1;
	hb_result_record(trial, trial_id, loss, value, metrics, last ? "completed" : "waiting",
					 study->asha ? ++turn->seq : 0);
	turn->outstanding--;
	hb_study_gain(study->study_id, trial->to_resource - trial->from_resource, trial_id,
				  study->scheduler->completed_wins && !last ? NAN : loss);
	hb_rung_arrived(study, turn, bracket, trial->rung, (HbPlace){loss, trial_id}, true);
}

void
hb_turn_tell(HbExternal *study, HbTurn *turn, int64 trial_id, int attempt, int64 resource,
			 double value, Jsonb *metrics)
{
	double loss = study->maximize ? -value : value;
	HbToldTrial trial;
	bool same;

	if (!hb_told_get(trial_id, &trial))
		contradiction(trial_id);
	if (find_told(trial_id, &trial, resource, loss, value, metrics, &same))
	{
		if (!same)
			check_attempt(trial_id, attempt, &trial);
		already_told(trial_id, resource, same);
		return;
	}
	check_attempt(trial_id, attempt, &trial);
	check_told(study, turn, trial_id, &trial, resource);
	if (!isfinite(loss))
	{
		take_back(study, turn, trial_id, &trial);
		end_trial(study, turn, trial_id, &trial, "diverged", NULL);
	}
	else if (resource == trial.to_resource)
	{
		take_back(study, turn, trial_id, &trial);
		record_result(study, turn, trial_id, &trial, loss, value, metrics);
	}
	else
	{
		hb_point_insert(study->study_id, trial_id, resource, loss, value, trial.seconds);
		hb_lease_renew(trial_id, study->lease);
	}
}

void
hb_turn_fail(HbExternal *study, HbTurn *turn, int64 trial_id, int attempt, const HbStatus *error)
{
	HbToldTrial trial;

	if (!hb_told_get(trial_id, &trial))
		contradiction(trial_id);
	check_attempt(trial_id, attempt, &trial);
	check_told(study, turn, trial_id, &trial, trial.to_resource);
	end_trial(study, turn, trial_id, &trial, "failed", error);
}
