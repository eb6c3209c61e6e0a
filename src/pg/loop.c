/*
 * loop.c - the event loop of a study: works to slots, frames back
 *
 * One WaitEventSet over the latch, the postmaster and the slots' sockets.  A turn hands pending works to
 * idle slots, opens further slots while there is work for them and the cluster has trainer
 * slots left, waits, and handles what arrived.  PostgreSQL 15 cannot remove an event from a set, so
 * the set is built again whenever a slot opened or closed.
 *
 * A trainer that ends, sends bytes that are no frame, or is silent for longer than a minute is lost: it is
 * killed and reaped and its work is tried again.  After three lost attempts the work fails: a chunk is tried in halves,
 * and these in halves, a trial fails.
 */
#include "pg.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#include "pg/run.h"

#define HB_MAX_LOST 3   /* attempts */
#define HB_MAX_ALONE 10 /* trials that fail alone, one after another: then it is not the trial */
#define HB_MAX_FAILED_STARTS 3 /* in a row */
#define HB_SILENCE 60000       /* ms: the watchdog */
#define HB_HELD_UP 5000        /* ms between two looks, which are a second apart at most */
#define HB_SLOT_RETRY 1000     /* ms between attempts to get a trainer slot */
#define HB_TURN 1000           /* ms at most between two turns */
#define HB_LOOK_AROUND 2000    /* ms: a trial may be trained for hours without a transaction */

typedef struct HbLoop
{
	HbRun *run;
	HbWork *works;
	int nworks;
	HbRefill refill;
	bool limited;
	TimestampTz looked;
	int64 watched; /* hb_monotonic() of the last look at the slots */
} HbLoop;

static WaitEventSet *hb_event_set = NULL;
static uint64 hb_event_generation = 0;
static int hb_event_position[HB_MAX_SLOTS]; /* in the set */

void
hb_loop_reset(void)
{
	if (hb_event_set)
		FreeWaitEventSet(hb_event_set);
	hb_event_set = NULL;
	hb_event_generation = 0;
}

static uint32
hb_slot_events(const HbSlot *slot)
{
	return WL_SOCKET_READABLE | (hb_slot_sending(slot) ? WL_SOCKET_WRITEABLE : 0);
}

