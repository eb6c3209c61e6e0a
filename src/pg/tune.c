/*
 * tune.c - hyperband_tune: everything that can be known at once is checked at once
 *
 * The function only inserts a queued study; its supervisor is registered at COMMIT (launch.c).  What
 * only the data shows fails the study later, with the same SQLSTATE and message.
 */
#include "pg.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "field.h"
#include "launch.h"
#include "load.h"
#include "miscadmin.h"
#include "options.h"
#include "request.h"
#include "run.h"
#include "tune/sampler.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define HB_MAX_NAME_BYTES 255

PG_FUNCTION_INFO_V1(hyperband_tune);

/* What the checks found out, on its way into the catalog. */
typedef struct TuneRequest
{
	HbStudyRow study;
	HbOptions options;
	const HbFamily *family;
	int task;      /* HbTask; -1: decided while loading */
	int metric;    /* HbMetricId; -1: the task's default */
	List *notices; /* char *, for a call that succeeds */
} TuneRequest;

void
hb_require_writable(const char *command)
{
	PreventCommandIfReadOnly(command);
	PreventCommandDuringRecovery(command);
}

void
hb_require_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not be null", name)));
}

static char *
text_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

char *
hb_quoted_list(const char *const *names)
{
	StringInfoData list;
	int i;

	initStringInfo(&list);
	for (i = 0; names[i] != NULL; i++)
	{
		if (i > 0)
			appendStringInfoString(&list, names[i + 1] == NULL ? " and " : ", ");
		appendStringInfo(&list, "\"%s\"", names[i]);
	}
	return list.data;
}

char *
hb_model_names(void)
{
	const char **names;
	int n = 0;

	while (hb_families[n] != NULL)
		n++;
	names = palloc0((n + 1) * sizeof(*names));
	for (n = 0; hb_families[n] != NULL; n++)
		names[n] = hb_families[n]->name;
	return hb_quoted_list(names);
}

/* The metrics of one task, or with task = -1 all of them. */
static char *
metric_names(int task)
{
	const char *names[HB_METRIC_COUNT + 1];
	int n = 0;
	int i;

	for (i = 0; i < HB_METRIC_COUNT; i++)
		if (task < 0 || (int) hb_metrics[i].task == task)
			names[n++] = hb_metrics[i].name;
	names[n] = NULL;
	return hb_quoted_list(names);
}

static void
unrecognized(const char *what, const char *value, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unrecognized %s \"%s\"", what, value), errhint("%s", hint)));
}

void
hb_check_background_role(Oid role)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool login;
	char *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role with OID %u does not exist", role)));
	login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	name = pstrdup(NameStr(((Form_pg_authid) GETSTRUCT(tuple))->rolname));
	ReleaseSysCache(tuple);

	if (!login)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" cannot run background studies", name),
						errdetail("The role is not permitted to log in.")));
	if (hb_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" cannot run background studies", name),
						errdetail("The role is not permitted to connect to this database.")));
}

static void
read_model(FunctionCallInfo fcinfo, TuneRequest *request)
{
	hb_require_argument(fcinfo, HB_ARG_MODEL, "model");
	request->study.model = text_argument(fcinfo, HB_ARG_MODEL);
	request->family = hb_family_find(request->study.model);
	if (request->family == NULL)
		unrecognized("model", request->study.model,
					 psprintf("Available models are %s.", hb_model_names()));
}

/* The task that a target's type implies; integers and unknown types are decided while loading. */
static int
task_of_type(Oid type)
{
	HbColumnKind kind;

	type = getBaseType(type);
	if (type == FLOAT4OID || type == FLOAT8OID || type == NUMERICOID)
		return HB_TASK_REGRESSION;
	if (hb_field_kind(type, &kind) && kind == HB_COLUMN_CATEGORY)
		return HB_TASK_CLASSIFICATION;
	return -1;
}

static const char *const task_names[] = {
	[HB_TASK_REGRESSION] = "regression", [HB_TASK_CLASSIFICATION] = "classification"};

