/*
 * load.c - reads a relation once into the sealed memfd of core/dataset.h
 *
 * The steps are in load_*.c, see load_internal.h; here they are put in order, and into a transaction that leaves no
 * trace: READ ONLY, as the study's owner under SECURITY_RESTRICTED_OPERATION, ended by abort, since what a
 * view's functions did with set_config() would survive a commit.
 */
#include "pg/load_internal.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		   (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
check_rows(const HbLoad *load)
{
	if (load->nrows < HB_MIN_ROWS)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("not enough rows to train"),
						errdetail("Found " UINT64_FORMAT ", need at least %d.", load->nrows,
								  HB_MIN_ROWS)));
}

HbLoadResult *
hb_load(const HbLoadRequest *request, MemoryContext result_context)
{
	double start = cpu_seconds();
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hyperband load", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(context);
	HbLoad *load = palloc0(sizeof(HbLoad));
	HbLoadResult *result;

	load->request = request;
	load->context = context;
	load->plan = hb_load_resolve(request);
	hb_load_prepare(load);
	hb_read_run(load);
	check_rows(load);
	hb_load_classes(load);
	hb_load_order(load);
	hb_load_split(load);
	result = hb_load_finish(load, result_context);
	result->cpu_seconds = cpu_seconds() - start;
	ereport(LOG, (errmsg("hyperband: read " UINT64_FORMAT " rows, %d columns, " UINT64_FORMAT
						 " bytes in %.4f s of CPU time",
						 load->read + load->skipped, load->ncolumns,
						 load->nrows * (uint64) load->record_bytes, result->cpu_seconds),
				  errhidestmt(true), errhidecontext(true)));
	MemoryContextSwitchTo(before);
	MemoryContextDelete(context);
	return result;
}

HbLoadResult *
hb_load_in_transaction(const HbLoadRequest *request, MemoryContext result_context)
{
	MemoryContext caller = CurrentMemoryContext;
	HbLoadResult *volatile result = NULL;
	ErrorData *volatile error = NULL;
	Oid user;
	int security;

	StartTransactionCommand();
	PG_TRY();
	{
		XactReadOnly = true;
		/* the rows are to be those that are there once the table's lock is held */
		XactIsoLevel = XACT_READ_COMMITTED;
		GetUserIdAndSecContext(&user, &security);
		SetUserIdAndSecContext(user, security | SECURITY_RESTRICTED_OPERATION);
		PushActiveSnapshot(GetTransactionSnapshot());
		result = hb_load(request, result_context);
		PopActiveSnapshot();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	/* Restores user and security context, and frees what an error left behind. */
	AbortCurrentTransaction();
	MemoryContextSwitchTo(caller);
	if (error != NULL)
		ReThrowError(error);
	return result;
}

void
hb_load_free(HbLoadResult *result)
{
	if (result->dataset.header != NULL)
		munmap(unconstify(HbDatasetHeader *, result->dataset.header), result->length);
	if (result->fd >= 0)
	{
		close(result->fd);
		ReleaseExternalFD();
	}
	result->fd = -1;
	memset(&result->dataset, 0, sizeof(result->dataset));
}
