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
 * A supervisor sees its own database only.  Whoever finds no worker slot or no study slot for an owner of a database
 * enters the two into a list of those who wait, for all databases together, and every supervisor that has finished a
 * study looks there: where somebody waits it does not take its own owner's next study, but stands in line behind them.
 *
 * Notes and the list are a few words of shared memory, claimed at run time from what the server keeps spare, since the
 * library need not be preloaded.  Notes are keyed by a random number in bgw_main_arg; a restart of the server empties
 * both.
 */
#include "pg.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
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
#define HB_MAX_WAITING 256

/* Free where owner is InvalidOid. Protected by AddinShmemInitLock. */
typedef struct HbNote
{
	Datum key;
	HbLaunchExtra next;
} HbNote;

/* In the order of arrival. Protected by AddinShmemInitLock. */
typedef struct HbWaiting
{
	int n;
	HbLaunchExtra entries[HB_MAX_WAITING];
} HbWaiting;

static HbWaiting *hb_waiting = NULL;

static bool hb_restart_wanted = false;
static int hb_slot_to_hand_on = 0; /* the study slot; 0: none, or handed on */
static HbLaunchExtra hb_own;       /* whose studies this process runs */

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
hb_waiting_attach(void)
{
	bool found;

	if (hb_waiting != NULL)
		return;
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	hb_waiting = ShmemInitStruct("hyperband waiting", sizeof(HbWaiting), &found);
	if (!found)
		hb_waiting->n = 0;
	LWLockRelease(AddinShmemInitLock);
}

/* Call with AddinShmemInitLock held; -1: not in the list. */
static int
hb_waiting_find(Oid database, Oid owner)
{
	int i;

	for (i = 0; i < hb_waiting->n; i++)
		if (hb_waiting->entries[i].database == database && hb_waiting->entries[i].owner == owner)
			return i;
	return -1;
}

void
hb_waiting_add(Oid database, Oid owner)
{
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	if (hb_waiting->n < HB_MAX_WAITING && hb_waiting_find(database, owner) < 0)
		hb_waiting->entries[hb_waiting->n++] = (HbLaunchExtra){database, owner};
	LWLockRelease(AddinShmemInitLock);
}

static void
hb_waiting_delete(int i)
{
	memmove(&hb_waiting->entries[i], &hb_waiting->entries[i + 1],
			sizeof(HbLaunchExtra) * (hb_waiting->n - i - 1));
	hb_waiting->n--;
}

static void
hb_waiting_remove(Oid database, Oid owner)
{
	int i;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	i = hb_waiting_find(database, owner);
	if (i >= 0)
		hb_waiting_delete(i);
	LWLockRelease(AddinShmemInitLock);
}

/* Takes the first out of the list; false: nobody waits. */
static bool
hb_waiting_take(HbLaunchExtra *next)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	found = hb_waiting->n > 0;
	if (found)
	{
		*next = hb_waiting->entries[0];
		hb_waiting_delete(0);
	}
	LWLockRelease(AddinShmemInitLock);
	return found;
}

bool
hb_handover_wanted(void)
{
	bool wanted;

	LWLockAcquire(AddinShmemInitLock, LW_SHARED);
	wanted = hb_waiting->n > 0;
	LWLockRelease(AddinShmemInitLock);
	return wanted;
}

/*
 * Between the first look and the entry in the list the last supervisor that could have read it may have ended: then its
 * study slot is free by the second look.
 */
int
hb_handover_study_slot(Oid owner)
{
	int slot = hb_acquire_study_slot();

	if (slot == 0)
	{
		hb_waiting_add(MyDatabaseId, owner);
		slot = hb_acquire_study_slot();
	}
	if (slot != 0)
		hb_waiting_remove(MyDatabaseId, owner);
	hb_slot_to_hand_on = slot;
	return slot;
}

/*
 * Also a process that is ended from outside has a successor, where there is a worker slot beside its own.  This runs after
 * the callbacks that were registered later: the trainers are gone and the session's locks are released.
 */
static void
hb_handover_at_exit(int code, Datum arg)
{
	HbLaunchExtra next;

	if (hb_slot_to_hand_on == 0)
		return;
	hb_slot_to_hand_on = 0;
	if (hb_waiting_take(&next) && !hb_launch_for(next.database, next.owner))
		hb_waiting_add(next.database, next.owner);
	/* What else its owner has queued, of which only this process may have known.  Not at once: why it was ended may last. */
	if (code != 0 && OidIsValid(hb_own.owner))
		hb_waiting_add(hb_own.database, hb_own.owner);
}

void
hb_handover_leave_queue(void)
{
	hb_own.owner = InvalidOid;
}

void
hb_handover_begin(HbLaunchExtra *extra)
{
	HbNote *notes;
	int i;

	on_proc_exit(hb_end_quietly, (Datum) 0);
	before_shmem_exit(hb_handover_at_exit, (Datum) 0);
	hb_waiting_attach();
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
	hb_own = *extra;
}

/* Hands this process's worker slot on; false: there is no room for a note. */
static bool
hb_leave_note(const HbLaunchExtra *next)
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
		notes[i].next = *next;
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

/* Starts those who wait, in this database and others, as far as there is room; false: next found no worker slot. */
static bool
hb_launch_waiting(HbLaunchExtra *next)
{
	int room = hb_guc_max_studies - hb_study_slots_held();
	bool registered = true;

	StartTransactionCommand();
	while (registered && room > 0 && hb_waiting_take(next))
	{
		if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(next->database)) ||
			!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(next->owner)))
			continue;
		room--;
		registered = hb_launch_for(next->database, next->owner);
	}
	CommitTransactionCommand();
	return registered;
}

void
hb_handover_wake(void)
{
	HbLaunchExtra next;

	if (!hb_launch_waiting(&next))
		hb_waiting_add(next.database, next.owner);
}

/*
 * One process of a database at a time, under the handover lock, tries to register what is queued here; others leave it
 * to that one, after a while in which it must have seen what they see, and free their slots by ending.
 */
static bool
hb_lock_handover_or_give_up(void)
{
	int tries;

	for (tries = 0; !hb_lock_handover(false); tries++)
	{
		if (tries >= HB_HANDOVER_OTHERS)
			return false;
		hb_pause(HB_HANDOVER_PAUSE);
	}
	return true;
}

/* Who waits comes first, in order of arrival; then whoever has something queued in this database. */
void
hb_handover_finish(int slot)
{
	HbLaunchExtra next = {.database = MyDatabaseId};
	int tries;

	hb_release_study_slot(slot);
	hb_slot_to_hand_on = 0;
	if (!hb_launch_waiting(&next))
	{
		if (hb_leave_note(&next))
			proc_exit(1);
		hb_waiting_add(next.database, next.owner);
		return;
	}
	if (!hb_lock_handover_or_give_up())
		return;
	for (tries = 0; tries < HB_HANDOVER_TRIES; tries++)
	{
		next.owner = hb_launch_owners();
		if (!OidIsValid(next.owner))
		{
			hb_unlock_handover();
			return;
		}
		hb_pause(HB_HANDOVER_PAUSE);
	}
	next.database = MyDatabaseId;
	if (hb_leave_note(&next))
		proc_exit(1);
}
