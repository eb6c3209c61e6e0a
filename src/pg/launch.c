/*
 * launch.c - from a committed request to a registered supervisor
 *
 * A worker that starts inside the transaction of its request would see no study, and an ERROR in a
 * COMMIT callback is a PANIC.  So a request builds everything at once, and the callback at top-level
 * COMMIT only registers or signals: no memory, no catalog, no ereport.  Where no worker slot is free the
 * study stays queued and its owner waits (handover.c); a supervisor that finishes, hyperband_wait and hyperband_run start
 * it later.
 */
#include "pg.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog.h"
#include "common/pg_prng.h"
#include "handover.h"
#include "launch.h"
#include "locks.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/memutils.h"

#define SUPERVISOR_TYPE "hyperband supervisor"

StaticAssertDecl(sizeof(HbLaunchExtra) <= BGW_EXTRALEN, "launch arguments fit bgw_extra");

/* Something to do at COMMIT: register a supervisor, or where pid is set signal the one that runs. */
typedef struct LaunchRequest
{
	Oid owner;
	int64 study_id;
	SubTransactionId subid;
	bool launch;
	pid_t pid;
	BackgroundWorker worker;
} LaunchRequest;

/* In TopTransactionContext: gone with the transaction, and so are these. */
static LaunchRequest *requests = NULL;
static int nrequests = 0;
static int capacity = 0;

static void
build_worker(BackgroundWorker *worker, Oid database, Oid owner)
{
	HbLaunchExtra extra = {.database = database, .owner = owner};

	memset(worker, 0, sizeof(*worker));
	strlcpy(worker->bgw_name, SUPERVISOR_TYPE, BGW_MAXLEN);
	strlcpy(worker->bgw_type, SUPERVISOR_TYPE, BGW_MAXLEN);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	/* only a supervisor that hands its slot on to another owner ends so that this counts */
	worker->bgw_restart_time = 1;
	worker->bgw_main_arg = (Datum) pg_prng_uint64(&pg_global_prng_state);
	/* found whatever dynamic_library_path says */
	strlcpy(worker->bgw_library_name, "$libdir/hyperband", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, "hyperband_supervisor_main", BGW_MAXLEN);
	memcpy(worker->bgw_extra, &extra, sizeof(extra));
}

/* Safe in a COMMIT callback: a NULL handle keeps the server from allocating. */
static bool
register_worker(BackgroundWorker *worker)
{
	if (hb_fault("launch", "refuse"))
		return false;
	return RegisterDynamicBackgroundWorker(worker, NULL);
}

static LaunchRequest *
new_request(Oid owner, int64 study_id)
{
	LaunchRequest *request;

	if (nrequests == capacity)
	{
		int larger = capacity == 0 ? 8 : capacity * 2;

		if (requests == NULL)
			requests = MemoryContextAlloc(TopTransactionContext, larger * sizeof(LaunchRequest));
		else
			requests = repalloc_huge(requests, larger * sizeof(LaunchRequest));
		capacity = larger;
	}
	request = &requests[nrequests++];
	memset(request, 0, sizeof(*request));
	request->owner = owner;
	request->study_id = study_id;
	request->subid = GetCurrentSubTransactionId();
	return request;
}

void
hb_launch_at_commit(Oid owner, int64 study_id)
{
	LaunchRequest *request = new_request(owner, study_id);

	hb_waiting_attach();
	request->launch = true;
	build_worker(&request->worker, MyDatabaseId, owner);
}

void
hb_signal_at_commit(Oid owner, int64 study_id)
{
	LaunchRequest *request = new_request(owner, study_id);

	request->pid = hb_study_holder(study_id);
}

bool
hb_launch_pending(int64 study_id)
{
	int i;

	for (i = 0; i < nrequests; i++)
		if (requests[i].study_id == study_id)
			return true;
	return false;
}

bool
hb_launch_for(Oid database, Oid owner)
{
	BackgroundWorker worker;

	build_worker(&worker, database, owner);
	return register_worker(&worker);
}

bool
hb_launch_now(Oid owner)
{
	return hb_launch_for(MyDatabaseId, owner);
}

void
hb_launch_queued(void)
{
	HbCatalogScope scope;
	Oid *owners;
	int free_slots;
	int i;

	/* a standby would keep the worker until it is promoted */
	if (RecoveryInProgress())
		return;
	free_slots = hb_guc_max_studies - hb_study_slots_held();
	if (free_slots <= 0)
		return;
	hb_catalog_enter(&scope);
	owners = hb_study_queued_owners();
	hb_catalog_leave(&scope);
	for (i = 0; OidIsValid(owners[i]) && i < free_slots; i++)
		if (!hb_launch_now(owners[i]))
			break;
}

/* A supervisor a study, but no more for one owner than may run at once: each takes what is queued next. */
static bool
enough_registered_before(int index)
{
	int registered = 0;
	int i;

	for (i = 0; i < index; i++)
		if (requests[i].launch && requests[i].owner == requests[index].owner)
			registered++;
	return registered >= hb_guc_max_studies;
}

/* The pid was looked up earlier: only a process that is still a supervisor gets the signal. */
static void
signal_supervisor(pid_t pid)
{
	const char *type = GetBackgroundWorkerTypeByPid(pid);

	if (type != NULL && strcmp(type, SUPERVISOR_TYPE) == 0)
		(void) kill(pid, SIGINT);
}

static void
run_requests(void)
{
	int i;

	for (i = 0; i < nrequests; i++)
	{
		if (requests[i].launch)
		{
			if (!enough_registered_before(i) && !register_worker(&requests[i].worker))
				hb_waiting_add(MyDatabaseId, requests[i].owner);
		}
		else if (requests[i].pid != 0)
			signal_supervisor(requests[i].pid);
	}
}

static void
refuse_prepare(void)
{
	int i;

	for (i = 0; i < nrequests; i++)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 requests[i].launch
				 ? errmsg("cannot PREPARE a transaction that has started a hyperband study")
				 : errmsg("cannot PREPARE a transaction that has cancelled a hyperband study")));
}

static void
forget_requests(void)
{
	requests = NULL;
	nrequests = 0;
	capacity = 0;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (nrequests == 0 && requests == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
			run_requests();
			forget_requests();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_requests();
			break;
		default:
			break;
	}
}

/* A rolled-back savepoint takes its requests with it; a released one hands them to its parent. */
static void
subxact_callback(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	int kept = 0;
	int i;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	for (i = 0; i < nrequests; i++)
	{
		if (requests[i].subid == subid)
		{
			if (event == SUBXACT_EVENT_ABORT_SUB)
				continue;
			requests[i].subid = parent;
		}
		if (kept != i)
			requests[kept] = requests[i];
		kept++;
	}
	nrequests = kept;
}

void
hb_launch_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
