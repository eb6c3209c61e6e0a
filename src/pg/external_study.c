/*
 * external_study.c - hyperband_create_study and hyperband_minimize: studies that others train
 *
 * Everything is checked when the study is made, so that an ask cannot fail later for what could be known before.  What
 * never changes about a study (its plan, its parsed search space) is remembered for the session.
 */
#include "pg.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/control.h"
#include "pg/external.h"
#include "pg/launch.h"
#include "pg/request.h"
#include "pg/run.h"

PG_FUNCTION_INFO_V1(hyperband_create_study);
PG_FUNCTION_INFO_V1(hyperband_minimize);

#define HB_MAX_LABEL_BYTES 255
#define HB_MAX_EVALUATORS 64
#define HB_REMEMBERED_STUDIES 16

/* Where the arguments that both functions have are; objective and workers, or direction, are only in one: -1. */
typedef struct StudyArguments
{
	int objective;
	int search_space;
	int sampler; /* and the eleven that follow it, in this order */
	int direction;
	int workers;
} StudyArguments;

enum
{
	AFTER_SAMPLER_SCHEDULER = 1,
	AFTER_SAMPLER_MAX_RESOURCE,
	AFTER_SAMPLER_MIN_RESOURCE,
	AFTER_SAMPLER_ETA,
	AFTER_SAMPLER_RESOURCE,
	AFTER_SAMPLER_N_TRIALS,
	AFTER_SAMPLER_SEED,
	AFTER_SAMPLER_NAME,
	AFTER_SAMPLER_TIME_LIMIT,
	AFTER_SAMPLER_OPTIONS
};

static const StudyArguments create_arguments = {-1, 0, 1, 12, -1};
static const StudyArguments minimize_arguments = {0, 1, 2, -1, 13};

static char *
required_text(FunctionCallInfo fcinfo, int argument, const char *name)
{
	hb_require_argument(fcinfo, argument, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static int
required_int(FunctionCallInfo fcinfo, int argument, const char *name)
{
	hb_require_argument(fcinfo, argument, name);
	return PG_GETARG_INT32(argument);
}

/* A label is free text: what the worker counts, what the study is called. */
static char *
checked_label(char *label, const char *what)
{
	if (label[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" must not be empty", what)));
	if (strlen(label) > HB_MAX_LABEL_BYTES)
		ereport(ERROR, (errcode(ERRCODE_NAME_TOO_LONG), errmsg("\"%s\" is too long", what),
						errdetail("It has %zu bytes, the limit is %d.", strlen(label),
								  HB_MAX_LABEL_BYTES)));
	return label;
}

/*
 * Numbers and plan of a study.  Where the sampler learns, brackets of hyperband run one after another, and so do the
 * batches of full, as in a table's study.
 */
static void
build_plan(HbExternal *e, const HbStudyRow *study, const HbOptions *options)
{
	HbPlanRequest *request = &e->request;
	int64 proposals = PG_INT64_MAX;
	HbStatus status;

	hb_status_init(&status);
	request->max_resource = study->max_resource;
	request->min_resource = study->min_resource;
	request->eta = study->eta;
	request->n_trials = study->n_trials;
	request->ceil = options->rounding_ceil;
	request->infinite = study->max_resource == 0;
	if (request->infinite && e->scheduler->extend == NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("scheduler \"%s\" does not support an infinite horizon",
							   e->scheduler->name),
						errhint("Give \"max_resource\".")));
	request->batch = e->sampler->learns ? HB_PLAN_BATCH : 0;
	if (!hb_plan_check(request, &status) ||
		!e->scheduler->plan(&hb_host_pg, request, &e->plan, &status))
		hb_raise(&status);
	if (e->sampler->limit != NULL && !e->sampler->limit(&hb_host_pg, e->space, &proposals, &status))
		hb_raise(&status);
	if (proposals == PG_INT64_MAX)
		return;
	/* a grid ends the study where it ends itself */
	if (request->infinite ? request->n_trials == 0 || request->n_trials > proposals
						  : e->plan.trials > proposals)
	{
		hb_plan_release(&hb_host_pg, &e->plan);
		request->n_trials = proposals;
		if (!e->scheduler->plan(&hb_host_pg, request, &e->plan, &status))
			hb_raise(&status);
	}
}

bool
hb_resource_from_scratch(const char *resource)
{
	return strcmp(resource, "rows") == 0 || strcmp(resource, "features") == 0;
}

/* As of a table's study: at most a share of 1/eta of the first bracket. */
static void
build_warm_start(HbExternal *e, const HbStudyRow *study, int64 id)
{
	int64 share = Max(e->plan.brackets[0].trials / e->plan.eta, 1);

	/* one that is being made has taken nothing over yet */
	if (id == 0 || study->study_id == 0)
		return;
	e->warm = hb_warm_read_for(e->space, study);
	e->warm_trials = Min(share, e->warm->nconfigs);
}

