/*
 * plan_build.h - what the files that compute plans share
 *
 * Not part of the interface of tune.
 */
#ifndef HB_PLAN_BUILD_H
#define HB_PLAN_BUILD_H

#include "tune/plan.h"

/* Products of 64-bit numbers, before they are compared with what 64 bits hold. */
typedef __int128 HbWide;

/* Trial numbers are 32-bit integers in SQL. */
#define HB_PLAN_MAX_TRIALS INT32_MAX

/* 22003 "study would need 9e18 trials"; returns false. */
extern bool hb_plan_too_large(HbWide amount, const char *unit, HbStatus *status);

/* hb_plan_check() and hb_plan_hyperband() for an infinite horizon. */
extern bool hb_plan_check_infinite(const HbPlanRequest *request, HbStatus *status);
extern bool hb_plan_first_infinite(const HbHost *host, const HbPlanRequest *request, HbPlan *plan,
								   HbStatus *status);

#endif /* HB_PLAN_BUILD_H */
