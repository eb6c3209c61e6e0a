/*
 * locks.c - session locks that say who is alive
 *
 * Liveness of a study is a lock, not a clock: the supervisor that runs it holds an exclusive session
 * lock, which the server releases when the process ends, however it ends.  The same kind of lock
 * counts the studies and the trainers of the whole cluster.  The tags are advisory ones whose fourth
 * field SQL cannot set (it makes 1 and 2 only), so no user can take or forge one; the lock method is
 * the advisory one because standard session locks are lost when a transaction aborts.
 *
 * What a user's function can do is call pg_advisory_unlock_all() or take advisory locks of its own in the
 * supervisor while the data is read.  hb_locks_shield() therefore holds the same tags under the other lock
 * method, which SQL cannot release and which the abort at the end of reading does; hb_locks_reassert() then
 * takes back what was lost and lets go of what was left behind.
 *
 * LockAcquire succeeds again where the process holds the lock already, so this file remembers what it holds.
 */
#include "pg.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "pg/external.h"
#include "pg/locks.h"

#define HB_LOCK_STUDY 0x4842
#define HB_LOCK_STUDY_SLOT 0x4843
#define HB_LOCK_TRAINER_SLOT 0x4844
#define HB_LOCK_HANDOVER 0x4845
#define HB_LOCK_WORKER 0x4846
#define HB_LOCK_TURN 0x4847
#define HB_LOCK_MODEL_NAME 0x4848

typedef struct HbHeldLock
{
	LOCKTAG tag;
	struct HbHeldLock *next;
} HbHeldLock;

static HbHeldLock *hb_held_locks = NULL;

/* Studies and the handover belong to a database; slots are counted across the cluster (database 0). */
static LOCKTAG
hb_lock_tag(Oid database, int64 key, uint16 kind)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, database, (uint32) ((uint64) key >> 32), (uint32) key, kind);
	return tag;
}

static bool
hb_tag_equal(const LOCKTAG *a, const LOCKTAG *b)
{
	return memcmp(a, b, sizeof(LOCKTAG)) == 0;
}

static HbHeldLock **
hb_held_find(const LOCKTAG *tag)
{
	HbHeldLock **link = &hb_held_locks;

	while (*link && !hb_tag_equal(&(*link)->tag, tag))
		link = &(*link)->next;
	return link;
}

/* Takes the lock without waiting; false: this or another process holds it. */
static bool
hb_lock_take(LOCKTAG tag)
{
	HbHeldLock *held;

	if (*hb_held_find(&tag))
		return false;
	held = MemoryContextAlloc(TopMemoryContext, sizeof(HbHeldLock));
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		pfree(held);
		return false;
	}
	held->tag = tag;
	held->next = hb_held_locks;
	hb_held_locks = held;
	return true;
}

static void
hb_lock_drop(LOCKTAG tag)
{
	HbHeldLock **link = hb_held_find(&tag);
	HbHeldLock *held = *link;

	if (!held)
		return;
	*link = held->next;
	pfree(held);
	LockRelease(&tag, ExclusiveLock, true);
}

/* The same lock under the method whose session locks an abort releases. */
static LOCKTAG
hb_shield_tag(LOCKTAG tag)
{
	tag.locktag_lockmethodid = DEFAULT_LOCKMETHOD;
	return tag;
}

void
hb_locks_shield(void)
{
	HbHeldLock *held;

	for (held = hb_held_locks; held; held = held->next)
	{
		LOCKTAG shield = hb_shield_tag(held->tag);

		(void) LockAcquire(&shield, ExclusiveLock, true, true);
	}
}

/* Releases the session's advisory locks of the kinds that SQL makes. */
static void
hb_release_foreign_locks(void)
{
	LockData *locks = GetLockStatusData();
	int i;

	for (i = 0; i < locks->nelements; i++)
	{
		const LOCKTAG *tag = &locks->locks[i].locktag;
		LOCKMODE mode;

		if (locks->locks[i].pid != MyProcPid || tag->locktag_type != LOCKTAG_ADVISORY ||
			tag->locktag_lockmethodid != USER_LOCKMETHOD || tag->locktag_field4 > 2)
			continue;
		for (mode = ShareLock; mode <= ExclusiveLock; mode++)
			while (hb_lock_held_by_me(tag, mode))
				if (!LockRelease(tag, mode, true))
					break;
	}
	pfree(locks->locks);
	pfree(locks);
}

void
hb_locks_reassert(void)
{
	HbHeldLock *held;

	hb_release_foreign_locks();
	for (held = hb_held_locks; held; held = held->next)
	{
		if (hb_lock_held_by_me(&held->tag, ExclusiveLock))
			continue;
		if (LockAcquire(&held->tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("lock of the study was lost while its data was read"),
							errdetail("A function that the data depends on released all advisory "
									  "locks.")));
	}
}

bool
hb_lock_study(int64 study_id)
{
	return hb_lock_take(hb_lock_tag(MyDatabaseId, study_id, HB_LOCK_STUDY));
}

