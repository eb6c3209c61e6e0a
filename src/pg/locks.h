/*
 * locks.h - what only launching and the supervisor ask of locks.c; everything else is in pg.h
 */
#ifndef HB_LOCKS_H
#define HB_LOCKS_H

/* Keeps others from seeing this process's locks as free until the next transaction aborts. */
extern void hb_locks_shield(void);

/* Takes back the locks that a user's function released while data was read, and releases those it took. */
extern void hb_locks_reassert(void);

/* Study slots of the cluster that some process holds now. */
extern int hb_study_slots_held(void);

#endif /* HB_LOCKS_H */