/* Call after hb_load_check: the column exists. */
static void
read_task_and_metric(FunctionCallInfo fcinfo, TuneRequest *request)
{
	HbStudyRow *study = &request->study;
	AttrNumber target = get_attnum(study->relation_oid, study->target);

	if (study->task == NULL)
		request->task = task_of_type(get_atttype(study->relation_oid, target));
	request->metric = -1;
	study->metric = text_argument(fcinfo, HB_ARG_METRIC);
	if (study->metric == NULL)
		return;

	request->metric = hb_metric_find(study->metric);
	if (request->metric < 0)
		unrecognized("metric", study->metric,
					 psprintf("Available metrics are %s.", metric_names(request->task)));
	if (request->task >= 0 && (int) hb_metrics[request->metric].task != request->task)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("metric \"%s\" cannot be used for %s", study->metric,
							   task_names[request->task]),
						errhint("Available metrics are %s.", metric_names(request->task))));
	study->direction = hb_metrics[request->metric].higher_is_better ? "maximize" : "minimize";
}

static void
read_task_name(FunctionCallInfo fcinfo, TuneRequest *request)
{
	request->task = -1;
	request->study.task = text_argument(fcinfo, HB_ARG_TASK);
	if (request->study.task == NULL)
		return;
	if (strcmp(request->study.task, "classification") == 0)
		request->task = HB_TASK_CLASSIFICATION;
	else if (strcmp(request->study.task, "regression") == 0)
		request->task = HB_TASK_REGRESSION;
	else
		unrecognized("task", request->study.task,
					 "Available tasks are \"classification\" and \"regression\".");
}

static void
read_sampler(FunctionCallInfo fcinfo, TuneRequest *request)
{
	HbStatus status;

	hb_status_init(&status);
	hb_require_argument(fcinfo, HB_ARG_SAMPLER, "sampler");
	request->study.sampler = text_argument(fcinfo, HB_ARG_SAMPLER);
	if (hb_sampler_find(request->study.sampler, &status) == NULL)
		hb_raise(&status);
}

static void
read_resource(FunctionCallInfo fcinfo, TuneRequest *request)
{
	static const char *const available[] = {"epochs", "rows", "folds"};
	static const char *const later[] = {"features", "trees"};
	const char *hint = "Available resources are \"epochs\", \"rows\" and \"folds\".";
	const char *resource;
	int i;

	hb_require_argument(fcinfo, HB_ARG_RESOURCE, "resource");
	resource = request->study.resource = text_argument(fcinfo, HB_ARG_RESOURCE);
	for (i = 0; i < lengthof(later); i++)
		if (strcmp(resource, later[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("resource \"%s\" is not supported", resource), errhint("%s", hint)));
	for (i = 0; i < lengthof(available); i++)
		if (strcmp(resource, available[i]) == 0)
			break;
	if (i == lengthof(available))
		unrecognized("resource", resource, hint);
	if (request->options.epochs > 0 && strcmp(resource, "epochs") == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("option \"epochs\" cannot be used with resource \"epochs\""),
						errhint("Set \"max_resource\", or use resource \"rows\" or \"folds\".")));
}

const HbScheduler *
hb_plan_from_arguments(FunctionCallInfo fcinfo, int max_resource, int min_resource, int eta,
					   int n_trials, int scheduler, bool ceil, HbPlanRequest *request, HbPlan *plan)
{
	HbStatus status;
	const HbScheduler *found;
	bool extended;

	hb_status_init(&status);
	hb_require_argument(fcinfo, scheduler, "scheduler");
	hb_require_argument(fcinfo, min_resource, "min_resource");
	hb_require_argument(fcinfo, eta, "eta");
	found = hb_scheduler_find(text_argument(fcinfo, scheduler), &status);
	if (found == NULL)
		hb_raise(&status);
	if (PG_ARGISNULL(max_resource) && found->extend == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("scheduler \"%s\" does not support an infinite horizon", found->name),
				 errhint("Give \"max_resource\".")));
	if (!PG_ARGISNULL(n_trials) && PG_GETARG_INT32(n_trials) < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"n_trials\" must be at least 1")));

	memset(request, 0, sizeof(*request));
	request->infinite = PG_ARGISNULL(max_resource);
	request->max_resource = request->infinite ? 0 : PG_GETARG_INT32(max_resource);
	request->min_resource = PG_GETARG_INT32(min_resource);
	request->eta = PG_GETARG_INT32(eta);
	request->n_trials = PG_ARGISNULL(n_trials) ? 0 : PG_GETARG_INT32(n_trials);
	request->ceil = ceil;
	memset(plan, 0, sizeof(*plan));
	if (!hb_plan_check(request, &status) || !found->plan(&hb_host_pg, request, plan, &status))
		hb_raise(&status);
	for (extended = request->infinite && request->n_trials > 0; extended;)
	{
		CHECK_FOR_INTERRUPTS();
		if (!found->extend(&hb_host_pg, request, plan, &extended, &status))
			hb_raise(&status);
	}
	return found;
}

