/*
 * minimize_worker.c - the background worker that evaluates an objective, one trial at a time, as the study's owner
 *
 * Ask, evaluate and tell are transactions of their own; telling and asking for the next trial are one.  An ERROR in the
 * objective undoes what it did, and the trial fails.  What the objective does when all goes well is committed, as it
 * would be in a session of the owner's, whose search_path it finds its tables by; but the settings that it leaves behind
 * (a role among them) are taken back, so that no trial depends on those that its worker happened to evaluate before.
 */
#include "pg/external.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "pg/run.h"

#define FIRST_PAUSE 5 /* ms, while others' results are awaited */
#define LONGEST_PAUSE 200

typedef struct Work
{
	MemoryContext context;
	MemoryContext scratch; /* of one trial */
	int64 study_id;
	int64 worker;
	char *objective;
	Oid objective_oid;
	HbHandout handout;
	/* what became of it */
	bool evaluated;
	bool failed;
	double loss;
	HbStatus error;
} Work;

/* The owner's search_path at the call of hyperband_minimize, and the hyperband.* settings. */
static void
apply_settings(Jsonb *settings)
{
	JsonbValue buffer;
	JsonbValue *path;

	if (settings == NULL)
		return;
	hb_settings_apply(settings);
	path = getKeyJsonValueFromContainer(&settings->root, "search_path", strlen("search_path"),
										&buffer);
	if (path != NULL && path->type == jbvString)
		(void) set_config_option("search_path",
								 pnstrdup(path->val.string.val, path->val.string.len), PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SET, true, WARNING, false);
}

static void
read_study(Work *work)
{
	HbTransaction transaction;
	HbStudyRow *study;

	hb_transaction_begin(&transaction);
	study = hb_study_get(work->study_id);
	hb_transaction_commit(&transaction);
	if (study == NULL)
		proc_exit(0);
	work->objective = study->objective;
	work->objective_oid = study->relation_oid;
	StartTransactionCommand();
	apply_settings(study->settings);
	CommitTransactionCommand();
	MemoryContextSwitchTo(work->context);
}

/* Records what became of the last trial, and asks for the next; 1: here it is, 0: not now, -1: the study has ended. */
static int
tell_and_ask(Work *work, HbExternal *study)
{
	HbTransaction transaction;
	HbTurn turn;
	int given = -1;

	hb_transaction_begin(&transaction);
	if (hb_turn_begin(study, &turn) && strcmp(turn.state, "running") == 0)
	{
		if (work->evaluated && work->failed)
			hb_turn_fail(study, &turn, work->handout.trial_id, work->handout.attempt, &work->error);
		else if (work->evaluated)
			hb_turn_tell(study, &turn, work->handout.trial_id, work->handout.attempt,
						 work->handout.to_resource, work->loss, NULL);
		if (!hb_study_cancel_requested(work->study_id))
		{
			/* whatever this worker had before it started is lost */
			hb_turn_recover(study, &turn, work->worker);
			given = hb_turn_ask(study, &turn, work->worker, 1, &work->handout);
			if (given == 0 && (hb_external_complete(study, &turn) ||
							   (turn.deadline != 0 && GetCurrentTimestamp() >= turn.deadline)))
				given = -1;
		}
		hb_turn_end(study, &turn);
	}
	hb_transaction_commit(&transaction);
	work->evaluated = false;
	return given;
}

static void
call_objective(Work *work)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo function;
	Datum result;
	int settings;

	StartTransactionCommand();
	settings = NewGUCNestLevel();
	SetCurrentStatementStartTimestamp();
	PushActiveSnapshot(GetTransactionSnapshot());
	fmgr_info(hb_objective_check(work->objective_oid, work->objective, GetUserId()), &function);
	InitFunctionCallInfoData(*fcinfo, &function, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = JsonbPGetDatum(work->handout.config);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = Int32GetDatum((int32) work->handout.to_resource);
	fcinfo->args[1].isnull = false;
	result = FunctionCallInvoke(fcinfo);
	if (fcinfo->isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("objective returned null")));
	work->loss = DatumGetFloat8(result);
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	/* triggers that wait for the commit belong to the trial, too */
	AfterTriggerFireDeferred();
	AtEOXact_GUC(false, settings);
	CommitTransactionCommand();
}

/* Cut to the buffer; the catalog takes whole characters only. */
static void
keep_error(HbStatus *status, const ErrorData *error)
{
	hb_status_init(status);
	strlcpy(status->sqlstate, unpack_sql_state(error->sqlerrcode), sizeof(status->sqlstate));
	if (error->message != NULL)
	{
		int length = pg_mbcliplen(error->message, (int) strlen(error->message),
								  (int) sizeof(status->message) - 1);

		memcpy(status->message, error->message, length);
		status->message[length] = '\0';
	}
}

static void
evaluate(Work *work)
{
	work->failed = false;
	PG_TRY();
	{
		call_objective(work);
	}
	PG_CATCH();
	{
		ErrorData *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(work->scratch);
		error = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(work->scratch);
		keep_error(&work->error, error);
		work->failed = true;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(work->scratch);
	work->evaluated = true;
}

static HbExternal *
open_study(Work *work)
{
	HbExternal *study;

	StartTransactionCommand();
	study = hb_external_open(work->study_id);
	CommitTransactionCommand();
	MemoryContextSwitchTo(work->context);
	if (study == NULL)
		proc_exit(0);
	/* an objective may itself ask and tell other studies */
	study->pinned = true;
	return study;
}

static void
pause_for(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Whoever holds the study is the supervisor; without one nobody would end this worker. */
static void
check_supervisor(int64 study_id)
{
	StartTransactionCommand();
	if (!hb_study_is_held(study_id))
		proc_exit(0);
	CommitTransactionCommand();
}

static void
work_on(Work *work)
{
	HbExternal *study = open_study(work);
	long pause = FIRST_PAUSE;
	int given;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		hb_heed_reload();
		/* what the objective did to tables, for autovacuum */
		(void) pgstat_report_stat(false);
		MemoryContextReset(work->scratch);
		MemoryContextSwitchTo(work->scratch);
		given = tell_and_ask(work, study);
		if (given < 0)
			return;
		if (given == 0)
		{
			check_supervisor(work->study_id);
			pause_for(pause);
			pause = Min(pause * 2, LONGEST_PAUSE);
		}
		else
		{
			pause = FIRST_PAUSE;
			evaluate(work);
		}
	}
}

void
hyperband_evaluator_main(Datum main_arg)
{
	HbEvaluatorExtra extra;
	Work work = {0};
	char activity[NAMEDATALEN];

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(extra.database, extra.owner, 0);
	if (RecoveryInProgress())
		proc_exit(0);
	work.study_id = extra.study_id;
	work.worker = extra.worker;
	work.context =
		AllocSetContextCreate(TopMemoryContext, "hyperband evaluator", ALLOCSET_DEFAULT_SIZES);
	work.scratch = AllocSetContextCreate(work.context, "hyperband trial", ALLOCSET_DEFAULT_SIZES);
	snprintf(activity, sizeof(activity), "study %lld", (long long) extra.study_id);
	MemoryContextSwitchTo(work.context);
	read_study(&work);
	pgstat_report_activity(STATE_RUNNING, activity);
	work_on(&work);
	proc_exit(0);
}
