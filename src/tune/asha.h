/*
 * asha.h - the decisions of asynchronous Successive Halving (Li et al., MLSys 2020), one event at a time
 *
 * The log of a study is a sequence of events: a trial is given work towards a rung, a result arrives.  Each
 * decision is a function of the events before it, so a log can be checked by going through it again.  A decision takes
 * O(log n) for n trials.
 */
#ifndef HB_ASHA_H
#define HB_ASHA_H

#include "tune/scheduler.h"

typedef struct HbAsha HbAsha;

typedef enum HbAshaEventKind
{
	HB_ASHA_START, /* decision: the trial is trained up to its rung */
	HB_ASHA_RESULT
} HbAshaEventKind;

typedef struct HbAshaEvent
{
	HbAshaEventKind kind;
	int64_t number;
	int rung;
	double loss; /* RESULT */
} HbAshaEvent;

/* An empty study of the plan's one bracket; NULL with a status. All memory it will ever need is allocated here. */
extern HbAsha *hb_asha_create(const HbHost *host, const HbPlan *plan, HbStatus *status);
extern void hb_asha_release(const HbHost *host, HbAsha *asha);

/*
 * Takes over a study from its rows: state->results in order, and from the trials who was promoted and who was given
 * work.  XX001 where they contradict each other.
 */
extern bool hb_asha_restore(HbAsha *asha, const HbStudyState *state, HbStatus *status);

/* The trial is working towards a rung, or its work was lost; false for one that waits for a promotion or has ended. */
extern bool hb_asha_has_work(const HbTrialView *trial);

/*
 * What a free worker should do now, without doing it: promote from the highest rung that has a trial among its best
 * floor(|rung|/eta) not promoted yet, the best such trial; else start the next new trial; false: nothing now.
 */
extern bool hb_asha_choose(const HbAsha *asha, int64_t *number, int *rung);

/* Rank of a trial among all results of a rung so far, 1 = best. */
extern int64_t hb_asha_rank(const HbAsha *asha, int64_t number, int rung);

/* The results of a rung, best first. */
typedef struct HbAshaPlace
{
	double loss;
	int64_t number;
} HbAshaPlace;

/* Writes all results of a rung, best first, to places, which has room for them; returns how many. */
extern int64_t hb_asha_order(const HbAsha *asha, int rung, HbAshaPlace *places);
extern int64_t hb_asha_nresults(const HbAsha *asha, int rung);

/*
 * One event.  False with XX001 where it contradicts those before: work that is given twice, a result without work.
 * hb_asha_apply() does not ask whether a decision is the one that hb_asha_choose() names.
 */
extern bool hb_asha_apply(HbAsha *asha, const HbAshaEvent *event, HbStatus *status);

/*
 * Goes through a whole log.  False with XX001 where a decision is not the one that the events before it lead to, with its
 * place in the detail.
 */
extern bool hb_asha_replay(const HbHost *host, const HbPlan *plan, const HbAshaEvent *events,
						   int64_t nevents, HbStatus *status);

#endif /* HB_ASHA_H */
