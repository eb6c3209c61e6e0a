/*
 * plan.h - bracket arithmetic of Hyperband (Li et al., JMLR 18-185), in integers
 *
 * s_max = floor(log_eta(R/min)) by repeated division, never by log().  Bracket s starts
 * n = floor((s_max+1)/(s+1))*eta^s trials (rounding "floor", the lecture's table) or
 * ceil((s_max+1)*eta^s/(s+1)) ("ceil", the journal's Algorithm 1) at r_i = max(min, floor(R/eta^(s-i))).
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
	int bracket;		  /* s + k*(s_max+1), k the repetition of the plan; full: 0 */
	int64_t first_number; /* of its trials; numbers run from 1 in plan order, largest s first */
	int64_t trials;
	int nrungs;
	HbPlanRung *rungs;
} HbPlanBracket;

typedef struct HbPlan
{
	int nbrackets;
	HbPlanBracket *brackets; /* in plan order */
	int64_t trials;
	int64_t cost; /* resource units with continuation from checkpoints */
} HbPlan;

typedef struct HbPlanRequest
{
	int64_t max_resource;
	int64_t min_resource;
	int64_t eta;
	int64_t n_trials; /* 0: the scheduler's own count */
	bool ceil;		  /* options {"rounding": "ceil"} */
} HbPlanRequest;

/* Checks the numbers (22023 "eta" must be at least 2; 22003 overflow) without building anything. */
extern bool hb_plan_check(const HbPlanRequest *request, HbStatus *status);

/* The plans of the two schedulers of this release. */
extern bool hb_plan_hyperband(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
							  HbStatus *status);
extern bool hb_plan_full(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
						 HbStatus *status);

#endif /* HB_PLAN_H */