/* Builds the set again where slots came or went, else updates what each socket waits for. */
static void
hb_loop_events(void)
{
	int i;

	if (hb_event_set && hb_event_generation == hb_slots_generation)
	{
		for (i = 0; i < HB_MAX_SLOTS; i++)
			if (hb_slots[i].state != HB_SLOT_CLOSED)
				ModifyWaitEvent(hb_event_set, hb_event_position[i], hb_slot_events(&hb_slots[i]),
								NULL);
		return;
	}
	hb_loop_reset();
	hb_event_set = hb_create_wait_event_set(TopMemoryContext, HB_MAX_SLOTS + 2);
	AddWaitEventToSet(hb_event_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(hb_event_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (i = 0; i < HB_MAX_SLOTS; i++)
		if (hb_slots[i].state != HB_SLOT_CLOSED)
			hb_event_position[i] = AddWaitEventToSet(hb_event_set, hb_slot_events(&hb_slots[i]),
													 hb_slots[i].socket, NULL, &hb_slots[i]);
	hb_event_generation = hb_slots_generation;
}

static int
hb_count_works(const HbLoop *loop, HbWorkState state)
{
	int n = 0;
	int i;

	for (i = 0; i < loop->nworks; i++)
		n += loop->works[i].state == state;
	return n;
}

/*
 * Halves the chunk of a work that fails, so that in the end only the trials fail that are to blame; false: it has one.
 * There is room for a work for each trial of the stage.  A half that is lost is halved at once.
 */
static bool
hb_work_halve(HbLoop *loop, HbWork *work)
{
	HbChunk *halves = hb_train_halves(loop->run, work);

	if (!halves)
		return false;
	hb_train_lost(loop->run, work);
	work->chunk = &halves[0];
	work->state = HB_WORK_PENDING;
	work->lost = Min(work->lost, HB_MAX_LOST - 1);
	loop->works[loop->nworks] = *work;
	loop->works[loop->nworks++].chunk = &halves[1];
	return true;
}

/* The last attempt of this work is lost, too. */
static void
hb_work_fail(HbLoop *loop, HbWork *work, const HbStatus *failure)
{
	if (work->chunk && !loop->refill && loop->run->failed_alone < HB_MAX_ALONE &&
		hb_work_halve(loop, work))
		return;
	loop->run->failed_alone++;
	if (work->chunk)
		hb_train_fail(loop->run, work, failure);
	work->failure = *failure;
	work->state = HB_WORK_DONE;
}

/* reason: NULL, or why the trainer is given up although it runs. */
static void
hb_loop_lost(HbLoop *loop, HbSlot *slot, const HbStatus *reason)
{
	HbRun *run = loop->run;
	HbWork *work = slot->state == HB_SLOT_BUSY ? &loop->works[slot->work] : NULL;
	bool starting = slot->state == HB_SLOT_STARTING;
	pid_t pid = slot->pid;
	int wait_status = hb_slot_close(slot);
	HbStatus status;

	hb_slot_lost_status(pid, wait_status, &status);
	if (reason)
		(void) hb_fail_detail(&status, "The trainer was ended: %s.", reason->message);
	ereport(LOG, (errmsg("%s", status.message),
				  status.detail[0] ? errdetail_internal("%s", status.detail) : 0));
	if (starting && ++run->failed_starts >= HB_MAX_FAILED_STARTS)
		hb_raise(&status);
	if (!work)
		return;
	if (work->chunk)
		hb_train_lost(run, work);
	work->state = HB_WORK_PENDING;
	if (++work->lost >= HB_MAX_LOST)
		hb_work_fail(loop, work, &status);
}

static void
hb_work_send(HbLoop *loop, int index, HbSlot *slot)
{
	HbWork *work = &loop->works[index];

	slot->job_id = ++loop->run->next_job;
	slot->work = index;
	if (work->chunk)
		hb_train_send(loop->run, work, slot);
	else
	{
		work->job->id = slot->job_id;
		hb_pack_job(&slot->out, work->job);
	}
	if (slot->out.failed)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Failed to build a job for a trainer.")));
	slot->state = HB_SLOT_BUSY;
	slot->heard = hb_monotonic();
	work->state = HB_WORK_RUNNING;
	if (!hb_slot_send(slot))
		hb_loop_lost(loop, slot, NULL);
}

/* Works are in the order in which they should start. */
static void
hb_loop_assign(HbLoop *loop)
{
	int work = 0;
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
	{
		if (hb_slots[i].state != HB_SLOT_IDLE)
			continue;
		while (work < loop->nworks && loop->works[work].state != HB_WORK_PENDING)
			work++;
		if (work >= loop->nworks)
			return;
		hb_work_send(loop, work, &hb_slots[i]);
	}
}

static int
hb_open_slots(void)
{
	int n = 0;
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
		n += hb_slots[i].state != HB_SLOT_CLOSED;
	return n;
}

/* A closed slot that holds a trainer slot lock, or one that gets one now; NULL: none is free. */
static HbSlot *
hb_loop_free_slot(HbRun *run)
{
	int64 now;
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
		if (hb_slots[i].state == HB_SLOT_CLOSED && hb_slots[i].lock != 0)
			return &hb_slots[i];
	now = hb_monotonic();
	if (now < run->slot_retry)
		return NULL;
	for (i = 0; i < HB_MAX_SLOTS; i++)
	{
		if (hb_slots[i].state != HB_SLOT_CLOSED)
			continue;
		hb_slots[i].lock = hb_acquire_trainer_slot();
		if (hb_slots[i].lock != 0)
			return &hb_slots[i];
		break;
	}
	run->slot_retry = now + HB_SLOT_RETRY;
	return NULL;
}

/* Time in which others have all trainer slots is none of the study's time limit. */
static void
hb_loop_starve(HbRun *run, bool starves)
{
	int64 now = hb_monotonic();

	if (run->starved != 0 && run->deadline != 0)
		run->deadline = TimestampTzPlusMilliseconds(run->deadline, now - run->starved);
	run->starved = starves ? now : 0;
}

/* Never more trainers than the study asks for or than there are works to do. */
static void
hb_loop_grow(HbLoop *loop)
{
	int works = hb_count_works(loop, HB_WORK_PENDING) + hb_count_works(loop, HB_WORK_RUNNING);
	int wanted = Min(Min(works, loop->run->study->trainers), HB_MAX_SLOTS);

	while (hb_open_slots() < wanted)
	{
		HbSlot *slot = hb_loop_free_slot(loop->run);

		if (!slot)
		{
			hb_loop_starve(loop->run, hb_open_slots() == 0);
			return;
		}
		hb_slot_open(slot, &loop->run->spec);
		hb_loop_starve(loop->run, false);
	}
}

static bool
hb_protocol_error(HbStatus *status, const char *what)
{
	return hb_fail(status, HB_ERR_PROTOCOL, "unexpected %s from a trainer", what);
}

static void
hb_store_versions(HbRun *run, const HbHello *hello)
{
	HbTransaction transaction;
	HbJson *versions = hb_json_object(&hb_host_pg);

	hb_json_set(&hb_host_pg, versions, "extension", hb_json_string(&hb_host_pg, HB_VERSION));
	hb_json_set(&hb_host_pg, versions, "server", hb_json_string(&hb_host_pg, PG_VERSION));
	hb_json_set(&hb_host_pg, versions, "provider", hb_json_string(&hb_host_pg, hello->provider));
	hb_json_set(&hb_host_pg, versions, "kernel", hb_json_string(&hb_host_pg, hello->kernel));
	hb_json_set(&hb_host_pg, versions, "blas", hb_json_string(&hb_host_pg, hello->blas));
	hb_transaction_begin(&transaction);
	hb_study_set_versions(run->study->study_id, hb_json_to_jsonb(versions));
	hb_transaction_commit_lazily(&transaction);
	run->versions_stored = true;
}

static bool
hb_loop_hello(HbLoop *loop, HbSlot *slot, const void *payload, size_t length, HbStatus *status)
{
	if (slot->state != HB_SLOT_STARTING)
		return hb_protocol_error(status, "greeting");
	if (!hb_unpack_hello(payload, length, &slot->hello, status))
		return false;
	if (slot->hello.version != HB_WIRE_VERSION)
	{
		/* the program on disk is of another build than the loaded library: no retry can help */
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("trainer speaks protocol version %u, expected %u",
							   slot->hello.version, HB_WIRE_VERSION),
						errhint("Start a new session after the extension's files are updated.")));
	}
	loop->run->failed_starts = 0;
	slot->state = HB_SLOT_IDLE;
	if (!loop->run->versions_stored)
		hb_store_versions(loop->run, &slot->hello);
	return true;
}