/* What the resource asks of the plan. */
static void
check_resource(const HbStudyRow *study, const HbScheduler *scheduler)
{
	bool folds = strcmp(study->resource, "folds") == 0;

	/* a race compares single pulls, which only folds and repeated evaluations have */
	if (scheduler->completed_wins && !folds)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("scheduler \"%s\" cannot be used with resource \"%s\"",
							   study->scheduler, study->resource),
						errhint("Use resource \"folds\", or another scheduler.")));
	if (study->max_resource == 0 && strcmp(study->resource, "epochs") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"max_resource\" must be given with resource \"%s\"", study->resource)));
	if (folds && study->max_resource < 2)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"max_resource\" must be at least 2 with resource \"folds\"")));
	if (study->max_resource == 0 && study->n_trials == 0 && study->time_limit == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"n_trials\" or \"time_limit\" must be given where "
							   "\"max_resource\" is null")));
}

int64
hb_plan_cost(const HbPlan *plan, bool from_scratch)
{
	int64 cost = 0;
	int b;
	int r;

	if (!from_scratch)
		return plan->cost;
	for (b = 0; b < plan->nbrackets; b++)
		for (r = 0; r < plan->brackets[b].nrungs; r++)
		{
			const HbPlanRung *rung = &plan->brackets[b].rungs[r];
			int64 units;

			if (pg_mul_s64_overflow(rung->trials, rung->resource, &units) ||
				pg_add_s64_overflow(cost, units, &cost))
				ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
								errmsg("study would need more than %lld units of training",
									   (long long) PG_INT64_MAX)));
		}
	return cost;
}

int64
hb_plan_whole_cost(const HbPlanRequest *request, const HbPlan *plan, bool from_scratch)
{
	HbPlan whole;
	HbStatus status;
	bool extended = true;
	int64 cost;

	if (!request->infinite)
		return hb_plan_cost(plan, from_scratch);
	if (request->n_trials == 0)
		return 0;
	hb_status_init(&status);
	if (!hb_plan_hyperband(&hb_host_pg, request, &whole, &status))
		hb_raise(&status);
	while (extended)
	{
		CHECK_FOR_INTERRUPTS();
		if (!hb_plan_extend_infinite(&hb_host_pg, request, &whole, &extended, &status))
			hb_raise(&status);
	}
	cost = hb_plan_cost(&whole, from_scratch);
	hb_plan_release(&hb_host_pg, &whole);
	return cost;
}

static void
read_plan(FunctionCallInfo fcinfo, TuneRequest *request)
{
	HbPlanRequest numbers;
	HbPlan plan;
	HbStudyRow *study = &request->study;
	const HbScheduler *scheduler;

	scheduler = hb_plan_from_arguments(fcinfo, HB_ARG_MAX_RESOURCE, HB_ARG_MIN_RESOURCE, HB_ARG_ETA,
									   HB_ARG_N_TRIALS, HB_ARG_SCHEDULER,
									   request->options.rounding_ceil, &numbers, &plan);
	if (plan.trials > HB_MAX_TRIALS)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("study would have %lld trials", (long long) plan.trials),
						errdetail("The limit is %d.", HB_MAX_TRIALS),
						errhint("Lower \"max_resource\" or set \"n_trials\".")));
	study->scheduler = text_argument(fcinfo, HB_ARG_SCHEDULER);
	study->max_resource = (int) numbers.max_resource;
	study->min_resource = (int) numbers.min_resource;
	study->eta = (int) numbers.eta;
	study->n_trials = (int) numbers.n_trials;
	check_resource(study, scheduler);
	/* without n_trials nobody knows how far the plan will grow */
	if (!numbers.infinite || numbers.n_trials > 0)
		study->resource_planned = hb_plan_cost(&plan, strcmp(study->resource, "rows") == 0);
}

static void
read_validation(FunctionCallInfo fcinfo, TuneRequest *request)
{
	double validation;

	hb_require_argument(fcinfo, HB_ARG_VALIDATION, "validation");
	validation = request->study.validation = PG_GETARG_FLOAT8(HB_ARG_VALIDATION);
	/* written so that NaN fails, too */
	if (!(validation > 0 && validation < 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"validation\" must be greater than 0 and less than 1")));
	if (validation + request->options.test >= 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"validation\" and option \"test\" together must be less than 1")));
}

