/*
 * minimize.c - a SQL function as the objective: which functions can be one, and the supervisor's side of a study
 *
 * The supervisor evaluates nothing.  It keeps the study's workers running, waits, and answers: a cancel or the time
 * limit is SIGTERM to the workers.  Results are recorded by the workers, through the same code as those of outside
 * ones.  A worker that is lost costs an attempt of the trial that it had.
 */
#include "pg/external.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "pg/locks.h"
#include "pg/run.h"
#include "pg/slot.h"

#define EVALUATOR_TYPE "hyperband evaluator"
#define LOOK_EVERY 1000    /* ms */
#define STARVES_AFTER 5000 /* ms without a worker */
#define END_WITHIN 10000   /* ms, of a worker that was told to end */
#define MAX_BARREN_ENDS 10 /* workers in a row that ended at once, without a result */

StaticAssertDecl(sizeof(HbEvaluatorExtra) <= BGW_EXTRALEN, "arguments of a worker fit bgw_extra");

/* ---- the function ---- */

static void
check_signature(Oid function, Form_pg_proc form)
{
	if (form->prokind == PROKIND_FUNCTION && !form->proretset && form->pronargs == 2 &&
		form->proargtypes.values[0] == JSONBOID && form->proargtypes.values[1] == INT4OID &&
		form->prorettype == FLOAT8OID)
		return;
	ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
					errmsg("function %s cannot be an objective", format_procedure(function)),
					errdetail("It must take (jsonb, integer) and return double precision.")));
}

/* By its oid where that is a function; by its text after a dump and restore. */
Oid
hb_objective_check(Oid function, const char *text, Oid role)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	AclResult allowed;

	if (!HeapTupleIsValid(tuple) && text != NULL)
	{
		function = DatumGetObjectId(DirectFunctionCall1(regprocedurein, CStringGetDatum(text)));
		tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	}
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));
	check_signature(function, (Form_pg_proc) GETSTRUCT(tuple));
	ReleaseSysCache(tuple);
	allowed = hb_function_aclcheck(function, role, ACL_EXECUTE);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_FUNCTION, format_procedure(function));
	return function;
}

char *
hb_objective_name(Oid function)
{
	return format_procedure_qualified(function);
}

/* ---- workers ---- */

typedef struct Evaluator
{
	BackgroundWorkerHandle *handle; /* NULL: not running */
	TimestampTz started;
} Evaluator;

/* Of the study that this process runs; in TopMemoryContext, so that its end can end them. */
static Evaluator *evaluators = NULL;
static int nevaluators = 0;

static void
terminate_all(void)
{
	for (int i = 0; i < nevaluators; i++)
		if (evaluators[i].handle != NULL)
			TerminateBackgroundWorker(evaluators[i].handle);
}

static void
at_exit(int code, Datum arg)
{
	terminate_all();
}

static bool
has_ended(BackgroundWorkerHandle *handle)
{
	pid_t pid;
	BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

	return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

static void
forget_evaluator(Evaluator *evaluator)
{
	pfree(evaluator->handle);
	evaluator->handle = NULL;
}

/* An objective that hears no SIGTERM is left behind: what it tells later is refused. */
static void
end_all(void)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), END_WITHIN);

	terminate_all();
	for (int i = 0; i < nevaluators; i++)
	{
		while (evaluators[i].handle != NULL && !has_ended(evaluators[i].handle) &&
			   GetCurrentTimestamp() < deadline)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20,
							 PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
		}
		if (evaluators[i].handle != NULL)
			forget_evaluator(&evaluators[i]);
	}
}

void
hb_function_cleanup(void)
{
	if (nevaluators == 0)
		return;
	end_all();
	nevaluators = 0;
	pfree(evaluators);
	evaluators = NULL;
}

/* False: no worker slot is free now. */
static bool
start_evaluator(const HbStudyRow *study, int index)
{
	HbEvaluatorExtra extra = {.database = MyDatabaseId,
							  .owner = study->owner,
							  .study_id = study->study_id,
							  .worker = index + 1};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorker worker;
	bool registered;

	memset(&worker, 0, sizeof(worker));
	snprintf(worker.bgw_name, BGW_MAXLEN, EVALUATOR_TYPE " of study %lld",
			 (long long) study->study_id);
	strlcpy(worker.bgw_type, EVALUATOR_TYPE, BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "$libdir/hyperband", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "hyperband_evaluator_main", BGW_MAXLEN);
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &extra, sizeof(extra));
	registered = RegisterDynamicBackgroundWorker(&worker, &evaluators[index].handle);
	MemoryContextSwitchTo(old);
	if (!registered)
		evaluators[index].handle = NULL;
	evaluators[index].started = GetCurrentTimestamp();
	return registered;
}

/* ---- the study ---- */

typedef enum Outcome
{
	OUTCOME_GOES_ON,
	OUTCOME_ENDED,
	OUTCOME_OUT_OF_TIME
} Outcome;

