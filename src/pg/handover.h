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

/* Starts supervisors for whatever is queued. Ends the process where it hands its own worker slot on. */
extern void hb_handover_finish(void);

/* Waits that long, or until the latch is set; answers interrupts. */
extern void hb_pause(long milliseconds);

#endif /* HB_HANDOVER_H */