int64
hb_seed_argument(FunctionCallInfo fcinfo, int argument)
{
	int64 seed;

	if (!PG_ARGISNULL(argument))
		return PG_GETARG_INT64(argument);
	if (!pg_strong_random(&seed, sizeof(seed)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate a random seed")));
	return seed;
}

static void
read_seed(FunctionCallInfo fcinfo, TuneRequest *request)
{
	request->study.seed = hb_seed_argument(fcinfo, HB_ARG_SEED);
	request->study.split_seed = request->options.split_seed;
}

static void
read_trainers(FunctionCallInfo fcinfo, TuneRequest *request)
{
	int trainers = hb_guc_trainers;

	if (!PG_ARGISNULL(HB_ARG_TRAINERS))
		trainers = PG_GETARG_INT32(HB_ARG_TRAINERS);
	if (trainers < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"trainers\" must be at least 1")));
	if (trainers > hb_guc_max_trainers)
	{
		ereport(NOTICE, (errmsg("%d trainers are capped at hyperband.max_trainers (%d)", trainers,
								hb_guc_max_trainers)));
		trainers = hb_guc_max_trainers;
	}
	request->study.trainers = trainers;
}

static void
read_device(FunctionCallInfo fcinfo, TuneRequest *request)
{
	char *name = text_argument(fcinfo, HB_ARG_DEVICE);
	int device = hb_guc_device;

	if (name != NULL && !hb_device_parse(name, &device))
		unrecognized("device", name, "Available devices are \"auto\", \"cpu\" and \"cuda\".");
	if (device == HB_DEVICE_CUDA)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("device \"cuda\" is not available"),
				 errdetail("This build has no CUDA provider."),
				 errhint("Use device \"auto\" or \"cpu\".")));
	request->study.device = (char *) hb_device_name(device);
}

/* Months have no fixed length; an infinite interval of later servers counts its months, too. */
Interval *
hb_time_limit_argument(FunctionCallInfo fcinfo, int argument)
{
	Interval *limit;

	if (PG_ARGISNULL(argument))
		return NULL;
	limit = PG_GETARG_INTERVAL_P(argument);
	if (limit->month != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"time_limit\" must be positive"),
						errdetail("Months and years have no fixed length."),
						errhint("Give days, hours, minutes or seconds.")));
	if ((double) limit->day * (double) USECS_PER_DAY + (double) limit->time <= 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"time_limit\" must be positive")));
	return limit;
}

/* NULL-terminated; NULL where the argument is. */
static char **
feature_list(FunctionCallInfo fcinfo)
{
	ArrayType *array;
	Datum *elements;
	bool *nulls;
	char **features;
	int n;
	int i;

	if (PG_ARGISNULL(HB_ARG_FEATURES))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(HB_ARG_FEATURES);
	deconstruct_array(array, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, &nulls, &n);
	if (n == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"features\" must not be empty")));
	features = palloc0((n + 1) * sizeof(char *));
	for (i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("\"features\" must not contain nulls")));
		features[i] = pstrdup(NameStr(*DatumGetName(elements[i])));
	}
	return features;
}

/* schema.table, quoted; the OID as text where the relation is gone. */
static char *
relation_name(Oid relation)
{
	char *table = get_rel_name(relation);
	char *schema = table == NULL ? NULL : get_namespace_name(get_rel_namespace(relation));

	if (schema == NULL)
		return psprintf("%u", relation);
	return quote_qualified_identifier(schema, table);
}

static void
read_data(FunctionCallInfo fcinfo, TuneRequest *request)
{
	HbStudyRow *study = &request->study;
	HbLoadRequest load = {0};

	study->relation_oid = PG_GETARG_OID(HB_ARG_TRAIN_TABLE);
	study->target = pstrdup(NameStr(*PG_GETARG_NAME(HB_ARG_TARGET)));
	load.relation = study->relation_oid;
	load.relation_name = relation_name(study->relation_oid);
	load.target = study->target;
	load.features = feature_list(fcinfo);
	load.task = study->task;
	load.validation = study->validation;
	load.test = request->options.test;
	load.split_seed = study->split_seed;
	load.sample_seed = study->seed;
	load.max_rows = request->options.max_rows;
	load.clip = request->options.clip;
	load.strict = request->options.strict;
	load.max_categories = hb_guc_max_categories;
	load.max_bytes = (int64) hb_guc_max_data_memory * 1024;
	study->features = hb_load_check(&load, &request->notices);
	/* the relation is locked now: this is its name until COMMIT */
	study->relation = relation_name(study->relation_oid);
}

