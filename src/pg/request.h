/*
 * request.h - a request to tune: arguments, their checks, and the messages that list what exists
 */
#ifndef HB_REQUEST_H
#define HB_REQUEST_H

#include "pg.h"

#include "learn/family.h"
#include "tune/plan.h"
#include "tune/scheduler.h"

/* Arguments 0..20 of hyperband_tune and hyperband_run, in the order of their declaration. */
typedef enum HbTuneArgument
{
	HB_ARG_TRAIN_TABLE,
	HB_ARG_TARGET,
	HB_ARG_MODEL,
	HB_ARG_SEARCH_SPACE,
	HB_ARG_FEATURES,
	HB_ARG_NAME,
	HB_ARG_TASK,
	HB_ARG_METRIC,
	HB_ARG_SAMPLER,
	HB_ARG_SCHEDULER,
	HB_ARG_MAX_RESOURCE,
	HB_ARG_MIN_RESOURCE,
	HB_ARG_ETA,
	HB_ARG_RESOURCE,
	HB_ARG_N_TRIALS,
	HB_ARG_VALIDATION,
	HB_ARG_SEED,
	HB_ARG_TRAINERS,
	HB_ARG_DEVICE,
	HB_ARG_TIME_LIMIT,
	HB_ARG_OPTIONS,
	HB_TUNE_ARGUMENTS
} HbTuneArgument;

#define HB_MAX_TRIALS 1000000 /* of a study: rows of hyperband.trial written at once */

/*
 * Checks everything that can be known now, inserts the study as queued and asks for its supervisor at
 * COMMIT; returns the study's id.  command names the SQL function in the message of a read-only transaction.
 */
extern int64 hb_tune(FunctionCallInfo fcinfo, const char *command);

/* 42501 role "r" cannot run background studies, unless the role may log in and connect to this database. */
extern void hb_check_background_role(Oid role);

/* 25006 in a read-only transaction and on a standby. */
extern void hb_require_writable(const char *command);

/* A seed, a random one where the argument is null; a time limit, NULL where it is null (22023). */
extern int64 hb_seed_argument(FunctionCallInfo fcinfo, int argument);
extern Interval *hb_time_limit_argument(FunctionCallInfo fcinfo, int argument);

/* 22004 "x" must not be null. */
extern void hb_require_argument(FunctionCallInfo fcinfo, int argument, const char *name);

/*
 * Numbers of a plan from SQL arguments: 0A000 where max_resource is NULL and the scheduler has no infinite horizon, 22023
 * where n_trials < 1, and what the scheduler's own arithmetic refuses.  On an infinite horizon the plan goes up to
 * n_trials, or is its first round where that is NULL. Allocates in CurrentMemoryContext.
 */
extern const HbScheduler *
hb_plan_from_arguments(FunctionCallInfo fcinfo, int max_resource, int min_resource, int eta,
					   int n_trials, int scheduler, bool ceil, HbPlanRequest *request,
					   HbPlan *plan);

/*
 * Units of resource that the plan needs; from_scratch: nothing goes on from a checkpoint, each rung is trained anew.  22003
 * where they are more than 64 bits hold.
 */
extern int64 hb_plan_cost(const HbPlan *plan, bool from_scratch);
/* Of all rounds of an infinite horizon; 0 where that has no end. */
extern int64
hb_plan_whole_cost(const HbPlanRequest *request, const HbPlan *plan, bool from_scratch);

/*
 * space_check.c: raises unless the search space parses and the family accepts every value, bound and choice
 * in it, and every choice alone goes with the task (-1: not known yet), metric (-1: the task's default) and horizon.
 */
extern void
hb_space_check(const HbFamily *family, Jsonb *space, int task, int metric, bool infinite);

/* Of a configuration without a schedule on an infinite horizon. */
#define HB_INFINITE_SCHEDULE "inverse_time"

/* hb_family_resolve() with that default. */
extern bool hb_resolve_config(const HbFamily *family, const HbProblem *problem, bool infinite,
							  const HbJson *config, double *params, HbStatus *status);

/* "a", "b" and "c" of a NULL-terminated list, in CurrentMemoryContext. */
extern char *hb_quoted_list(const char *const *names);

/* The models there are, as hb_quoted_list prints them. */
extern char *hb_model_names(void);

/* The parsed space, in CurrentMemoryContext; raises where it is none. space_check.c */
extern struct HbSpace *hb_space_from_jsonb(Jsonb *jsonb);

#endif /* HB_REQUEST_H */