/* Fills in what follows from the study's row; in CurrentMemoryContext. */
static void
build_external(HbExternal *e, const HbStudyRow *study)
{
	HbOptions options;
	HbStatus status;

	hb_status_init(&status);
	hb_options_parse_for(study->options, HB_OPTIONS_WORKERS, &options);
	e->study_id = study->study_id;
	e->created_at = study->created_at;
	e->owner = study->owner;
	e->function = strcmp(study->kind, "function") == 0;
	e->maximize = study->direction != NULL && strcmp(study->direction, "maximize") == 0;
	e->lease = options.lease;
	e->seed = (uint64) study->seed;
	e->scheduler = hb_scheduler_find(study->scheduler, &status);
	if (e->scheduler == NULL)
		hb_raise(&status);
	e->sampler = hb_sampler_find(study->sampler, &status);
	if (e->sampler == NULL)
		hb_raise(&status);
	e->space = hb_space_from_jsonb(study->search_space);
	e->asha = e->scheduler->asynchronous;
	e->racing = strcmp(e->scheduler->name, "racing") == 0;
	e->from_scratch = hb_resource_from_scratch(study->resource);
	build_plan(e, study, &options);
	e->sequential = e->sampler->learns && !e->asha;
	build_warm_start(e, study, options.warm_start);
}

/* ---- studies that this session has met, the last one first ---- */

static HbExternal *remembered = NULL;

void
hb_external_forget(HbExternal *study)
{
	HbExternal **link = &remembered;

	while (*link != NULL && *link != study)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = study->next;
	MemoryContextDelete(study->context);
}

static void
forget_oldest(void)
{
	HbExternal *study = remembered;
	HbExternal *oldest = NULL;
	int n = 0;

	for (; study != NULL; study = study->next)
		if (!study->pinned && ++n >= HB_REMEMBERED_STUDIES)
			oldest = study;
	if (oldest != NULL)
		hb_external_forget(oldest);
}

static HbExternal *
remember(const HbStudyRow *study)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hyperband study", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HbExternal *e = palloc0(sizeof(HbExternal));

	e->context = context;
	hb_study_check(study);
	build_external(e, study);
	MemoryContextSwitchTo(old);
	/* after an error it goes with the caller's memory */
	MemoryContextSetParent(context, CacheMemoryContext);
	forget_oldest();
	e->next = remembered;
	remembered = e;
	return e;
}

/* A worker has no snapshot of its own yet, and long values of the row need one to be read. */
static HbStudyRow *
read_study(int64 study_id)
{
	HbCatalogScope scope;
	HbStudyRow *study;

	PushActiveSnapshot(GetTransactionSnapshot());
	hb_catalog_enter(&scope);
	study = hb_study_get(study_id);
	hb_catalog_leave(&scope);
	PopActiveSnapshot();
	return study;
}

HbExternal *
hb_external_open(int64 study_id)
{
	HbExternal *e = remembered;
	HbStudyRow *study;

	while (e != NULL && e->study_id != study_id)
		e = e->next;
	if (e != NULL)
		return has_privs_of_role(GetUserId(), e->owner) ? e : NULL;
	study = read_study(study_id);
	if (study == NULL || !has_privs_of_role(GetUserId(), study->owner))
		return NULL;
	if (strcmp(study->kind, "table") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("study %lld takes no workers", (long long) study_id),
				 errdetail("It trains a model of a table by itself."),
				 errhint("Studies that take workers are made by hyperband_create_study().")));
	return remember(study);
}

/* ---- making one ---- */

static void
read_direction(FunctionCallInfo fcinfo, const StudyArguments *at, HbStudyRow *study)
{
	study->direction = "minimize";
	if (at->direction < 0)
		return;
	study->direction = required_text(fcinfo, at->direction, "direction");
	if (strcmp(study->direction, "minimize") != 0 && strcmp(study->direction, "maximize") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unrecognized direction \"%s\"", study->direction),
						errhint("Available directions are \"minimize\" and \"maximize\".")));
}

static void
read_numbers(FunctionCallInfo fcinfo, int sampler, HbStudyRow *study)
{
	int max_resource = sampler + AFTER_SAMPLER_MAX_RESOURCE;
	int n_trials = sampler + AFTER_SAMPLER_N_TRIALS;

	study->min_resource =
		required_int(fcinfo, sampler + AFTER_SAMPLER_MIN_RESOURCE, "min_resource");
	study->eta = required_int(fcinfo, sampler + AFTER_SAMPLER_ETA, "eta");
	if (!PG_ARGISNULL(max_resource))
	{
		study->max_resource = PG_GETARG_INT32(max_resource);
		if (study->max_resource < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"max_resource\" must be at least \"min_resource\"")));
	}
	if (!PG_ARGISNULL(n_trials))
	{
		study->n_trials = PG_GETARG_INT32(n_trials);
		if (study->n_trials < 1)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("\"n_trials\" must be at least 1")));
	}
}

