/*
 * handover.c - from a supervisor that has finished to those of other owners
 *
 * A worker's role is fixed, so studies of other owners need other workers.  Usually one is registered for each
 * owner that has something queued.  Where every worker slot is taken, the slot of the process that asks counts,
 * too: it can only be handed on.  The supervisor leaves a note that names the next owner and ends with status 1; the
 * postmaster then starts the same registration again, in the same slot, a second later, and the new
 * process finds the note and connects as that owner.  Every other end, also by an ERROR or a signal, is turned
 * into status 0, after which the postmaster forgets the worker: a database that was dropped cannot make it restart for ever.
 *
 * Notes are a few words of shared memory, claimed at run time from what the server keeps spare, since the
 * library need not be preloaded.  They are keyed by a random number in bgw_main_arg; a restart of the server empties them.
 */
#include "pg.h"

#include <unistd.h>

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "pg/handover.h"
#include "pg/locks.h"
#include "pg/run.h"

#define HB_HANDOVER_TRIES 20 /* before the process hands its own slot on */
#define HB_HANDOVER_OTHERS 5 /* tries that find another process at it */
#define HB_HANDOVER_PAUSE 50 /* ms between two tries */
#define HB_NOTES 64

/* Free where owner is InvalidOid. Protected by AddinShmemInitLock. */
typedef struct HbNote
{
	Datum key;
	HbLaunchExtra next;
} HbNote;

static bool hb_restart_wanted = false;

/* Runs after everything else at process end, shared memory is left by then. */
static void
hb_end_quietly(int code, Datum arg)
{
	if (code == 1 && !hb_restart_wanted)
		_exit(0);
}

/* Call with AddinShmemInitLock held. */
static HbNote *
hb_notes(void)
{
	bool found;
	HbNote *notes = ShmemInitStruct("hyperband handover", sizeof(HbNote) * HB_NOTES, &found);

	if (!found)
		memset(notes, 0, sizeof(HbNote) * HB_NOTES);
	return notes;
}

void
hb_handover_begin(HbLaunchExtra *extra)
{
	HbNote *notes;
	int i;

	on_proc_exit(hb_end_quietly, (Datum) 0);
	memcpy(extra, MyBgworkerEntry->bgw_extra, sizeof(*extra));
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	notes = hb_notes();
	for (i = 0; i < HB_NOTES; i++)
	{
		if (!OidIsValid(notes[i].next.owner) || notes[i].key != MyBgworkerEntry->bgw_main_arg)
			continue;
		*extra = notes[i].next;
		notes[i].next.owner = InvalidOid;
	}
	LWLockRelease(AddinShmemInitLock);
}

/* Hands this process's worker slot on to owner; false: there is no room for a note. */
static bool
hb_leave_note(Oid owner)
{
	HbNote *notes;
	int i;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	notes = hb_notes();
	for (i = 0; i < HB_NOTES && !hb_restart_wanted; i++)
	{
		if (OidIsValid(notes[i].next.owner))
			continue;
		notes[i].key = MyBgworkerEntry->bgw_main_arg;
		notes[i].next.database = MyDatabaseId;
		notes[i].next.owner = owner;
		hb_restart_wanted = true;
	}
	LWLockRelease(AddinShmemInitLock);
	return hb_restart_wanted;
}

/* Nobody can run the studies of a role that was dropped. */
static void
hb_fail_orphans(Oid owner)
{
	HbStatus status;
	int64 study_id;

	hb_status_init(&status);
	(void) hb_fail(&status, "42704", "owner of the study does not exist");
	while ((study_id = hb_study_next_queued(owner)) != 0)
		hb_study_finish(study_id, "failed", &status);
}

/*
 * Registers a supervisor for each owner with queued studies, as far as hyperband.max_studies has room: what finds
 * none is left to the supervisors that run, each of which comes here when it has finished. Returns the first owner
 * whose supervisor could not be registered; InvalidOid: there is none.
 */
static Oid
hb_launch_owners(void)
{
	HbTransaction transaction;
	int room = hb_guc_max_studies - hb_study_slots_held();
	Oid left = InvalidOid;
	Oid *owner;

	hb_transaction_begin(&transaction);
	for (owner = hb_study_queued_owners(); OidIsValid(*owner) && room > 0; owner++)
	{
		if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(*owner)))
		{
			hb_fail_orphans(*owner);
			continue;
		}
		room--;
		if (!hb_launch_now(*owner) && !OidIsValid(left))
			left = *owner;
	}
	hb_transaction_commit(&transaction);
	return left;
}

void
hb_pause(long milliseconds)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * One process of a database at a time, under the handover lock, tries to register what is queued; others leave it to
 * that one, after a while in which it must have seen what they see, and free their slots by ending.
 */
void
hb_handover_finish(void)
{
	Oid left = InvalidOid;
	int tries;

	for (tries = 0; !hb_lock_handover(false); tries++)
	{
		if (tries >= HB_HANDOVER_OTHERS)
			return;
		hb_pause(HB_HANDOVER_PAUSE);
	}
	for (tries = 0; tries < HB_HANDOVER_TRIES; tries++)
	{
		left = hb_launch_owners();
		if (!OidIsValid(left))
		{
			hb_unlock_handover();
			return;
		}
		hb_pause(HB_HANDOVER_PAUSE);
	}
	if (hb_leave_note(left))
		proc_exit(1);
}
