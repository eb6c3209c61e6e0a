/*
 * plan.h - bracket arithmetic of Hyperband (Li et al., JMLR 18-185), in integers
 *
 * s_max = floor(log_eta(R/min)) by repeated division, never by log().  Bracket s starts
 * n = floor((s_max+1)/(s+1))*eta^s trials (rounding "floor", the lecture's table) or
 * ceil((s_max+1)*eta^s/(s+1)) ("ceil", the journal's Algorithm 1) at r_i = max(min, floor(R/eta^(s-i))).
 *
 * The infinite horizon (section 5 of the same paper) has no R and no end: its plan grows round by round.
 * Brackets of one wave move in lockstep; a wave starts when the one before has ended.
 */
#ifndef HB_PLAN_H
#define HB_PLAN_H

#include <stdint.h>

#include "core/host.h"
#include "core/status.h"

typedef struct HbPlanRung
{
	int64_t trials;
	int64_t resource;
} HbPlanRung;

typedef struct HbPlanBracket
{
	int bracket;          /* s + k*(s_max+1), k the repetition of the plan; full: 0 */
	int64_t first_number; /* of its trials; numbers run from 1 in plan order, largest s first */
	int64_t trials;
	int nrungs;
	HbPlanRung *rungs;
	int wave; /* from 0, never lower than that of the bracket before */
} HbPlanBracket;

typedef struct HbPlan
{
	int nbrackets;
	HbPlanBracket *brackets; /* in plan order */
	int64_t trials;
	int64_t
		cost; /* resource units with continuation from checkpoints; asha: at least, racing: at most */
	int64_t eta;
	int rounds;        /* of the infinite horizon, so far */
	int64_t min_pulls; /* racing: no trial is dropped after fewer; max(3, min_resource) */
} HbPlan;

/* Trials of full that are drawn together where the sampler learns, whatever the number of trainers or workers. */
#define HB_PLAN_BATCH 8

typedef struct HbPlanRequest
{
	int64_t max_resource;
	int64_t min_resource;
	int64_t eta;
	int64_t n_trials; /* 0: the scheduler's own count */
	bool ceil;        /* options {"rounding": "ceil"} */
	bool infinite;    /* no max_resource: see hb_plan_extend_infinite() */
	/*
	 * 0: the sampler does not learn, all brackets move in lockstep.  Else brackets run one after another, so that
	 * later draws can learn from earlier results, and the trials of full are cut into brackets of this many.
	 */
	int64_t batch;
} HbPlanRequest;

/* Checks the numbers (22023 "eta" must be at least 2; 22003 overflow) without building anything. */
extern bool hb_plan_check(const HbPlanRequest *request, HbStatus *status);

/*
 * Hyperband; with request->infinite the first round of its infinite horizon.  full: one bracket of one rung, n_trials
 * or as many as Hyperband's cost pays for.
 */
extern bool
hb_plan_hyperband(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);
extern bool
hb_plan_full(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);

/*
 * One bracket of Successive Halving: n_trials (0: eta^s_max, the largest bracket of Hyperband) at the resource from
 * which s = min(floor(log_eta n), s_max) halvings lead to R.  9 trials, R = 81: 9x9 3x27 1x81.
 */
extern bool
hb_plan_halving(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);

/*
 * One bracket with Hyperband's lowest to highest resource.  n_trials, or as many as Hyperband has.  A rung's
 * trials, floor(n/eta^rung) and 0 where that is less than one, are those that reach it at least if none fails.
 */
extern bool
hb_plan_asha(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);

/* One bracket with a rung at each unit of resource (pull) up to R, which all trials reach at most. */
extern bool
hb_plan_racing(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);

/*
 * Appends the next round k of the infinite horizon: each s >= 1 with 2^(k-s) >= s, the largest first, has 2^s trials and
 * a budget of 2^k pulls of min_resource units each; rung q takes floor(2^k/(|S_q|*s)) pulls more, and half go on.
 * n_trials cuts the last bracket.  *extended is false, and nothing appended, once there are n_trials.  The plan's
 * arrays are replaced, through host; pointers into plan->brackets do not survive.  22003 where the resource or the
 * number of trials leaves the range of a 32-bit integer.
 */
extern bool hb_plan_extend_infinite(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
									bool *extended, HbStatus *status);

/* How many leading brackets have all their trials among the first ntrials; -1 where one is there in part. */
extern int hb_plan_drawn(const HbPlan *plan, int64_t ntrials);

/*
 * The resource of the rung that a trial of a bracket was on its way to when it ended at a resource: the lowest at or
 * above it, the last one's where none is.  There it counts as the worst (Falkner, Klein and Hutter, BOHB, ICML 2018).
 */
extern int64_t hb_plan_level(const HbPlanBracket *bracket, int64_t resource);

/* Releases what a plan function allocated. */
extern void hb_plan_release(const HbHost *host, HbPlan *plan);

#endif /* HB_PLAN_H */