static bool
hb_loop_curve(HbLoop *loop, HbSlot *slot, const void *payload, size_t length, HbStatus *status)
{
	HbCurvePoint point;

	if (!hb_unpack_curve(payload, length, &point, status))
		return false;
	if (slot->state != HB_SLOT_BUSY || point.job_id != slot->job_id)
		return hb_protocol_error(status, "curve point");
	/* the curve of a winner that is fitted again is no trial's */
	if (loop->works[slot->work].chunk && !hb_curve_add(loop->run, &loop->works[slot->work], &point))
		return hb_protocol_error(status, "curve point");
	return true;
}

/* The outcome of a job that is no chunk; the frame's bytes do not last. */
static void
hb_work_done(HbRun *run, HbWork *work, const HbTrialResult *result)
{
	work->metrics = result->metrics;
	if (result->state == NULL)
		return;
	work->trained = MemoryContextAllocHuge(run->context, result->state_bytes);
	work->trained_bytes = result->state_bytes;
	memcpy(work->trained, result->state, result->state_bytes);
}

static bool
hb_loop_result(HbLoop *loop, HbSlot *slot, const void *payload, size_t length, HbStatus *status)
{
	HbJobResult result;
	HbWork *work;

	if (!hb_unpack_result(&hb_host_pg, payload, length, &result, status))
		return false;
	if (slot->state != HB_SLOT_BUSY || result.job_id != slot->job_id)
		return hb_protocol_error(status, "result");
	work = &loop->works[slot->work];
	if (work->chunk)
	{
		if (!hb_train_record(loop->run, work, &result, status))
			return false;
		loop->run->chunks++;
		loop->run->failed_alone = 0;
		loop->run->passes += hb_train_passes(loop->run, work->stage);
		loop->run->trainer_seconds += result.cpu_seconds;
	}
	else if (result.ntrials != 1)
		return hb_protocol_error(status, "result");
	else
		hb_work_done(loop->run, work, &result.trials[0]);
	work->state = HB_WORK_DONE;
	slot->state = HB_SLOT_IDLE;
	slot->work = -1;
	return true;
}

