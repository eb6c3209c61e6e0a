/*
 * record.c - what happened to a study's trials, until the catalog has it
 *
 * Starts, results and decisions are kept in memory for a moment, then written in their order and in one transaction: all
 * of it or none, so that the catalog is always as a study is that was written step by step, and a supervisor that starts
 * later goes on from there.  What a crash can cost is the work of that moment, HB_HOLD or hyperband.curve_flush if less.
 * Under an asynchronous scheduler everything is written at once, since its log is what it decides by.
 *
 * The moment saves most checkpoints.  Of a trial that passed several levels in it, or was cut, the states on the way are
 * never written; what it is trained with next comes from memory.  Written are the states that something can still need:
 * of a trial that is trained or waits between two rungs; of one that waits at a rung while it is among the best k of its
 * bracket there, k being the number that the next rung takes; at a last rung; and the incumbent's, at the rung where it
 * won.  Those that were written before and are superfluous now are deleted in the same transaction.
 */
#include "pg.h"

#include <math.h>

#include "utils/memutils.h"

#include "pg/run.h"

#define HB_HOLD 1000                      /* ms */
#define HB_MAX_POINTS 65536               /* of curves */
#define HB_HELD_BYTES ((size_t) 32 << 20) /* states in memory */

typedef enum HbEventKind
{
	HB_EVENT_START,
	HB_EVENT_RESULTS,
	HB_EVENT_FAILURE,
	HB_EVENT_DECISIONS
} HbEventKind;

struct HbEvent
{
	HbEventKind kind;
	int n;
	int64 *numbers;
	int64 *trial_ids;
	HbTrialRecord *records; /* RESULTS */
	HbDecision *decisions;  /* DECISIONS */
	int64 started; /* DECISIONS: the trial whose start is in the study's log at seq; 0: none */
	int64 seq;     /* DECISIONS: as hb_decisions_store() takes it */
	HbStatus *failure;
};

/* What lasts until the next flush. */
static MemoryContext
hb_held_context(HbRun *run)
{
	if (!run->held_context)
		run->held_context =
			AllocSetContextCreate(run->context, "hyperband held", ALLOCSET_DEFAULT_SIZES);
	return run->held_context;
}

static void *
hb_held_copy(HbRun *run, const void *bytes, size_t size)
{
	void *copy = MemoryContextAllocHuge(hb_held_context(run), Max(size, 1));

	memcpy(copy, bytes, size);
	return copy;
}

static struct HbEvent *
hb_event_add(HbRun *run, HbEventKind kind, const int64 *numbers, int n)
{
	struct HbEvent *event;
	int i;

	if (run->nevents == run->events_capacity)
	{
		int capacity = Max(64, run->events_capacity * 2);
		struct HbEvent *events =
			MemoryContextAllocHuge(run->context, sizeof(struct HbEvent) * capacity);

		if (run->nevents > 0)
			memcpy(events, run->events, sizeof(struct HbEvent) * run->nevents);
		if (run->events)
			pfree(run->events);
		run->events = events;
		run->events_capacity = capacity;
	}
	event = &run->events[run->nevents++];
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->n = n;
	event->numbers = hb_held_copy(run, numbers, sizeof(int64) * n);
	event->trial_ids = MemoryContextAllocHuge(hb_held_context(run), sizeof(int64) * Max(n, 1));
	for (i = 0; i < n; i++)
		event->trial_ids[i] = run->rows[numbers[i] - 1].trial_id;
	return event;
}

void
hb_record_start(HbRun *run, const int64 *numbers, int n)
{
	(void) hb_event_add(run, HB_EVENT_START, numbers, n);
}

static bool
hb_is_incumbent(const HbRun *run, const HbTrialView *view)
{
	return run->best.number == view->number && run->best.resource == view->resource;
}

/* Frees a state that nothing can need any more. */
static void
hb_held_drop(HbRun *run, HbHeld *held)
{
	if (held->state && held->state != run->best_held.state)
	{
		run->held_bytes -= held->bytes;
		pfree(held->state);
	}
	memset(held, 0, sizeof(*held));
}

/* Takes over the state that a result brought; the incumbent's is kept when its trial goes on, too. */
static void
hb_held_take(HbRun *run, const HbTrialResult *result)
{
	const HbTrialView *view = &run->state.trials[result->number - 1];
	HbHeld *held = &run->held[result->number - 1];
	bool incumbent = hb_is_incumbent(run, view);

	hb_held_drop(run, held);
	if (result->outcome != HB_OUTCOME_TRAINED || !result->state ||
		(run->from_scratch && !incumbent))
		return;
	held->state = hb_held_copy(run, result->state, result->state_bytes);
	held->bytes = result->state_bytes;
	run->held_bytes += held->bytes;
	if (incumbent)
	{
		HbHeld former = run->best_held;

		run->best_held = *held;
		/* still its trial's own, unless that went on */
		if (former.state && run->held[run->best_held_number - 1].state != former.state)
			hb_held_drop(run, &former);
		run->best_held_number = view->number;
	}
	if (run->from_scratch)
		memset(held, 0, sizeof(*held));
}