/* Arguments that both functions have; the checks of the plan and of the options are build_external's. */
static void
read_arguments(FunctionCallInfo fcinfo, const StudyArguments *at, HbStudyRow *study)
{
	int sampler = at->sampler;
	int name = sampler + AFTER_SAMPLER_NAME;
	int options = sampler + AFTER_SAMPLER_OPTIONS;

	hb_require_argument(fcinfo, at->search_space, "search_space");
	study->owner = GetUserId();
	study->search_space = PG_GETARG_JSONB_P(at->search_space);
	study->sampler = required_text(fcinfo, sampler, "sampler");
	study->scheduler = required_text(fcinfo, sampler + AFTER_SAMPLER_SCHEDULER, "scheduler");
	read_numbers(fcinfo, sampler, study);
	study->resource = checked_label(
		required_text(fcinfo, sampler + AFTER_SAMPLER_RESOURCE, "resource"), "resource");
	study->seed = hb_seed_argument(fcinfo, sampler + AFTER_SAMPLER_SEED);
	if (!PG_ARGISNULL(name))
		study->name = checked_label(text_to_cstring(PG_GETARG_TEXT_PP(name)), "name");
	study->time_limit = hb_time_limit_argument(fcinfo, sampler + AFTER_SAMPLER_TIME_LIMIT);
	study->options = PG_ARGISNULL(options)
						 ? DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")))
						 : PG_GETARG_JSONB_P(options);
	read_direction(fcinfo, at, study);
	study->best_loss = NAN;
	study->validation = NAN;
}

/* Checks what is left to check, and writes the study. */
static int64
make_study(HbStudyRow *study)
{
	HbExternal e = {0};
	HbCatalogScope scope;
	HbOptions options;
	int64 study_id;

	hb_options_parse_for(study->options, HB_OPTIONS_WORKERS, &options);
	hb_warm_check(options.warm_start);
	build_external(&e, study);
	study->n_trials = (int) e.request.n_trials;
	study->resource_planned = hb_plan_whole_cost(&e.request, &e.plan, e.from_scratch);
	if (e.request.infinite && study->n_trials == 0 && study->time_limit == NULL)
		ereport(NOTICE, (errmsg("study has no end"),
						 errdetail("It has no \"max_resource\", no \"n_trials\" and no "
								   "\"time_limit\"."),
						 errhint("End it with hyperband_cancel().")));
	hb_catalog_enter(&scope);
	study_id = hb_study_insert(study);
	hb_warm_keep(study_id, options.warm_start);
	hb_turn_insert(study_id);
	if (!e.function)
		hb_external_start(study_id);
	hb_catalog_leave(&scope);
	return study_id;
}

Datum
hyperband_create_study(PG_FUNCTION_ARGS)
{
	HbStudyRow study = {0};

	hb_require_writable("hyperband_create_study()");
	hb_check_gate();
	study.kind = "external";
	read_arguments(fcinfo, &create_arguments, &study);
	study.settings = hb_settings_capture();
	PG_RETURN_INT64(make_study(&study));
}

/* The user's settings, and the search_path that the objective is to find its tables by. */
static Jsonb *
capture_settings(void)
{
	HbJson *settings = hb_json_from_jsonb(hb_settings_capture());

	if (hb_json_set(&hb_host_pg, settings, "search_path",
					hb_json_string(&hb_host_pg, GetConfigOption("search_path", false, false))) ==
		NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return hb_json_to_jsonb(settings);
}

static void
read_workers(FunctionCallInfo fcinfo, HbStudyRow *study)
{
	study->trainers = required_int(fcinfo, minimize_arguments.workers, "workers");
	if (study->trainers < 1 || study->trainers > HB_MAX_EVALUATORS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"workers\" must be between 1 and %d", HB_MAX_EVALUATORS)));
}

Datum
hyperband_minimize(PG_FUNCTION_ARGS)
{
	HbStudyRow study = {0};
	int64 study_id;

	hb_require_writable("hyperband_minimize()");
	hb_check_gate();
	hb_require_argument(fcinfo, minimize_arguments.objective, "objective");
	study.kind = "function";
	read_arguments(fcinfo, &minimize_arguments, &study);
	hb_check_background_role(study.owner);
	read_workers(fcinfo, &study);
	study.relation_oid =
		hb_objective_check(PG_GETARG_OID(minimize_arguments.objective), NULL, study.owner);
	study.objective = hb_objective_name(study.relation_oid);
	study.settings = capture_settings();
	study_id = make_study(&study);
	hb_launch_at_commit(study.owner, study_id);
	PG_RETURN_INT64(study_id);
}