static void
read_name(FunctionCallInfo fcinfo, TuneRequest *request)
{
	char *name = text_argument(fcinfo, HB_ARG_NAME);

	if (name == NULL)
		name = psprintf("%s.%s", request->study.relation, quote_identifier(request->study.target));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("model name must not be empty")));
	if (strlen(name) > HB_MAX_NAME_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG), errmsg("model name is too long"),
				 errdetail("It has %zu bytes, the limit is %d.", strlen(name), HB_MAX_NAME_BYTES),
				 errhint("Give a shorter \"name\".")));
	request->study.name = name;
}

/* Whether all columns of a model are among those: it may have left out columns that said nothing. */
static bool
has_columns(char *const *columns, char *const *model)
{
	for (int i = 0; model[i] != NULL; i++)
	{
		int j = 0;

		while (columns[j] != NULL && strcmp(columns[j], model[i]) != 0)
			j++;
		if (columns[j] == NULL)
			return false;
	}
	return true;
}

/* A name in use for something else: its current version cannot be compared and will be replaced. */
static void
note_replacement(TuneRequest *request)
{
	const HbStudyRow *study = &request->study;
	HbModelRow *current;
	HbCatalogScope scope;

	hb_catalog_enter(&scope);
	current = hb_model_get(study->owner, study->name, 0);
	hb_catalog_leave(&scope);
	if (current == NULL || (has_columns(study->features, current->features) &&
							(study->task == NULL || strcmp(study->task, current->task) == 0)))
		return;
	request->notices = lappend(
		request->notices,
		psprintf("model \"%s\" is for other columns or another task: a new version will replace "
				 "version %d without a comparison",
				 study->name, current->version));
}

static void
read_search_space(FunctionCallInfo fcinfo, TuneRequest *request)
{
	if (PG_ARGISNULL(HB_ARG_SEARCH_SPACE))
		return;
	request->study.search_space = PG_GETARG_JSONB_P(HB_ARG_SEARCH_SPACE);
	hb_space_check(request->family, request->study.search_space, request->task, request->metric,
				   request->study.max_resource == 0);
}

static void
read_options(FunctionCallInfo fcinfo, TuneRequest *request)
{
	Jsonb *options = NULL;

	if (!PG_ARGISNULL(HB_ARG_OPTIONS))
		options = PG_GETARG_JSONB_P(HB_ARG_OPTIONS);
	hb_options_parse(options, &request->options);
	if (options == NULL)
		options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	request->study.options = options;
}

int64
hb_tune(FunctionCallInfo fcinfo, const char *command)
{
	TuneRequest request = {0};
	HbCatalogScope scope;
	ListCell *cell;
	int64 study_id;

	hb_require_writable(command);
	hb_check_gate();
	hb_require_argument(fcinfo, HB_ARG_TRAIN_TABLE, "train_table");
	hb_require_argument(fcinfo, HB_ARG_TARGET, "target");
	request.study.owner = GetUserId();
	request.study.kind = "table";
	hb_check_background_role(request.study.owner);

	read_options(fcinfo, &request);
	read_model(fcinfo, &request);
	read_task_name(fcinfo, &request);
	read_sampler(fcinfo, &request);
	read_resource(fcinfo, &request);
	request.study.time_limit = hb_time_limit_argument(fcinfo, HB_ARG_TIME_LIMIT);
	read_plan(fcinfo, &request);
	hb_warm_check(request.options.warm_start);
	read_validation(fcinfo, &request);
	read_seed(fcinfo, &request);
	read_device(fcinfo, &request);
	read_data(fcinfo, &request);
	read_task_and_metric(fcinfo, &request);
	read_name(fcinfo, &request);
	note_replacement(&request);
	read_search_space(fcinfo, &request);
	read_trainers(fcinfo, &request);
	foreach (cell, request.notices)
		ereport(NOTICE, (errmsg_internal("%s", (char *) lfirst(cell))));
	request.study.settings = hb_settings_capture();
	request.study.best_loss = NAN;

	hb_catalog_enter(&scope);
	study_id = hb_study_insert(&request.study);
	hb_warm_keep(study_id, request.options.warm_start);
	hb_catalog_leave(&scope);
	hb_launch_at_commit(request.study.owner, study_id);
	return study_id;
}

Datum
hyperband_tune(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(hb_tune(fcinfo, "hyperband_tune()"));
}
