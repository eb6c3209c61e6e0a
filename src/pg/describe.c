/*
 * describe.c - hyperband_plan and hyperband_models: what a study would do and what can be tuned
 *
 * Both read what the trainer and the scheduler themselves use, so that what a user sees cannot drift.
 */
#include "pg.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "catalog.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "options.h"
#include "request.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(hyperband_plan);
PG_FUNCTION_INFO_V1(hyperband_models);

/* Arguments of hyperband_plan. */
enum
{
	PLAN_MAX_RESOURCE,
	PLAN_ETA,
	PLAN_MIN_RESOURCE,
	PLAN_SCHEDULER,
	PLAN_N_TRIALS,
	PLAN_OPTIONS
};

static Datum
int32_datum(int64 value)
{
	if (value > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("integer out of range")));
	return Int32GetDatum((int32) value);
}

Datum
hyperband_plan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HbOptions options;
	HbPlanRequest request;
	HbPlan plan;
	int b;
	int r;

	hb_check_gate();
	hb_options_parse(PG_ARGISNULL(PLAN_OPTIONS) ? NULL : PG_GETARG_JSONB_P(PLAN_OPTIONS), &options);
	hb_plan_from_arguments(fcinfo, PLAN_MAX_RESOURCE, PLAN_MIN_RESOURCE, PLAN_ETA, PLAN_N_TRIALS,
						   PLAN_SCHEDULER, options.rounding_ceil, &request, &plan);
	if (request.infinite && request.n_trials == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"n_trials\" must be given where \"max_resource\" is null")));
	InitMaterializedSRF(fcinfo, 0);
	for (b = 0; b < plan.nbrackets; b++)
	{
		const HbPlanBracket *bracket = &plan.brackets[b];

		CHECK_FOR_INTERRUPTS();
		for (r = 0; r < bracket->nrungs; r++)
		{
			Datum values[4];
			bool nulls[4] = {false};

			values[0] = Int32GetDatum(bracket->bracket);
			values[1] = Int32GetDatum(r);
			values[2] = int32_datum(bracket->rungs[r].trials);
			values[3] = int32_datum(bracket->rungs[r].resource);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

static const char *const type_names[] = {
	[HB_PARAM_FLOAT] = "float", [HB_PARAM_INT] = "int", [HB_PARAM_CATEGORICAL] = "categorical"};

static HbJson *
checked(HbJson *json)
{
	HbStatus status;

	if (json == NULL)
	{
		hb_status_init(&status);
		hb_fail_memory(&status, sizeof(HbJson));
		hb_raise(&status);
	}
	return json;
}

/* Numbers are declared as text in lists; for a categorical parameter the text is the value. */
static HbJson *
listed_value(const HbParamDecl *param, const char *text)
{
	if (param == NULL || param->type == HB_PARAM_CATEGORICAL)
		return checked(hb_json_string(&hb_host_pg, text));
	return checked(hb_json_number(&hb_host_pg, strtod(text, NULL)));
}

static HbJson *
value_list(const HbParamDecl *param, const char *const *texts)
{
	HbJson *list = checked(hb_json_array(&hb_host_pg));

	for (; *texts != NULL; texts++)
		checked(hb_json_push(&hb_host_pg, list, listed_value(param, *texts)));
	return list;
}

static void
set_json(Datum *value, bool *null, const HbJson *json)
{
	*null = json == NULL;
	if (json != NULL)
		*value = JsonbPGetDatum(hb_json_to_jsonb(json));
}

static void
set_float8(Datum *value, bool *null, double number)
{
	*null = isnan(number);
	*value = Float8GetDatum(number);
}

static HbJson *
default_value(const HbParamDecl *param, double value)
{
	if (isnan(value))
		return NULL;
	if (param->type == HB_PARAM_CATEGORICAL)
		return checked(hb_json_string(&hb_host_pg, param->choices[(int) value]));
	return checked(hb_json_number(&hb_host_pg, value));
}

/* {"optimizer": ["nesterov"]}; NULL: always active. */
static HbJson *
condition_of(const HbFamily *family, const HbParamWhen *when)
{
	HbJson *object;
	int parent;

	if (when->parent == NULL)
		return NULL;
	parent = hb_family_param_index(family, when->parent);
	object = checked(hb_json_object(&hb_host_pg));
	return checked(
		hb_json_set(&hb_host_pg, object, when->parent,
					value_list(parent < 0 ? NULL : &family->params[parent], when->values)));
}

/* The values that a case is searched over: a list, or NULL where low and high say it. */
static HbJson *
choices_of(const HbParamDecl *param, const HbParamCase *range)
{
	if (range->choices != NULL)
		return value_list(param, range->choices);
	if (param->type == HB_PARAM_CATEGORICAL)
		return value_list(param, param->choices);
	return NULL;
}

/* The description, and what a user's own space may name beyond the default one. */
static char *
description_of(const HbParamDecl *param)
{
	StringInfoData text;
	int i;

	initStringInfo(&text);
	appendStringInfo(&text, "%s; a search space may name ", param->description);
	if (param->type == HB_PARAM_CATEGORICAL)
		for (i = 0; param->choices[i] != NULL; i++)
			appendStringInfo(&text, "%s%s", i == 0 ? "" : ", ", param->choices[i]);
	else
		appendStringInfo(&text, "%g to %g", param->legal_low, param->legal_high);
	return text.data;
}

static void
put_case(ReturnSetInfo *result, const HbFamily *family, const HbParamDecl *param,
		 const HbParamCase *range)
{
	HbJson *choices = choices_of(param, range);
	Datum values[10] = {0};
	bool nulls[10] = {false};

	values[0] = CStringGetTextDatum(family->name);
	values[1] = CStringGetTextDatum(param->name);
	values[2] = CStringGetTextDatum(type_names[param->type]);
	set_float8(&values[3], &nulls[3], choices != NULL ? NAN : range->low);
	set_float8(&values[4], &nulls[4], choices != NULL ? NAN : range->high);
	nulls[5] = choices != NULL;
	values[5] = BoolGetDatum(range->log);
	set_json(&values[6], &nulls[6], choices);
	set_json(&values[7], &nulls[7], default_value(param, range->default_value));
	set_json(&values[8], &nulls[8], condition_of(family, &range->when));
	values[9] = CStringGetTextDatum(description_of(param));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
hyperband_models(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int f;
	int p;
	int c;

	hb_check_gate();
	InitMaterializedSRF(fcinfo, 0);
	for (f = 0; hb_families[f] != NULL; f++)
		for (p = 0; p < hb_families[f]->nparams; p++)
			for (c = 0; c < hb_families[f]->params[p].ncases; c++)
				put_case(result, hb_families[f], &hb_families[f]->params[p],
						 &hb_families[f]->params[p].cases[c]);
	return (Datum) 0;
}
