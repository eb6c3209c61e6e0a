/*
 * slot.h - a place that trains one chunk at a time: a trainer process and its socket
 *
 * Slots are global to the supervisor, so that the process's exit can kill and reap every trainer.
 * Nothing here decides what to train.
 */
#ifndef HB_SLOT_H
#define HB_SLOT_H

#include "pg.h"

#include "core/job.h"
#include "core/wire.h"

#define HB_MAX_SLOTS 256
#define HB_TRAINER_LOST "38000" /* external_routine_exception */

typedef enum HbSlotState
{
	HB_SLOT_CLOSED,   /* no process */
	HB_SLOT_STARTING, /* spawned, HELLO not seen */
	HB_SLOT_IDLE,
	HB_SLOT_BUSY
} HbSlotState;

typedef struct HbSlot
{
	HbSlotState state;
	int lock; /* of the trainer slot that it holds; 0: none */
	pid_t pid;
	int socket;
	unsigned char *in; /* received, not yet consumed */
	size_t in_length;
	size_t in_capacity;
	size_t in_position; /* of the first byte not yet consumed */
	HbWriter out;       /* frames to send; out_sent bytes of it are gone */
	size_t out_sent;
	int64 heard;   /* hb_monotonic() when the last whole frame came, or the job was sent */
	uint64 job_id; /* BUSY */
	int work;      /* BUSY: index in the caller's list */
	HbHello hello;
} HbSlot;

/* Milliseconds on a clock that nobody sets. */
extern int64 hb_monotonic(void);

/* What a trainer needs to know at its start. */
typedef struct HbTrainerSpec
{
	int data_fd;           /* sealed memfd */
	const char *device;    /* auto, cpu, cuda */
	const char *precision; /* medium, high, highest */
	uint64 memory;         /* RLIMIT_AS, bytes */
} HbTrainerSpec;

extern HbSlot hb_slots[HB_MAX_SLOTS];

/* Raised by one whenever a slot opens or closes: the WaitEventSet must be built again. */
extern uint64 hb_slots_generation;

/* Registers the clean-up at process end. Call once. */
extern void hb_slots_init(void);

/* Spawns a trainer into a closed slot; raises 58P01 where the program is missing. */
extern void hb_slot_open(HbSlot *slot, const HbTrainerSpec *spec);

/*
 * Kills the trainer's process group and reaps it (bounded). Returns the wait status, -1 where it is not known.
 * The trainer slot lock stays with the slot.
 */
extern int hb_slot_close(HbSlot *slot);

/* Closes every slot and gives the trainer slot locks back. Kills all before it waits for any. */
extern void hb_slots_close_all(void);

/* Fills status with 38000 trainer process 1234 was lost and how it ended. */
extern void hb_slot_lost_status(pid_t pid, int wait_status, HbStatus *status);

/* Sends what is in slot->out as far as the socket takes it; false: the trainer is gone. */
extern bool hb_slot_send(HbSlot *slot);
extern bool hb_slot_sending(const HbSlot *slot);

/* Receives what the socket has, up to a few megabytes; false: end of file, the trainer is gone. */
extern bool hb_slot_receive(HbSlot *slot);

/*
 * The next whole frame; the payload stays valid until the next call for this slot. False: none yet, or, with a
 * status, bytes that are no frame of ours (08P01).
 */
extern bool hb_slot_frame(HbSlot *slot, HbFrame *frame, const void **payload, HbStatus *status);

#endif /* HB_SLOT_H */
