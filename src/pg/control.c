/*
 * control.c - hyperband_wait, hyperband_cancel, hyperband_resume and hyperband_drop
 *
 * They act on rows; a supervisor learns of it by SIGINT, which only makes it look at the catalog.  The
 * signal is sent at COMMIT: before that it would see nothing, and a rolled-back call must not cancel.
 */
#include "pg.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "control.h"
#include "external.h"
#include "launch.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "request.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(hyperband_wait);
PG_FUNCTION_INFO_V1(hyperband_cancel);
PG_FUNCTION_INFO_V1(hyperband_resume);
PG_FUNCTION_INFO_V1(hyperband_drop);

#define LONGEST_STEP 100 /* ms between two looks */
#define SHORTEST_STEP 2  /* ms */
#define STEP_SHARE 32    /* of the time waited so far: what a look too late adds to it at most */
#define LONGEST_LETTING_GO 5000 /* ms from a study's last state to its free lock */
#define LAUNCH_AFTER 500        /* ms in the queue before a supervisor is started for it */
#define LAUNCH_EVERY 1000

void
hb_require_visible(const HbStudyRow *study, int64 study_id)
{
	if (study == NULL || !has_privs_of_role(GetUserId(), study->owner))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("study %lld does not exist", (long long) study_id)));
}

HbStudyRow *
hb_visible_study(int64 study_id)
{
	HbCatalogScope scope;
	HbStudyRow *study;

	hb_catalog_enter(&scope);
	study = hb_study_get(study_id);
	hb_catalog_leave(&scope);
	hb_require_visible(study, study_id);
	return study;
}

/* Study 7 is running, done, ...: not what the caller needs. */
static void
wrong_state(int64 study_id, const char *state, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("study %lld is %s", (long long) study_id, state),
					hint != NULL ? errhint("%s", hint) : 0));
}

static bool
of_another_system(const HbStudyRow *study)
{
	return study->system_identifier != (int64) GetSystemIdentifier();
}

static bool
is_state(const HbStudyRow *study, const char *state)
{
	return strcmp(study->state, state) == 0;
}

/* A supervisor commits the last state before it lets go of the study: who finds it free reads again. */
const char *
hb_shown_state(HbStudyRow **study)
{
	if (!is_state(*study, "queued") && !is_state(*study, "running"))
		return (*study)->state;
	if (of_another_system(*study))
		return "interrupted";
	/* nobody holds a study that outside workers train */
	if (strcmp((*study)->kind, "external") == 0)
		return (*study)->state;
	/* the locks of a primary cannot be seen from its standby */
	if (is_state(*study, "queued") || RecoveryInProgress() || hb_study_is_held((*study)->study_id))
		return (*study)->state;
	*study = hb_visible_study((*study)->study_id);
	return is_state(*study, "running") ? "interrupted" : (*study)->state;
}

bool
hb_error_may_quote_rows(int sqlstate)
{
	int category = ERRCODE_TO_CATEGORY(sqlstate);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_PLPGSQL_ERROR);
}

/* Whoever waits may read what the error quotes, but those who read the log may not. */
static void
raise_unlogged(const HbStudyRow *study, int code)
{
	ErrorData error = {.elevel = ERROR,
					   .output_to_client = true,
					   .filename = __FILE__,
					   .lineno = __LINE__,
					   .funcname = __func__,
					   .sqlerrcode = code,
					   .message = study->error,
					   .detail = study->detail,
					   .hint = study->hint};

	ReThrowError(&error);
}

void
hb_raise_recorded(const HbStudyRow *study)
{
	const char *state = study->sqlstate;
	int code = ERRCODE_INTERNAL_ERROR;

	if (state != NULL && strlen(state) == 5)
		code = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
	if (study->error != NULL && hb_error_may_quote_rows(code))
		raise_unlogged(study, code);
	ereport(ERROR, (errcode(code),
					errmsg_internal("%s", study->error != NULL ? study->error : "study failed"),
					study->detail != NULL ? errdetail_internal("%s", study->detail) : 0,
					study->hint != NULL ? errhint("%s", study->hint) : 0));
	pg_unreachable();
}