/* Where the study stands by its rows; one that has come to its end is finished. */
static Outcome
look(HbExternal *study, bool recover, int64 *progress)
{
	HbTransaction transaction;
	Outcome outcome = OUTCOME_ENDED;
	HbTurn turn;
	bool found;

	hb_transaction_begin(&transaction);
	if (hb_study_cancel_requested(study->study_id))
		ereport(ERROR,
				(errcode(ERRCODE_QUERY_CANCELED), errmsg("canceling study due to user request")));
	hb_check_owner_exists(study->owner);
	found = hb_turn_begin(study, &turn);
	if (!found && hb_study_get(study->study_id) != NULL)
		hb_study_damaged(study->study_id, "Its counters are missing.");
	if (found && strcmp(turn.state, "running") == 0)
	{
		outcome = OUTCOME_GOES_ON;
		if (recover)
			hb_turn_recover(study, &turn, 0);
		if (turn.deadline != 0 && GetCurrentTimestamp() >= turn.deadline)
			outcome = OUTCOME_OUT_OF_TIME;
		else if (hb_external_complete(study, &turn))
		{
			hb_external_finish(study, &turn, false);
			outcome = OUTCOME_ENDED;
		}
		hb_turn_end(study, &turn);
		*progress = turn.drawn + turn.tail - turn.outstanding;
	}
	hb_transaction_commit(&transaction);
	return outcome;
}

static void
finish_out_of_time(HbExternal *study)
{
	HbTransaction transaction;
	HbTurn turn;

	hb_transaction_begin(&transaction);
	if (hb_turn_begin(study, &turn) && strcmp(turn.state, "running") == 0)
	{
		hb_external_finish(study, &turn, true);
		hb_turn_set(study->study_id, &turn);
	}
	hb_transaction_commit(&transaction);
}

/* Workers that have ended are started again; true where one of them had ended without living for a second. */
static bool
keep_running(const HbStudyRow *study)
{
	TimestampTz now = GetCurrentTimestamp();
	bool barren = false;

	for (int i = 0; i < nevaluators; i++)
	{
		Evaluator *evaluator = &evaluators[i];

		if (evaluator->handle != NULL && has_ended(evaluator->handle))
		{
			barren |= !TimestampDifferenceExceeds(evaluator->started, now, 1000);
			forget_evaluator(evaluator);
		}
		if (evaluator->handle == NULL && !start_evaluator(study, i))
			break;
	}
	return barren;
}

bool hb_supervisor_starves = false;

static bool
has_workers(void)
{
	for (int i = 0; i < nevaluators; i++)
		if (evaluators[i].handle != NULL)
			return true;
	return false;
}

/*
 * Supervisors that hold all worker slots would wait for ever for workers to start: one at a time, which keeps the handover's
 * lock until it is gone, queues its study again and ends.  Where no other is left, nobody would take the study up, and who
 * has the slots will free them.
 */
static bool
put_back(const HbStudyRow *study)
{
	HbTransaction transaction;

	if (!hb_lock_handover(false))
		return false;
	if (hb_study_slots_held() < 2)
	{
		hb_unlock_handover();
		return false;
	}
	hb_transaction_begin(&transaction);
	hb_supervisor_starves = hb_study_take_up(study->study_id);
	hb_transaction_commit(&transaction);
	if (!hb_supervisor_starves)
		hb_unlock_handover();
	return hb_supervisor_starves;
}

static HbExternal *
open_study(const HbStudyRow *study)
{
	MemoryContext context = CurrentMemoryContext;
	HbExternal *external;

	StartTransactionCommand();
	(void) hb_objective_check(study->relation_oid, study->objective, study->owner);
	external = hb_external_open(study->study_id);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	if (external == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("study %lld does not exist", (long long) study->study_id)));
	return external;
}

static void
wait_for_workers(TimestampTz deadline)
{
	long wait = LOOK_EVERY;

	if (deadline != 0)
		wait = Min(wait, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline) + 1);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	hb_heed_reload();
}

static TimestampTz
deadline_of(const HbStudyRow *study)
{
	return study->run_at == 0 ? 0 : hb_run_deadline(study->time_limit, study->run_at);
}

void
hb_run_function_study(HbStudyRow *study)
{
	static bool exit_registered = false;
	HbExternal *external;
	TimestampTz deadline = deadline_of(study);
	Outcome outcome;
	int64 progress = 0;
	int64 before = -1;
	int64 fed = hb_monotonic();
	int barren = 0;

	external = open_study(study);
	if (!exit_registered)
		before_shmem_exit(at_exit, (Datum) 0);
	exit_registered = true;
	evaluators = MemoryContextAllocZero(TopMemoryContext, sizeof(Evaluator) * study->trainers);
	nevaluators = study->trainers;
	outcome = look(external, true, &progress);
	while (outcome == OUTCOME_GOES_ON)
	{
		barren = progress != before ? 0 : barren;
		before = progress;
		if (keep_running(study) && ++barren >= MAX_BARREN_ENDS)
			ereport(ERROR, (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
							errmsg("workers of the study end before they give a result"),
							errhint("The server's log tells why.")));
		if (has_workers())
			fed = hb_monotonic();
		else if (hb_monotonic() - fed > STARVES_AFTER && put_back(study))
			return;
		wait_for_workers(deadline);
		outcome = look(external, false, &progress);
	}
	if (outcome == OUTCOME_OUT_OF_TIME)
	{
		end_all();
		finish_out_of_time(external);
	}
}
