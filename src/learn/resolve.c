/*
 * resolve.c - from a configuration to the dense vector that trainers take, with checks and defaults
 */
#include "learn/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
unknown_parameter(const HbFamily *family, const char *name, HbStatus *status)
{
	char list[512] = "";
	size_t used = 0;

	for (int i = 0; i < family->nparams && used < sizeof list; i++)
		used += (size_t) snprintf(list + used, sizeof list - used, "%s\"%s\"", i > 0 ? ", " : "",
								  family->params[i].name);
	hb_fail(status, HB_ERR_INVALID_PARAMETER, "unrecognized search space parameter \"%s\"", name);
	return hb_fail_hint(status, "Model \"%s\" has the parameters %.400s.", family->name, list);
}

static int
choice_index(const HbParamDecl *decl, const char *text)
{
	for (int i = 0; decl->choices[i] != NULL; i++)
		if (strcmp(decl->choices[i], text) == 0)
			return i;
	return -1;
}

static bool
bad_choice(const HbParamDecl *decl, const HbJson *value, HbStatus *status)
{
	char text[128], list[384] = "";
	size_t used = 0;

	hb_json_print(value, text, sizeof text);
	for (int i = 0; decl->choices[i] != NULL && used < sizeof list; i++)
		used += (size_t) snprintf(list + used, sizeof list - used, "%s\"%s\"", i > 0 ? ", " : "",
								  decl->choices[i]);
	hb_fail(status, HB_ERR_INVALID_PARAMETER, "invalid value %s for parameter \"%s\"", text,
			decl->name);
	return hb_fail_hint(status, "Valid values are %s.", list);
}

static bool
check_number(const HbParamDecl *decl, double value, HbStatus *status)
{
	if (isnan(value))
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "invalid value NaN for parameter \"%s\"",
					   decl->name);
	if (isinf(value))
		return hb_fail(status, HB_ERR_OUT_OF_RANGE, "value out of range for parameter \"%s\"",
					   decl->name);
	if (value < decl->legal_low || value > decl->legal_high)
	{
		hb_fail(status, HB_ERR_INVALID_PARAMETER,
				"value %.15g is out of range for parameter \"%s\"", value, decl->name);
		return hb_fail_detail(status, "Valid values are between %.15g and %.15g.", decl->legal_low,
							  decl->legal_high);
	}
	if (decl->type == HB_PARAM_INT && value != floor(value))
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "parameter \"%s\" must be an integer, not %.15g", decl->name, value);
	return true;
}

/* Checks a value and gives its number: itself, or the index of the choice. */
static bool
decode_value(const HbParamDecl *decl, const HbJson *value, double *number, HbStatus *status)
{
	if (decl->type == HB_PARAM_CATEGORICAL)
	{
		int index = value->type == HB_JSON_STRING ? choice_index(decl, value->string) : -1;

		if (index < 0)
			return bad_choice(decl, value, status);
		*number = index;
		return true;
	}
	if (value->type != HB_JSON_NUMBER)
	{
		char text[128];

		hb_json_print(value, text, sizeof text);
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "parameter \"%s\" must be a number, not %s", decl->name, text);
	}
	*number = value->number;
	return check_number(decl, value->number, status);
}

bool
hb_family_check_value(const HbFamily *family, const char *name, const HbJson *value,
					  HbStatus *status)
{
	int index = hb_family_param_index(family, name);
	double number;

	if (index < 0)
		return unknown_parameter(family, name, status);
	return decode_value(&family->params[index], value, &number, status);
}

bool
hb_family_check_range(const HbFamily *family, const char *name, bool integer, double low,
					  double high, HbStatus *status)
{
	int index = hb_family_param_index(family, name);
	const HbParamDecl *decl;

	if (index < 0)
		return unknown_parameter(family, name, status);
	decl = &family->params[index];
	if (decl->type == HB_PARAM_CATEGORICAL)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "parameter \"%s\" takes choices, not a range", name);
	if (decl->type == HB_PARAM_INT && !integer)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "parameter \"%s\" must be of type int",
					   name);
	return check_number(decl, low, status) && check_number(decl, high, status);
}

/* Whether text ("2", "adam") is the value of this parameter. */
static bool
value_matches(const HbParamDecl *decl, double value, const char *text)
{
	if (isnan(value))
		return false;
	if (decl->type == HB_PARAM_CATEGORICAL)
		return strcmp(decl->choices[(int) value], text) == 0;
	return strtod(text, NULL) == value;
}

static bool
case_holds(const HbFamily *family, const HbParamWhen *when, const double *params)
{
	int parent;

	if (when->parent == NULL)
		return true;
	parent = hb_family_param_index(family, when->parent);
	for (int i = 0; when->values[i] != NULL; i++)
		if (value_matches(&family->params[parent], params[parent], when->values[i]))
			return true;
	return false;
}

/* Defaults declared as NaN depend on the table. */
static double
table_default(const HbProblem *problem, const HbParamDecl *decl)
{
	if (strcmp(decl->name, "loss") == 0)
		return hb_loss_default(problem->task);
	return hb_default_batch_size(problem->rows_train);
}

static double
default_value(const HbFamily *family, const HbProblem *problem, const HbParamDecl *decl,
			  const HbParamCase *matching, const double *params)
{
	if (decl->default_parameter != NULL)
		return params[hb_family_param_index(family, decl->default_parameter)];
	if (isnan(matching->default_value))
		return table_default(problem, decl);
	return matching->default_value;
}

static const HbParamCase *
matching_case(const HbFamily *family, const HbParamDecl *decl, const double *params)
{
	for (int i = 0; i < decl->ncases; i++)
		if (case_holds(family, &decl->cases[i].when, params))
			return &decl->cases[i];
	return NULL;
}

bool
hb_family_resolve(const HbFamily *family, const HbProblem *problem, const HbJson *config,
				  double params[HB_MAX_PARAMS], HbStatus *status)
{
	for (int i = 0; config != NULL && i < config->count; i++)
		if (hb_family_param_index(family, config->keys[i]) < 0)
			return unknown_parameter(family, config->keys[i], status);
	for (int i = 0; i < HB_MAX_PARAMS; i++)
		params[i] = NAN;
	/* parents are declared before their children */
	for (int i = 0; i < family->nparams; i++)
	{
		const HbParamDecl *decl = &family->params[i];
		const HbParamCase *matching = matching_case(family, decl, params);
		const HbJson *given = config ? hb_json_get(config, decl->name) : NULL;
		double number = NAN;

		/* a value that its condition makes meaningless is still checked */
		if (given != NULL && !decode_value(decl, given, &number, status))
			return false;
		if (given != NULL && matching != NULL)
			params[i] = number;
		else if (matching != NULL)
			params[i] = default_value(family, problem, decl, matching, params);
	}
	return true;
}