/* The trainer itself says that the job cannot be done: another attempt would say the same. */
static bool
hb_loop_failure(HbLoop *loop, HbSlot *slot, const void *payload, size_t length, HbStatus *status)
{
	HbStatus failure;
	uint64 job_id;

	if (!hb_unpack_failure(payload, length, &job_id, &failure, status))
		return false;
	if (slot->state == HB_SLOT_STARTING)
		hb_raise(&failure);
	if (slot->state != HB_SLOT_BUSY || job_id != slot->job_id)
		return hb_protocol_error(status, "failure");
	ereport(LOG, (errmsg("trainer process %d could not do its job: %s", (int) slot->pid,
						 failure.message)));
	hb_work_fail(loop, &loop->works[slot->work], &failure);
	slot->state = HB_SLOT_IDLE;
	slot->work = -1;
	return true;
}

static bool
hb_loop_frame(HbLoop *loop, HbSlot *slot, const HbFrame *frame, const void *payload,
			  HbStatus *status)
{
	uint64 job_id;

	switch ((HbFrameType) frame->type)
	{
		case HB_FRAME_HELLO:
			return hb_loop_hello(loop, slot, payload, frame->length, status);
		case HB_FRAME_CURVE:
			return hb_loop_curve(loop, slot, payload, frame->length, status);
		case HB_FRAME_RESULT:
			return hb_loop_result(loop, slot, payload, frame->length, status);
		case HB_FRAME_FAILURE:
			return hb_loop_failure(loop, slot, payload, frame->length, status);
		case HB_FRAME_HEARTBEAT:
			return hb_unpack_heartbeat(payload, frame->length, &job_id, status);
		case HB_FRAME_JOB:
			break;
	}
	return hb_protocol_error(status, "frame");
}

/* Frames that arrived before an end of file still count. */
static void
hb_loop_receive(HbLoop *loop, HbSlot *slot)
{
	bool alive = hb_slot_receive(slot);
	HbFrame frame;
	const void *payload;
	HbStatus status;

	while (hb_slot_frame(slot, &frame, &payload, &status))
	{
		if (!hb_loop_frame(loop, slot, &frame, payload, &status))
			break;
	}
	if (status.sqlstate[0])
		hb_loop_lost(loop, slot, &status);
	else if (!alive)
		hb_loop_lost(loop, slot, NULL);
}

static bool
hb_is_silent(const HbSlot *slot)
{
	return (slot->state == HB_SLOT_STARTING || slot->state == HB_SLOT_BUSY) &&
		   hb_monotonic() - slot->heard >= HB_SILENCE;
}

/* Time in which this process did not listen, since somebody held it up, makes nobody silent. */
static void
hb_loop_forgive(HbLoop *loop)
{
	int64 now = hb_monotonic();
	int64 away = now - loop->watched;
	int i;

	for (i = 0; i < HB_MAX_SLOTS && away > HB_HELD_UP; i++)
		hb_slots[i].heard += away;
	loop->watched = now;
}

