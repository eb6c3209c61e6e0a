/*
 * locks.h - what only launching and the supervisor ask of locks.c; everything else is in pg.h
 */
#ifndef HB_LOCKS_H
#define HB_LOCKS_H

/* Takes back the locks of this process that a user's function released while data was read. */
extern void hb_locks_reassert(void);

/* Study slots of the cluster that some process holds now. */
extern int hb_study_slots_held(void);

#endif /* HB_LOCKS_H */