void
hb_record_results(HbRun *run, const int64 *numbers, const HbTrialRecord *records, int n)
{
	struct HbEvent *event = hb_event_add(run, HB_EVENT_RESULTS, numbers, n);
	int i;

	event->records = hb_held_copy(run, records, sizeof(HbTrialRecord) * n);
	for (i = 0; i < n; i++)
	{
		HbTrialResult *result = hb_held_copy(run, records[i].result, sizeof(HbTrialResult));

		hb_held_take(run, records[i].result);
		result->state = NULL;
		event->records[i].result = result;
	}
}

void
hb_record_failure(HbRun *run, const int64 *numbers, int n, const HbStatus *failure)
{
	struct HbEvent *event = hb_event_add(run, HB_EVENT_FAILURE, numbers, n);
	int i;

	event->failure = hb_held_copy(run, failure, sizeof(HbStatus));
	for (i = 0; i < n; i++)
		hb_held_drop(run, &run->held[numbers[i] - 1]);
}

void
hb_record_decisions(HbRun *run, const HbDecision *decisions, int n, int64 started, int64 seq)
{
	int64 *numbers = palloc(sizeof(int64) * Max(n, 1));
	struct HbEvent *event;
	int i;

	for (i = 0; i < n; i++)
	{
		numbers[i] = decisions[i].number;
		if (decisions[i].promoted == 0)
			hb_held_drop(run, &run->held[numbers[i] - 1]);
	}
	event = hb_event_add(run, HB_EVENT_DECISIONS, numbers, n);
	event->decisions = hb_held_copy(run, decisions, sizeof(HbDecision) * n);
	event->started = started;
	event->seq = seq;
	pfree(numbers);
}

/* ---- which checkpoints stay ---- */

/* The last of those that the next rung can still take, by their order at this one; NULL: it can take them all. */
static const HbTrialView *
hb_rung_last(const HbRun *run, const HbPlanBracket *bracket, int rung)
{
	const HbTrialView **views = palloc(sizeof(*views) * Max(bracket->trials, 1));
	const HbTrialView *last = NULL;
	int64 n = 0;
	int64 i;

	for (i = bracket->first_number - 1; i < bracket->first_number - 1 + bracket->trials; i++)
		if (run->state.trials[i].rung == rung && run->state.trials[i].evaluated)
			views[n++] = &run->state.trials[i];
	if (n > bracket->rungs[rung + 1].trials)
	{
		qsort(views, n, sizeof(*views), hb_compare_results);
		last = views[bracket->rungs[rung + 1].trials - 1];
	}
	pfree(views);
	return last;
}

/* last: of each rung of its bracket, see hb_rung_last(); NULL where there are no barriers, and each may go on. */
static bool
hb_state_needed(const HbTrialView *view, int nrungs, const HbTrialView *const *last)
{
	switch (view->state)
	{
		case HB_TRIAL_COMPLETED:
		case HB_TRIAL_RUNNING:
			return true;
		case HB_TRIAL_WAITING:
			return !view->evaluated || !last || view->rung == nrungs - 1 || !last[view->rung] ||
				   hb_compare_results(&view, &last[view->rung]) <= 0;
		default:
			return false;
	}
}

/* Brings the trial's own checkpoint in line with what it needs. */
static void
hb_keep_trial(HbRun *run, const HbTrialView *view, bool needed)
{
	const HbIncumbent *best = &run->best;
	int64 trial_id = run->rows[view->number - 1].trial_id;
	const HbHeld *held = &run->held[view->number - 1];
	int64 *stored = &run->stored[view->number - 1];
	int64 before = *stored;
	bool wanted = needed || hb_is_incumbent(run, view);

	if (before > 0 && (before != view->resource || !wanted))
	{
		if (best->number != view->number || best->resource != before)
			hb_checkpoint_delete(trial_id, before);
		*stored = 0;
	}
	if (wanted && before != view->resource && held->state)
	{
		hb_checkpoint_put(run->study->study_id, trial_id, view->resource, held->state, held->bytes);
		*stored = view->resource;
	}
}

/* The trials of a bracket that is drawn. */
static void
hb_keep_bracket(HbRun *run, const HbPlanBracket *bracket)
{
	const HbTrialView **last = palloc0(sizeof(*last) * bracket->nrungs);
	int64 i;
	int rung;

	for (rung = 0; rung < bracket->nrungs - 1; rung++)
		last[rung] = hb_rung_last(run, bracket, rung);
	for (i = bracket->first_number - 1; i < bracket->first_number - 1 + bracket->trials; i++)
	{
		const HbTrialView *view = &run->state.trials[i];

		if (run->stored[i] > 0 || run->held[i].state)
			hb_keep_trial(run, view, hb_state_needed(view, bracket->nrungs, last));
	}
	pfree(last);
}

/* The trials of which there is news. */
static void
hb_keep_changed(HbRun *run)
{
	int e;
	int i;

	for (e = 0; e < run->nevents; e++)
		for (i = 0; i < run->events[e].n; i++)
		{
			const HbTrialView *view = &run->state.trials[run->events[e].numbers[i] - 1];

			hb_keep_trial(run, view, hb_state_needed(view, 0, NULL));
		}
}

