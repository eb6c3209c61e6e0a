/*
 * lockstep.h - what the schedulers that move all trials together share
 *
 * Not part of the interface of tune.
 */
#ifndef HB_LOCKSTEP_H
#define HB_LOCKSTEP_H

#include "tune/scheduler.h"

/*
 * Chooses among the n live trials of a rung, ranked best first, all of them evaluated: promoted[i] is 1 (goes on),
 * 0 (is stopped) or -1 (has completed).
 */
typedef bool (*HbChoose)(const HbHost *host, const HbStudyState *state,
						 const HbPlanBracket *bracket, int rung, HbTrialView **ranked, int n,
						 int *promoted, HbStatus *status);

/* HbScheduler.next with this choice at each rung. */
extern bool hb_lockstep_next(const HbHost *host, HbStudyState *state, HbChoose choose,
							 HbStage *stage, HbStatus *status);

#endif /* HB_LOCKSTEP_H */