void
hb_wait_step(TimestampTz since)
{
	long waited = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(Max(waited / STEP_SHARE, SHORTEST_STEP), LONGEST_STEP), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* NULL: for ever. Months count 30 days, as intervals compare. */
static TimestampTz
deadline_of(const Interval *timeout)
{
	TimestampTz now = GetCurrentTimestamp();
	double microseconds;

	if (timeout == NULL)
		return DT_NOEND;
	microseconds = ((double) timeout->month * DAYS_PER_MONTH + timeout->day) * USECS_PER_DAY +
				   (double) timeout->time;
	if (microseconds <= 0)
		return now;
	if (microseconds >= (double) (END_TIMESTAMP - now))
		return DT_NOEND;
	return now + (int64) microseconds;
}

bool
hb_state_has_ended(const char *state)
{
	return strcmp(state, "queued") != 0 && strcmp(state, "running") != 0;
}

/* Looks until the study has ended or the time is over; the state is allocated in the caller's context. */
static char *
wait_for(int64 study_id, TimestampTz deadline)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext look =
		AllocSetContextCreate(CurrentMemoryContext, "hyperband_wait", ALLOCSET_DEFAULT_SIZES);
	TimestampTz launch_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LAUNCH_AFTER);
	TimestampTz since = GetCurrentTimestamp();
	const char *state;

	for (;;)
	{
		HbStudyRow *study;
		TimestampTz now;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(look);
		MemoryContextReset(look);
		study = hb_visible_study(study_id);
		state = hb_shown_state(&study);
		if (strcmp(state, "failed") == 0)
			hb_raise_recorded(study);
		now = GetCurrentTimestamp();
		if (hb_state_has_ended(state) || now >= deadline)
			break;
		if (strcmp(state, "queued") == 0 && now >= launch_at)
		{
			/* else it would wait for a worker that cannot start */
			hb_check_background_role(study->owner);
			hb_launch_queued();
			launch_at = TimestampTzPlusMilliseconds(now, LAUNCH_EVERY);
		}
		hb_wait_step(since);
	}
	MemoryContextSwitchTo(caller);
	state = pstrdup(state);
	MemoryContextDelete(look);
	return (char *) state;
}

/* Whether this transaction made the study, or has its turn: then no worker can go on before it ends. */
static bool
keeps_workers_waiting(const HbStudyRow *study)
{
	if (strcmp(study->kind, "table") == 0 || hb_state_has_ended(study->state))
		return false;
	return hb_holds_turn(study->study_id) ||
		   study->created_at == GetCurrentTransactionStartTimestamp();
}

Datum
hyperband_wait(PG_FUNCTION_ARGS)
{
	int64 study_id;
	HbStudyRow *study;

	hb_check_gate();
	hb_require_argument(fcinfo, 0, "study");
	study_id = PG_GETARG_INT64(0);
	study = hb_visible_study(study_id);
	if (hb_launch_pending(study_id) || keeps_workers_waiting(study))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot wait for study %lld in the transaction that changed it",
						(long long) study_id),
				 errhint("Commit the transaction first: what it asked for happens at COMMIT.")));
	PG_RETURN_TEXT_P(cstring_to_text(
		wait_for(study_id, deadline_of(PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1)))));
}

static void
could_not_serialize(void)
{
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("could not serialize access due to concurrent update")));
}

/* Nothing was to be cancelled, or only nothing that the transaction's snapshot shows, which is older than the study's state. */
static void
require_ended(int64 study_id)
{
	HbStudyRow *study;

	if (!IsolationUsesXactSnapshot())
		return;
	study = hb_visible_study(study_id);
	if (!hb_state_has_ended(study->state) && !study->cancel_requested)
		could_not_serialize();
}

