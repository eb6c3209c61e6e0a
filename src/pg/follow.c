/*
 * follow.c - CALL hyperband_run: tune, commit, and follow the study with notices until it has ended
 *
 * A look at the study is a transaction of its own, and between two of them none has a snapshot, so that
 * waiting holds nothing back.  Interrupts are answered only inside a look, in a subtransaction: so
 * a cancelled CALL can still cancel its study, in the transaction around.
 */
#include "pg.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "control.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "launch.h"
#include "miscadmin.h"
#include "request.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(hyperband_run);

#define NOTICE_EVERY 1000 /* ms */
#define LAUNCH_AFTER 500
#define LAUNCH_EVERY 1000

typedef struct Follow
{
	int64 study_id;
	HbProgressRow progress;
	TimestampTz launch_at;
	TimestampTz notice_at;
	char last_notice[512];
} Follow;

static void
require_nonatomic(FunctionCallInfo fcinfo)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
			 errmsg("hyperband_run() cannot be called within a transaction block or function"),
			 errhint("Use hyperband_tune(), commit, and then hyperband_wait().")));
}

/* Reads the study's progress, and has it started where it has been queued for a while. */
static void
read_progress(Follow *follow)
{
	HbCatalogScope scope;
	bool found;
	TimestampTz now = GetCurrentTimestamp();

	CHECK_FOR_INTERRUPTS();
	PushActiveSnapshot(GetTransactionSnapshot());
	hb_catalog_enter(&scope);
	found = hb_progress_get(follow->study_id, &follow->progress);
	hb_catalog_leave(&scope);
	if (!found)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("study %lld does not exist", (long long) follow->study_id)));
	if (strcmp(follow->progress.state, "queued") == 0 && now >= follow->launch_at)
	{
		hb_launch_queued();
		follow->launch_at = TimestampTzPlusMilliseconds(now, LAUNCH_EVERY);
	}
	PopActiveSnapshot();
}

/* Runs read_progress in a subtransaction; returns the error that ended it, copied, or NULL. */
static ErrorData *
look(Follow *follow)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		read_progress(follow);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* After a cancelled CALL: its study goes, too. */
static void
cancel_study(int64 study_id)
{
	HbCatalogScope scope;
	bool changed;

	PushActiveSnapshot(GetTransactionSnapshot());
	hb_catalog_enter(&scope);
	changed = hb_study_request_cancel(study_id);
	hb_catalog_leave(&scope);
	if (changed)
		hb_signal_at_commit(GetUserId(), study_id);
	PopActiveSnapshot();
	SPI_commit();
}

static void
describe_progress(const Follow *follow, char *text, size_t size)
{
	const HbProgressRow *progress = &follow->progress;
	int n;

	if (strcmp(progress->state, "queued") == 0)
	{
		snprintf(text, size, "study %lld is queued", (long long) follow->study_id);
		return;
	}
	if (progress->rungs == 0)
	{
		snprintf(text, size, "study %lld reads its data", (long long) follow->study_id);
		return;
	}
	n = snprintf(text, size, "study %lld [%s] rungs %d/%d, trials %d/%d",
				 (long long) follow->study_id, progress->bar != NULL ? progress->bar : "",
				 progress->rungs_done, progress->rungs, progress->trials_done, progress->trials);
	if (n > 0 && n < size && !isnan(progress->best_metric_value) && progress->metric != NULL)
		snprintf(text + n, size - n, ", best %s %.6g", progress->metric,
				 progress->best_metric_value);
}

/* At most one notice a second, and none that says nothing new; the last one comes at once. */
static void
report(Follow *follow, bool last)
{
	char text[sizeof(follow->last_notice)];
	TimestampTz now = GetCurrentTimestamp();

	if (!last && now < follow->notice_at)
		return;
	describe_progress(follow, text, sizeof(text));
	if (strcmp(text, follow->last_notice) == 0)
		return;
	strlcpy(follow->last_notice, text, sizeof(follow->last_notice));
	follow->notice_at = TimestampTzPlusMilliseconds(now, NOTICE_EVERY);
	ereport(NOTICE, (errmsg_internal("%s", text)));
}

static void
report_end(const Follow *follow)
{
	const char *state = follow->progress.state;

	if (strcmp(state, "failed") == 0)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		hb_raise_recorded(hb_visible_study(follow->study_id));
	}
	if (strcmp(state, "interrupted") == 0)
		ereport(NOTICE, (errmsg("study %lld was interrupted", (long long) follow->study_id),
						 errhint("Go on with it by hyperband_resume().")));
	else
		ereport(NOTICE, (errmsg("study %lld is %s", (long long) follow->study_id, state)));
}

/* Returns when the study has ended; raises its error where it failed. */
static void
follow_study(int64 study_id)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext turn = AllocSetContextCreate(caller, "hyperband_run", ALLOCSET_DEFAULT_SIZES);
	Follow follow = {.study_id = study_id};
	TimestampTz since = GetCurrentTimestamp();

	follow.launch_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LAUNCH_AFTER);
	for (;;)
	{
		ErrorData *error;

		MemoryContextReset(turn);
		MemoryContextSwitchTo(turn);
		error = look(&follow);
		if (error != NULL)
		{
			if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			{
				cancel_study(study_id);
				ereport(NOTICE, (errmsg("study %lld is cancelled, too", (long long) study_id),
								 errhint("Go on with it by hyperband_resume().")));
			}
			ReThrowError(error);
		}
		SPI_commit();
		report(&follow, hb_state_has_ended(follow.progress.state));
		if (hb_state_has_ended(follow.progress.state))
			break;
		hb_wait_step(since);
	}
	report_end(&follow);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(turn);
}

Datum
hyperband_run(PG_FUNCTION_ARGS)
{
	TupleDesc descriptor;
	Datum values[1];
	bool nulls[1] = {false};
	int64 study_id;

	require_nonatomic(fcinfo);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
	PushActiveSnapshot(GetTransactionSnapshot());
	study_id = hb_tune(fcinfo, "hyperband_run()");
	PopActiveSnapshot();
	SPI_commit();
	follow_study(study_id);
	SPI_finish();

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = Int64GetDatum(study_id);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
