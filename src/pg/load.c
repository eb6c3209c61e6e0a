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

/* Of this process so far, in seconds; of which kernel is what the kernel took, mostly for new pages. */
typedef struct CpuTime
{
	double all;
	double kernel;
} CpuTime;

static CpuTime
cpu_time(void)
{
	struct rusage usage;
	CpuTime time;

	getrusage(RUSAGE_SELF, &usage);
	time.kernel = usage.ru_stime.tv_sec + usage.ru_stime.tv_usec / 1e6;
	time.all = time.kernel + usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6;
	return time;
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
	CpuTime start = cpu_time(), read, ordered, done;
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
	read = cpu_time();
	check_rows(load);
	hb_load_classes(load);
	hb_load_order(load);
	hb_load_split(load);
	ordered = cpu_time();
	result = hb_load_finish(load, result_context);
	done = cpu_time();
	result->cpu_seconds = done.all - start.all;
	ereport(LOG,
			(errmsg("hyperband: read " UINT64_FORMAT " rows, %d columns, " UINT64_FORMAT
					" bytes in %.4f s of CPU time: rows %.4f, order and split %.4f, data set %.4f; "
					"kernel %.4f",
					load->read + load->skipped, load->ncolumns,
					load->nrows * (uint64) load->record_bytes, result->cpu_seconds,
					read.all - start.all, ordered.all - read.all, done.all - ordered.all,
					done.kernel - start.kernel),
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