void
hb_unlock_study(int64 study_id)
{
	hb_lock_drop(hb_lock_tag(MyDatabaseId, study_id, HB_LOCK_STUDY));
}

/*
 * The lock table is searched rather than probed: an attempt to take the lock could make a supervisor
 * that starts at this moment believe that somebody else runs its study.
 */
pid_t
hb_study_holder(int64 study_id)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, study_id, HB_LOCK_STUDY);
	LOCKTAG shield = hb_shield_tag(tag);
	LockData *locks = GetLockStatusData();
	pid_t holder = 0;
	int i;

	for (i = 0; i < locks->nelements && holder == 0; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if ((hb_tag_equal(&lock->locktag, &tag) || hb_tag_equal(&lock->locktag, &shield)) &&
			(lock->holdMask & LOCKBIT_ON(ExclusiveLock)) != 0)
			holder = lock->pid;
	}
	pfree(locks->locks);
	pfree(locks);
	return holder;
}

bool
hb_study_is_held(int64 study_id)
{
	return hb_study_holder(study_id) != 0;
}

/* The first free one of n numbered locks, from 1; 0: none. */
static int
hb_acquire_slot(uint16 kind, int n)
{
	int slot;

	for (slot = 1; slot <= n; slot++)
		if (hb_lock_take(hb_lock_tag(InvalidOid, slot, kind)))
			return slot;
	return 0;
}

int
hb_acquire_study_slot(void)
{
	return hb_acquire_slot(HB_LOCK_STUDY_SLOT, hb_guc_max_studies);
}

int
hb_study_slots_held(void)
{
	LOCKTAG tag = hb_lock_tag(InvalidOid, 0, HB_LOCK_STUDY_SLOT);
	LockData *locks = GetLockStatusData();
	int held = 0;
	int i;

	for (i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		tag.locktag_field3 = lock->locktag.locktag_field3;
		if (hb_tag_equal(&lock->locktag, &tag) && (lock->holdMask & LOCKBIT_ON(ExclusiveLock)) != 0)
			held++;
	}
	pfree(locks->locks);
	pfree(locks);
	return held;
}

void
hb_release_study_slot(int slot)
{
	hb_lock_drop(hb_lock_tag(InvalidOid, slot, HB_LOCK_STUDY_SLOT));
}

int
hb_acquire_trainer_slot(void)
{
	return hb_acquire_slot(HB_LOCK_TRAINER_SLOT, hb_guc_max_trainers);
}

void
hb_release_trainer_slot(int slot)
{
	hb_lock_drop(hb_lock_tag(InvalidOid, slot, HB_LOCK_TRAINER_SLOT));
}

/* Waiting polls, so that it needs no transaction and answers interrupts. */
bool
hb_lock_handover(bool wait)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, 0, HB_LOCK_HANDOVER);

	while (!hb_lock_take(tag))
	{
		if (!wait)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

void
hb_unlock_handover(void)
{
	hb_lock_drop(hb_lock_tag(MyDatabaseId, 0, HB_LOCK_HANDOVER));
}

/* ---- sessions that ask for trials ---- */

/* This session's number; its lock is gone after DISCARD ALL, when a pooler gives the session to somebody else. */
static int64 worker_self = 0;

int64
hb_worker_self(void)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, worker_self, HB_LOCK_WORKER);

	if (worker_self != 0 && hb_lock_held_by_me(&tag, ExclusiveLock))
		return worker_self;
	worker_self = 0;
	while (worker_self == 0)
	{
		int64 number;

		if (!pg_strong_random(&number, sizeof(number)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
							errmsg("could not generate a number for this session")));
		number &= PG_INT64_MAX;
		tag = hb_lock_tag(MyDatabaseId, number, HB_LOCK_WORKER);
		if (number != 0 && LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL)
			worker_self = number;
	}
	return worker_self;
}

/* Several may look at once: they share the lock that the worker excludes them from. */
bool
hb_worker_is_alive(int64 worker)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, worker, HB_LOCK_WORKER);

	if (worker == worker_self && hb_lock_held_by_me(&tag, ExclusiveLock))
		return true;
	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}

/* Until the end of the transaction, as what is written under it is seen from then on. */
void
hb_lock_turn(int64 study_id)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, study_id, HB_LOCK_TURN);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

bool
hb_holds_turn(int64 study_id)
{
	LOCKTAG tag = hb_lock_tag(MyDatabaseId, study_id, HB_LOCK_TURN);

	return hb_lock_held_by_me(&tag, ExclusiveLock);
}

void
hb_lock_model_name(Oid owner, const char *name)
{
	uint32 hash = DatumGetUInt32(hash_any((const unsigned char *) name, (int) strlen(name)));
	LOCKTAG tag =
		hb_lock_tag(MyDatabaseId, (int64) ((uint64) owner << 32 | hash), HB_LOCK_MODEL_NAME);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}
