/*
 * supervisor.c - the background worker that runs the studies of one owner, one after another
 *
 *   connect as the owner -> study slot -> { next queued study: lock, mark running, run, finish } -> hand over -> end
 *
 * It holds a session lock on the study that it runs, so that liveness needs no clock, and one of the
 * cluster's study slots.  Training happens in trainer processes (slot.c); here are only short transactions
 * and waiting, so that signals, barriers and invalidations are answered at once.
 *
 * Signals: SIGTERM ends the process through the normal path, whose before_shmem_exit callback kills and reaps the
 * trainers; the study stays "running" in its row and, unlocked, shows as interrupted.  SIGINT means "look at
 * cancel_requested now" (hyperband_cancel); it is heard only while a study runs.  The event loop looks and goes on where
 * nobody asked, since the signal may have been meant for the study before; a query that reads the data is interrupted
 * by an ERROR, and the study starts over where nobody asked.  SIGHUP reloads the configuration.
 */
#include "pg.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "libpq/pqsignal.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "pg/control.h"
#include "pg/external.h"
#include "pg/handover.h"
#include "pg/launch.h"
#include "pg/locks.h"
#include "pg/run.h"

/*
 * Settings of the role or the database are inherited by the worker; these would change what it does.  While the
 * user's data is read, functions of views see this search_path.
 */
static const struct
{
	const char *name;
	const char *value;
} hb_pinned[] = {{"role", "none"},
				 {"search_path", "pg_catalog, pg_temp"},
				 {"default_transaction_read_only", "off"},
				 {"default_transaction_isolation", "read committed"},
				 {"default_transaction_deferrable", "off"},
				 {"statement_timeout", "0"},
				 {"lock_timeout", "0"},
				 {"idle_in_transaction_session_timeout", "0"},
				 {"idle_session_timeout", "0"},
				 {"synchronous_commit", "on"},
				 {"row_security", "on"},
				 {"session_replication_role", "origin"},
				 {"extra_float_digits", "1"}};

static void
hb_pin_settings(void)
{
	int i;

	for (i = 0; i < lengthof(hb_pinned); i++)
		SetConfigOption(hb_pinned[i].name, hb_pinned[i].value, PGC_SUSET, PGC_S_SESSION);
}

/* Cut to the buffer at a whole character. */
static void
hb_copy_text(char *out, size_t size, const char *text)
{
	int length = text ? (int) strlen(text) : 0;

	length = pg_mbcliplen(text ? text : "", length, (int) size - 1);
	memcpy(out, text ? text : "", length);
	out[length] = '\0';
}

static void
hb_status_from_error(const ErrorData *error, HbStatus *status)
{
	hb_status_init(status);
	strlcpy(status->sqlstate, unpack_sql_state(error->sqlerrcode), sizeof(status->sqlstate));
	hb_copy_text(status->message, sizeof(status->message), error->message);
	hb_copy_text(status->detail, sizeof(status->detail), error->detail);
	hb_copy_text(status->hint, sizeof(status->hint), error->hint);
}

/*
 * Errors that say nothing about the study: a full disk, the server going down.  The study is left as it is and goes on
 * by hyperband_resume.
 */
static bool
hb_error_interrupts(int sqlstate)
{
	return sqlstate == ERRCODE_DISK_FULL || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
		   sqlstate == ERRCODE_CRASH_SHUTDOWN || sqlstate == ERRCODE_CANNOT_CONNECT_NOW ||
		   sqlstate == ERRCODE_DATABASE_DROPPED;
}

/* Records how the study ended, and lets go of it. */
static void
hb_study_end(int64 study_id, const char *state, const HbStatus *error)
{
	HbTransaction transaction;

	hb_transaction_begin(&transaction);
	hb_study_finish(study_id, state, error);
	hb_transaction_commit(&transaction);
	hb_unlock_study(study_id);
}

static bool
hb_cancel_requested(int64 study_id)
{
	HbTransaction transaction;
	bool requested;

	hb_transaction_begin(&transaction);
	requested = hb_study_cancel_requested(study_id);
	hb_transaction_commit(&transaction);
	return requested;
}

static void
hb_hear_cancel(bool hear)
{
	pqsignal(SIGINT, hear ? StatementCancelHandler : SIG_IGN);
	QueryCancelPending = false;
}

/* What rows caused may quote them: its owner finds it in the study, the log has the kind. */
static void
hb_log_error(int64 study_id, const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return;
	if (!hb_error_may_quote_rows(error->sqlerrcode))
	{
		EmitErrorReport();
		return;
	}
	ereport(LOG, (errmsg("study %lld failed with SQLSTATE %s", (long long) study_id,
						 unpack_sql_state(error->sqlerrcode)),
				  errdetail("Its owner sees the message in hyperband.study."), errhidestmt(true),
				  errhidecontext(true)));
}