static void
hb_loop_watchdog(HbLoop *loop)
{
	int i;

	hb_loop_forgive(loop);

	for (i = 0; i < HB_MAX_SLOTS; i++)
	{
		HbSlot *slot = &hb_slots[i];
		HbStatus status;

		if (!hb_is_silent(slot))
			continue;
		hb_status_init(&status);
		(void) hb_fail(&status, HB_ERR_PROTOCOL, "it was silent for %d seconds", HB_SILENCE / 1000);
		hb_loop_lost(loop, slot, &status);
	}
}

static long
hb_milliseconds_until(TimestampTz when, long at_most)
{
	long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), when);

	return Min(left, at_most);
}

static long
hb_loop_timeout(const HbLoop *loop)
{
	const HbRun *run = loop->run;
	long timeout = hb_record_wait(run, HB_TURN);

	if (loop->limited && run->deadline != 0)
		timeout = hb_milliseconds_until(run->deadline, timeout);
	return Max(timeout, 0);
}

static void
hb_loop_wait(HbLoop *loop)
{
	WaitEvent events[64];
	int n;
	int i;

	hb_loop_events();
	n = WaitEventSetWait(hb_event_set, hb_loop_timeout(loop), events, lengthof(events),
						 PG_WAIT_EXTENSION);
	for (i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
	if (QueryCancelPending)
		hb_run_look(loop->run);
	CHECK_FOR_INTERRUPTS();
	for (i = 0; i < n; i++)
	{
		HbSlot *slot = events[i].user_data;

		/* a slot may have been lost while an earlier event was handled */
		if (!slot || slot->state == HB_SLOT_CLOSED || slot->socket != events[i].fd)
			continue;
		if ((events[i].events & WL_SOCKET_WRITEABLE) && !hb_slot_send(slot))
		{
			hb_loop_lost(loop, slot, NULL);
			continue;
		}
		if (events[i].events & WL_SOCKET_READABLE)
			hb_loop_receive(loop, slot);
	}
}

static void
hb_loop_turn(HbLoop *loop)
{
	HbRun *run = loop->run;

	hb_loop_assign(loop);
	hb_record_turn(run);
	hb_loop_grow(loop);
	hb_loop_wait(loop);
	hb_loop_watchdog(loop);
	if (TimestampDifferenceExceeds(loop->looked, GetCurrentTimestamp(), HB_LOOK_AROUND))
	{
		hb_run_look_around(run);
		loop->looked = GetCurrentTimestamp();
	}
	hb_heed_reload();
}

/* Time is up: what is being trained is given up. */
static void
hb_loop_stop(HbLoop *loop)
{
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
		if (hb_slots[i].state == HB_SLOT_BUSY)
			(void) hb_slot_close(&hb_slots[i]);
}

/* Whether there is anything left to do. */
static bool
hb_loop_refill(HbLoop *loop)
{
	int i;

	for (i = 0; loop->refill && i < loop->nworks; i++)
		if (loop->works[i].state == HB_WORK_DONE && !loop->refill(loop->run, &loop->works[i]))
			break;
	return hb_count_works(loop, HB_WORK_DONE) < loop->nworks;
}

bool
hb_loop(HbRun *run, HbWork *works, int nworks, HbRefill refill, bool limited)
{
	HbLoop loop = {.run = run,
				   .works = works,
				   .nworks = nworks,
				   .refill = refill,
				   .limited = limited,
				   .looked = GetCurrentTimestamp(),
				   .watched = hb_monotonic()};
	MemoryContext caller = CurrentMemoryContext;

	while (hb_loop_refill(&loop))
	{
		hb_loop_starve(run, run->starved != 0);
		if (limited && run->deadline != 0 && GetCurrentTimestamp() >= run->deadline)
		{
			hb_loop_stop(&loop);
			MemoryContextSwitchTo(caller);
			return false;
		}
		MemoryContextReset(run->scratch);
		MemoryContextSwitchTo(run->scratch);
		hb_loop_turn(&loop);
	}
	MemoryContextSwitchTo(caller);
	return true;
}
