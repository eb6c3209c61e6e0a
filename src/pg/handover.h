/*
 * handover.h - from a supervisor that has finished to those of other owners
 */
#ifndef HB_HANDOVER_H
#define HB_HANDOVER_H

#include "pg.h"

#include "pg/launch.h"

/*
 * First of all in a supervisor: whom it serves.  Where the process before it in this worker slot left a note, the note
 * says it, and otherwise what it was registered with.
 */
extern void hb_handover_begin(HbLaunchExtra *extra);

/*
 * The list of those who wait for a worker slot or a study slot.  Attach before anything else of it, where an ERROR is
 * allowed; adding then raises none.  The list is short: what finds no room in it is started by the next hyperband_tune
 * or hyperband_wait there.
 */
extern void hb_waiting_attach(void);
extern void hb_waiting_add(Oid database, Oid owner);

/* A study slot for owner in this database; 0: none is free, and the two are in the list of those who wait. */
extern int hb_handover_study_slot(Oid owner);

/* Starts those who wait, as far as there is room; for the launcher, outside a transaction. */
extern void hb_handover_wake(void);

/* Whether somebody waits: then a supervisor that has finished a study hands over. */
extern bool hb_handover_wanted(void);

/* Gives the study slot back and starts supervisors for whatever is queued. Ends the process where it hands its own worker slot on. */
extern void hb_handover_finish(int slot);

/* Waits that long, or until the latch is set; answers interrupts. */
extern void hb_pause(long milliseconds);

/* The process is to end without its owner's queue being taken up by the next. */
extern void hb_handover_leave_queue(void);

#endif /* HB_HANDOVER_H */
