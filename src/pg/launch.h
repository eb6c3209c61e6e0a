/*
 * launch.h - from a committed hyperband_tune to a running supervisor
 *
 * hyperband_tune only inserts the study as queued and calls hb_launch_at_commit(); the XactCallback
 * registers the worker at top-level COMMIT and does nothing else (an ERROR there is a PANIC); a
 * SubXactCallback drops what a rolled-back savepoint asked for; PREPARE TRANSACTION is refused.
 */
#ifndef HB_LAUNCH_H
#define HB_LAUNCH_H

#include "pg.h"

/* Asks for one supervisor for owner's queue in this database when the current transaction commits. */
extern void hb_launch_at_commit(Oid owner, int64 study_id);

/* Sends SIGINT ("look at cancel_requested now") to the study's supervisor when the current transaction commits; nothing
 * happens where nobody holds the study. */
extern void hb_signal_at_commit(Oid owner, int64 study_id);

/* True when study_id was asked for or cancelled by this very transaction (hyperband_wait refuses it with 55000). */
extern bool hb_launch_pending(int64 study_id);

/* Registers a supervisor for owner now (no transaction needed); false: no worker slot is free. */
extern bool hb_launch_now(Oid owner);
/* The same for an owner of any database. */
extern bool hb_launch_for(Oid database, Oid owner);

/* Starts whatever is queued and has no supervisor, up to hyperband.max_studies; for wait, run, resume. Needs a transaction. */
extern void hb_launch_queued(void);

/* Main function of the worker (supervisor.c); main_arg unused, MyBgworkerEntry->bgw_extra holds HbLaunchExtra. */
typedef struct HbLaunchExtra
{
	Oid database;
	Oid owner;
} HbLaunchExtra;

extern PGDLLEXPORT void hyperband_supervisor_main(Datum main_arg);

extern void hb_launch_init(void); /* registers the callbacks; from _PG_init */

#endif /* HB_LAUNCH_H */
