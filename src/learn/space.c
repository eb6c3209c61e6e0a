/*
 * space.c - a family's own search space, as the JSON that users write themselves
 *
 * Only the cases that can occur are listed: a learning rate for sgd is left out where the optimizer is
 * chosen from nesterov and adam.
 */
#include "learn/params.h"

#include <stdlib.h>
#include <string.h>

static bool
listed(const char *const *list, const char *value)
{
	for (int i = 0; list[i] != NULL; i++)
		if (strcmp(list[i], value) == 0)
			return true;
	return false;
}

/* Whether the parent can take this value in the default space. */
static bool
reachable(const HbFamily *family, const char *parent, const char *value)
{
	int index = hb_family_param_index(family, parent);
	const HbParamCase *range;

	if (index < 0 || !family->params[index].in_default_space)
		return false;
	range = &family->params[index].cases[0];
	if (range->choices != NULL)
		return listed(range->choices, value);
	return strtod(value, NULL) >= range->low && strtod(value, NULL) <= range->high;
}

static HbJson *
typed_value(const HbHost *host, const HbParamDecl *decl, const char *text)
{
	return decl->type == HB_PARAM_CATEGORICAL ? hb_json_string(host, text)
											  : hb_json_number(host, strtod(text, NULL));
}

/* {"parent": [values]}; *active tells whether any value can occur. NULL only when out of memory. */
static HbJson *
when_json(const HbHost *host, const HbFamily *family, const HbParamWhen *when, bool *active)
{
	const HbParamDecl *parent = &family->params[hb_family_param_index(family, when->parent)];
	HbJson *values = hb_json_array(host);

	*active = false;
	for (int i = 0; values != NULL && when->values[i] != NULL; i++)
		if (reachable(family, when->parent, when->values[i]))
		{
			*active = true;
			values = hb_json_push(host, values, typed_value(host, parent, when->values[i]));
		}
	if (values != NULL && values->count == 1)
		values = values->items[0];
	return hb_json_set(host, hb_json_object(host), when->parent, values);
}

static HbJson *
range_json(const HbHost *host, const HbParamDecl *decl, const HbParamCase *range)
{
	HbJson *dist = hb_json_object(host), *choices = NULL;

	if (range->choices == NULL)
	{
		dist = hb_json_set(host, dist, "type",
						   hb_json_string(host, decl->type == HB_PARAM_INT ? "int" : "float"));
		dist = hb_json_set(host, dist, "low", hb_json_number(host, range->low));
		dist = hb_json_set(host, dist, "high", hb_json_number(host, range->high));
		return range->log ? hb_json_set(host, dist, "log", hb_json_bool(host, true)) : dist;
	}
	if (range->choices[1] == NULL)
	{
		dist = hb_json_set(host, dist, "type", hb_json_string(host, "fixed"));
		return hb_json_set(host, dist, "value", typed_value(host, decl, range->choices[0]));
	}
	choices = hb_json_array(host);
	for (int i = 0; range->choices[i] != NULL; i++)
		choices = hb_json_push(host, choices, typed_value(host, decl, range->choices[i]));
	dist = hb_json_set(host, dist, "type", hb_json_string(host, "categorical"));
	return hb_json_set(host, dist, "choices", choices);
}

/* batch_size: fixed at what the rows allow. */
static HbJson *
batch_json(const HbHost *host, const HbProblem *problem)
{
	HbJson *dist = hb_json_object(host);

	dist = hb_json_set(host, dist, "type", hb_json_string(host, "fixed"));
	return hb_json_set(host, dist, "value",
					   hb_json_number(host, hb_default_batch_size(problem->rows_train)));
}

/* One distribution, or {"cases": [...]}; NULL with *used = false where no case can occur. */
static HbJson *
param_json(const HbHost *host, const HbFamily *family, const HbParamDecl *decl, bool *used)
{
	HbJson *cases = hb_json_array(host), *object;

	*used = false;
	if (decl->cases[0].when.parent == NULL)
	{
		*used = true;
		return range_json(host, decl, &decl->cases[0]);
	}
	for (int i = 0; i < decl->ncases; i++)
	{
		bool active;
		HbJson *when = when_json(host, family, &decl->cases[i].when, &active);

		if (when == NULL)
			return NULL;
		if (!active)
			continue;
		*used = true;
		cases = hb_json_push(
			host, cases, hb_json_set(host, range_json(host, decl, &decl->cases[i]), "when", when));
	}
	if (cases == NULL || cases->count == 1)
		return cases ? cases->items[0] : NULL;
	object = hb_json_object(host);
	return hb_json_set(host, object, "cases", cases);
}

HbJson *
hb_family_default_space(const HbHost *host, const HbFamily *family, const HbProblem *problem)
{
	HbJson *space = hb_json_object(host);

	for (int i = 0; space != NULL && i < family->nparams; i++)
	{
		const HbParamDecl *decl = &family->params[i];
		bool used = true;
		HbJson *value;

		if (!decl->in_default_space)
			continue;
		value = strcmp(decl->name, "batch_size") == 0 ? batch_json(host, problem)
													  : param_json(host, family, decl, &used);
		if (used)
			space = hb_json_set(host, space, decl->name, value);
	}
	return space;
}