/* The ERROR that ended the study, after the trainers are gone. Leaves the process in order for the next study. */
static ErrorData *
hb_take_error(int64 study_id)
{
	ErrorData *error;

	HOLD_INTERRUPTS();
	hb_hear_cancel(false);
	hb_slots_close_all();
	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	hb_log_error(study_id, error);
	FlushErrorState();
	LWLockReleaseAll();
	pgstat_report_wait_end();
	AbortCurrentTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	RESUME_INTERRUPTS();
	return error;
}

/* True: the study is to be run again. */
static bool
hb_study_failed(int64 study_id, const ErrorData *error)
{
	HbStatus status;

	if (hb_error_interrupts(error->sqlerrcode))
	{
		ereport(LOG, (errmsg("study %lld is interrupted", (long long) study_id)));
		/* what stopped this one would stop those behind it */
		hb_handover_leave_queue();
		proc_exit(1);
	}
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		strcmp(error->message, HB_TIME_LIMIT_MESSAGE) != 0 &&
		strcmp(error->message, HB_TIME_LIMIT_LOADING) != 0)
	{
		if (!hb_cancel_requested(study_id))
			return true;
		hb_study_end(study_id, "cancelled", NULL);
		return false;
	}
	hb_status_from_error(error, &status);
	hb_study_end(study_id, "failed", &status);
	return false;
}

/*
 * Runs a study that this process has locked and marked running.  It is finished in one way or another after
 * this, unless the answer is true: then it is to be run again.
 */
static bool
hb_supervise(HbStudyRow *study)
{
	int64 study_id = study->study_id;
	ErrorData *volatile error = NULL;
	char activity[NAMEDATALEN];
	bool again;

	snprintf(activity, sizeof(activity), "study %lld", (long long) study_id);
	pgstat_report_activity(STATE_RUNNING, activity);
	PG_TRY();
	{
		hb_hear_cancel(true);
		if (strcmp(study->kind, "function") == 0)
			hb_run_function_study(study);
		else
			hb_run_study(study);
		hb_hear_cancel(false);
		/* whoever waited for the study may drop it now */
		hb_unlock_study(study_id);
	}
	PG_CATCH();
	{
		error = hb_take_error(study_id);
	}
	PG_END_TRY();
	hb_function_cleanup();
	hb_run_cleanup();
	again = false;
	if (error)
	{
		again = hb_study_failed(study_id, error);
		FreeErrorData(error);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(true);
	return again;
}

/* Marks a locked study as running and reads it; NULL: it is not queued any more. */
static HbStudyRow *
hb_claim_study(int64 study_id)
{
	HbTransaction transaction;
	HbStudyRow *study = NULL;

	hb_transaction_begin(&transaction);
	if (hb_study_mark_running(study_id))
		study = hb_study_get(study_id);
	hb_transaction_commit(&transaction);
	return study;
}

/* Runs the owner's next queued study; false: there is none. */
static bool
hb_next_study(Oid owner)
{
	HbTransaction transaction;
	HbStudyRow *study;
	int64 study_id;

	hb_transaction_begin(&transaction);
	study_id = hb_study_next_queued(owner);
	hb_transaction_commit(&transaction);
	if (study_id == 0)
		return false;
	if (!hb_lock_study(study_id))
	{
		/* another supervisor has it and is about to mark it */
		hb_pause(10);
		return true;
	}
	do
	{
		study = hb_claim_study(study_id);
	} while (study && hb_supervise(study));
	hb_unlock_study(study_id);
	return true;
}

void
hyperband_supervisor_main(Datum main_arg)
{
	HbLaunchExtra extra;
	MemoryContext context;
	bool more = true;
	int slot;

	hb_handover_begin(&extra);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, SIG_IGN);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(extra.database, extra.owner, 0);
	if (RecoveryInProgress())
		proc_exit(0);
	hb_pin_settings();
	hb_slots_init();
	context =
		AllocSetContextCreate(TopMemoryContext, "hyperband supervisor", ALLOCSET_DEFAULT_SIZES);

	slot = hb_handover_study_slot(extra.owner);
	if (slot == 0)
		proc_exit(0); /* the study stays queued; whoever finishes first starts it */
	do
	{
		hb_heed_reload();
		/* where hyperband.max_studies was lowered, those beyond it end with the study they have */
		if (slot > hb_guc_max_studies)
			break;
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		more = hb_next_study(extra.owner);
	} while (more && !hb_supervisor_starves && !hb_handover_wanted());
	/* its worker slot is for the workers of others */
	if (hb_supervisor_starves)
	{
		hb_waiting_add(extra.database, extra.owner);
		proc_exit(0);
	}
	/* those who wait go first, and what its owner has left in the queue waits behind them */
	if (more)
		hb_waiting_add(extra.database, extra.owner);
	hb_handover_finish(slot);
	proc_exit(0);
}
