/*
 * launcher.c - goes on with what a restart of the server interrupted
 *
 * Only where the library is in shared_preload_libraries.  A worker belongs to one database for life, so the launcher,
 * which is connected to none, sends a visitor to each database, one after another: it ends at once where the extension is
 * not there, else it puts what was running back into the queue and registers supervisors.  Afterwards the launcher
 * sleeps, and looks now and then whether somebody waits for a place that nobody told of (handover.c).
 *
 * A server that starts as a standby, or to recover from a backup, may be a copy of one that still runs those studies: once
 * promoted it takes up nothing of its own accord.
 *
 * After a crash the postmaster starts the launcher again; every other worker here is started by it or by a session.
 * pg_upgrade must find no connection to the databases that it works on, so nothing is registered there.
 */
#include "pg.h"

#include <unistd.h>

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "pg/catalog.h"
#include "pg/external.h"
#include "pg/handover.h"
#include "pg/launch.h"
#include "pg/launcher.h"

#define HB_LAUNCHER_TYPE "hyperband launcher"
#define HB_VISITOR_TYPE "hyperband visitor"
#define HB_LAUNCHER_AGAIN 10   /* s after an error */
#define HB_LAUNCHER_NAP 5000   /* ms */
#define HB_VISITOR_RETRY 1000L /* ms, where no worker slot is free */

static void
hb_describe_worker(BackgroundWorker *worker, const char *type, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "$libdir/hyperband", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
}

/* In the postmaster, whose folder is the data directory. */
static bool
hb_is_copy(void)
{
	return access(STANDBY_SIGNAL_FILE, F_OK) == 0 || access(RECOVERY_SIGNAL_FILE, F_OK) == 0;
}

void
hb_launcher_register(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	hb_describe_worker(&worker, HB_LAUNCHER_TYPE, "hyperband_launcher_main");
	worker.bgw_restart_time = HB_LAUNCHER_AGAIN;
	worker.bgw_main_arg = BoolGetDatum(hb_is_copy());
	RegisterBackgroundWorker(&worker);
}

/* Every database that one can connect to, templates apart; in the current memory context. */
static List *
hb_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List *databases = NIL;
	Relation relation;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!row->datallowconn || row->datistemplate)
			continue;
		old = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, row->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return databases;
}

/* Sends a visitor and waits until it has ended: one worker slot is all that this takes. */
static void
hb_visit(Oid database)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;

	hb_describe_worker(&worker, HB_VISITOR_TYPE, "hyperband_visitor_main");
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	while (!RegisterDynamicBackgroundWorker(&worker, &handle))
		hb_pause(HB_VISITOR_RETRY);
	if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
		proc_exit(1);
	pfree(handle);
}

void
hyperband_launcher_main(Datum main_arg)
{
	ListCell *cell;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	CurrentMemoryContext =
		AllocSetContextCreate(TopMemoryContext, HB_LAUNCHER_TYPE, ALLOCSET_DEFAULT_SIZES);
	hb_waiting_attach();
	if (!DatumGetBool(main_arg))
		foreach (cell, hb_databases())
			hb_visit(lfirst_oid(cell));
	for (;;)
	{
		hb_pause(HB_LAUNCHER_NAP);
		hb_heed_reload();
		if (hb_handover_wanted())
			hb_handover_wake();
	}
}

/* What was running and has nobody now goes into the queue; a cancel that nobody heard is done. */
static void
hb_take_up_again(void)
{
	int64 *ids = hb_study_running_ids();
	int i;

	for (i = 0; ids[i] != 0; i++)
	{
		if (hb_study_is_held(ids[i]))
			continue;
		if (hb_study_cancel_requested(ids[i]))
			(void) hb_study_request_cancel(ids[i]);
		else if (hb_study_take_up(ids[i]))
		{
			ereport(LOG, (errmsg("study %lld goes on after a restart of the server",
								 (long long) ids[i])));
			hb_handouts_forgive(ids[i]);
		}
	}
}

void
hyperband_visitor_main(Datum main_arg)
{
	HbCatalogScope scope;
	Oid *owner;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);
	if (!hb_catalog_begin(&scope))
		proc_exit(0);
	hb_take_up_again();
	hb_catalog_commit(&scope);
	hb_waiting_attach();
	if (!hb_catalog_begin(&scope))
		proc_exit(0);
	for (owner = hb_study_queued_owners(); OidIsValid(*owner); owner++)
		if (!hb_launch_now(*owner))
			hb_waiting_add(MyDatabaseId, *owner);
	hb_catalog_commit(&scope);
	proc_exit(0);
}