/* The incumbent's checkpoint at the rung where it won, where its trial has gone on; the former one's goes. */
static void
hb_keep_incumbent(HbRun *run)
{
	const HbIncumbent *best = &run->best;
	HbIncumbent former = run->best_stored;

	if (best->number == former.number && best->resource == former.resource)
		return;
	if (former.number != 0 && run->stored[former.number - 1] != former.resource)
		hb_checkpoint_delete(run->rows[former.number - 1].trial_id, former.resource);
	if (best->number != 0 && run->stored[best->number - 1] != best->resource &&
		run->best_held.state)
		hb_checkpoint_put(run->study->study_id, run->rows[best->number - 1].trial_id,
						  best->resource, run->best_held.state, run->best_held.bytes);
	run->best_stored = *best;
}

static void
hb_keep_needed(HbRun *run)
{
	int b;

	/* what is trained anew at each rung needs nothing to go on from */
	if (run->scheduler->asynchronous && !run->from_scratch)
		hb_keep_changed(run);
	else if (!run->from_scratch)
		for (b = 0; b < run->plan.nbrackets; b++)
		{
			const HbPlanBracket *bracket = &run->plan.brackets[b];

			if (bracket->first_number + bracket->trials - 1 > run->ntrials)
				break; /* not drawn yet */
			hb_keep_bracket(run, bracket);
		}
	if (!run->by_folds)
		hb_keep_incumbent(run);
}

/* ---- writing ---- */

static void
hb_event_write(HbRun *run, const struct HbEvent *event, int64 *gained)
{
	int64 study_id = run->study->study_id;

	switch (event->kind)
	{
		case HB_EVENT_START:
			hb_trials_start(study_id, event->n, event->trial_ids);
			break;
		case HB_EVENT_RESULTS:
			if (hb_results_store(study_id, event->n, event->records, gained) != event->n)
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("trials of the study were changed while they were trained")));
			break;
		case HB_EVENT_DECISIONS:
			hb_decisions_store(study_id, event->n, event->decisions, event->trial_ids, event->seq);
			if (event->started != 0)
				hb_log_start(study_id, event->started, event->seq);
			break;
		case HB_EVENT_FAILURE:
			hb_trials_fail(study_id, event->n, event->trial_ids, event->failure);
			break;
	}
}

static bool
hb_record_pending(const HbRun *run)
{
	return run->nevents > 0 || run->npoints > 0;
}

/* States that are in the catalog now are read from there. */
static void
hb_held_forget(HbRun *run)
{
	if (run->ntrials > 0)
		memset(run->held, 0, sizeof(*run->held) * run->ntrials);
	memset(&run->best_held, 0, sizeof(run->best_held));
	run->held_bytes = 0;
	run->nevents = 0;
	run->npoints = 0;
	if (run->held_context)
		MemoryContextReset(run->held_context);
}

void
hb_record_flush(HbRun *run)
{
	HbTransaction transaction;
	bool starts = run->npoints == 0;
	bool results = false;
	int64 gained = 0;
	int i;

	if (!hb_record_pending(run))
		return;
	hb_transaction_begin(&transaction);
	hb_run_check_cancel(run);
	if (run->npoints > 0)
		hb_curve_store(run->study->study_id, run->npoints, run->point_ids, run->points);
	for (i = 0; i < run->nevents; i++)
	{
		hb_event_write(run, &run->events[i], &gained);
		results = results || run->events[i].kind == HB_EVENT_RESULTS;
		starts = starts && run->events[i].kind == HB_EVENT_START;
	}
	if (starts)
	{
		/* a start that a crash undoes is made again */
		hb_transaction_commit_lazily(&transaction);
	}
	else
	{
		/* anything else, once seen, is not taken back */
		hb_keep_needed(run);
		/* last: each version of this row is one more that a check of a foreign key on it passes */
		if (results)
			hb_study_progress(run->study->study_id, gained,
							  run->best.number ? run->rows[run->best.number - 1].trial_id : 0,
							  run->best.number ? run->best.loss : NAN);
		hb_transaction_commit(&transaction);
	}
	hb_held_forget(run);
	run->flushed = GetCurrentTimestamp();
}

static bool
hb_record_at_once(const HbRun *run)
{
	return run->scheduler->asynchronous || run->held_bytes > HB_HELD_BYTES ||
		   run->npoints >= HB_MAX_POINTS;
}

long
hb_record_wait(const HbRun *run, long at_most)
{
	int hold = run->nevents > 0 ? Min(hb_guc_curve_flush, HB_HOLD) : hb_guc_curve_flush;
	long left;

	if (!hb_record_pending(run))
		return at_most;
	if (hb_record_at_once(run))
		return 0;
	left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
										   TimestampTzPlusMilliseconds(run->flushed, hold));
	/* more than the whole: the clock was set back */
	return left > hold ? 0 : Min(left, at_most);
}

void
hb_record_turn(HbRun *run)
{
	if (hb_record_pending(run) && hb_record_wait(run, 1) == 0)
		hb_record_flush(run);
}