Datum
hyperband_cancel(PG_FUNCTION_ARGS)
{
	HbCatalogScope scope;
	HbStudyRow *study;
	bool changed;

	hb_require_writable("hyperband_cancel()");
	hb_check_gate();
	hb_require_argument(fcinfo, 0, "study");
	study = hb_visible_study(PG_GETARG_INT64(0));
	hb_catalog_enter(&scope);
	/* else a result that is told at this moment would decide its rung without those that were just cancelled */
	if (strcmp(study->kind, "table") != 0)
		hb_lock_turn(study->study_id);
	changed = hb_study_request_cancel(study->study_id);
	hb_catalog_leave(&scope);
	if (!changed)
		require_ended(study->study_id);
	if (changed)
		hb_signal_at_commit(study->owner, study->study_id);
	PG_RETURN_BOOL(changed);
}

/* Workers that had trials when the study ended are not waited for: those trials are handed out again. */
static void
resume_external(int64 study_id)
{
	HbExternal *study = hb_external_open(study_id);
	HbCatalogScope scope;
	HbTurn turn;

	hb_catalog_enter(&scope);
	if (study != NULL && hb_turn_begin(study, &turn))
	{
		hb_study_requeue(study_id);
		hb_external_start(study_id);
		hb_turn_recover(study, &turn, 0);
		turn.state = "running";
		hb_turn_end(study, &turn);
	}
	hb_catalog_leave(&scope);
}

/*
 * A supervisor commits the end of a study a moment before it lets go of it, and ends a cancelled one a moment
 * after the cancel was committed: both moments are waited for.
 */
static bool
is_still_held(const HbStudyRow *study)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONGEST_LETTING_GO);
	TimestampTz since = GetCurrentTimestamp();

	while (hb_study_is_held(study->study_id))
	{
		if (!(hb_state_has_ended(study->state) || study->cancel_requested) ||
			GetCurrentTimestamp() >= deadline)
			return true;
		CHECK_FOR_INTERRUPTS();
		hb_wait_step(since);
	}
	return false;
}

/*
 * The row is written first and looked at afterwards: another session may have resumed the study while this
 * one waited for the row.
 */
Datum
hyperband_resume(PG_FUNCTION_ARGS)
{
	HbCatalogScope scope;
	HbStudyRow *study;
	const char *state;

	hb_require_writable("hyperband_resume()");
	hb_check_gate();
	hb_require_argument(fcinfo, 0, "study");
	study = hb_visible_study(PG_GETARG_INT64(0));
	if (is_still_held(study))
		wrong_state(study->study_id, "running", NULL);
	study = hb_visible_study(study->study_id);
	state = hb_shown_state(&study);
	if (!hb_state_has_ended(state) || strcmp(state, "done") == 0)
		wrong_state(study->study_id, state, NULL);
	if (strcmp(study->kind, "external") == 0)
	{
		resume_external(study->study_id);
		PG_RETURN_VOID();
	}
	hb_check_background_role(study->owner);

	hb_catalog_enter(&scope);
	hb_study_requeue(study->study_id);
	hb_handouts_forgive(study->study_id);
	hb_catalog_leave(&scope);
	if (hb_study_is_held(study->study_id))
		wrong_state(study->study_id, "running", NULL);
	study = hb_visible_study(study->study_id);
	if (!is_state(study, "queued"))
		wrong_state(study->study_id, study->state, NULL);
	hb_launch_at_commit(study->owner, study->study_id);
	PG_RETURN_VOID();
}

static void
refuse_while_held(const HbStudyRow *study)
{
	if (is_still_held(study))
		wrong_state(study->study_id, "running", "Cancel it with hyperband_cancel() first.");
}

/* Looks again after the deletion: a supervisor that takes the study from now on finds no row. */
Datum
hyperband_drop(PG_FUNCTION_ARGS)
{
	HbCatalogScope scope;
	HbStudyRow *study;

	hb_require_writable("hyperband_drop()");
	hb_check_gate();
	hb_require_argument(fcinfo, 0, "study");
	study = hb_visible_study(PG_GETARG_INT64(0));
	refuse_while_held(study);
	hb_catalog_enter(&scope);
	if (!hb_study_delete(study->study_id) && IsolationUsesXactSnapshot() &&
		hb_study_get(study->study_id) != NULL)
		could_not_serialize();
	hb_catalog_leave(&scope);
	refuse_while_held(study);
	PG_RETURN_VOID();
}
