/*
 * space.c - reading a search space
 *
 *   space = {name: param, ...}
 *   param = scalar | [choice, ...] | dist | {"cases": [dist, ...]}
 *   dist  = {"type": "float" | "int" | "categorical" | "fixed", ..., "when": {parent: value | [values], ...}}
 *         | {"name": "FloatDistribution" | ..., "attributes": {...}}     as Optuna stores distributions
 *
 * The parsed space keeps pointers into the JSON tree, which has to live as long.
 */
#include "tune/space.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"

#define MAX_PARAMS 1000
#define MAX_CHOICES 10000
#define DEFAULT_GRID 5
#define LARGEST_INTEGER 9007199254740992.0 /* 2^53: beyond it doubles skip integers */

/* What the functions below share while one space is read. */
typedef struct Parser
{
	const HbHost *host;
	HbSpace *space;
	HbStatus *status;
	const char *name; /* of the parameter at hand */
} Parser;

typedef struct DistKind
{
	HbDistType type;
	const char *name;        /* in "type" */
	const char *optuna;      /* in "name", NULL where Optuna has none */
	const char *const *keys; /* besides "type" and "when", NULL-terminated */
	const char *hint;
} DistKind;

static const char *const number_keys[] = {"low", "high", "log", "step", "grid", NULL};
static const char *const categorical_keys[] = {"choices", NULL};
static const char *const fixed_keys[] = {"value", NULL};

static const DistKind dist_kinds[] = {
	{HB_DIST_FLOAT, "float", "FloatDistribution", number_keys,
	 "A number takes \"low\", \"high\", \"log\", \"step\", \"grid\" and \"when\"."},
	{HB_DIST_INT, "int", "IntDistribution", number_keys,
	 "A number takes \"low\", \"high\", \"log\", \"step\", \"grid\" and \"when\"."},
	{HB_DIST_CATEGORICAL, "categorical", "CategoricalDistribution", categorical_keys,
	 "A categorical parameter takes \"choices\" and \"when\"."},
	{HB_DIST_FIXED, "fixed", NULL, fixed_keys, "A fixed parameter takes \"value\" and \"when\"."},
};
#define N_DIST_KINDS ((int) (sizeof(dist_kinds) / sizeof(dist_kinds[0])))

#define INVALID(parser, ...) hb_fail((parser)->status, HB_ERR_INVALID_PARAMETER, __VA_ARGS__)

static void *
allocate(Parser *parser, size_t count, size_t size)
{
	void *pointer = hb_alloc(parser->host, count * size);

	if (!pointer)
		hb_fail_memory(parser->status, count * size);
	return pointer;
}

/* A value that a parameter may take: a scalar, finite where it is a number. */
static bool
check_scalar(Parser *parser, const HbJson *value)
{
	if (value->type == HB_JSON_ARRAY || value->type == HB_JSON_OBJECT)
		return INVALID(parser, "values of \"%s\" must be numbers, strings, booleans or null",
					   parser->name);
	if (value->type == HB_JSON_NUMBER && !isfinite(value->number))
		return hb_fail(parser->status, HB_ERR_OUT_OF_RANGE, "value of \"%s\" is out of range",
					   parser->name);
	return true;
}

/* A single value, or an array of at least one, as a list of pointers. */
static const HbJson **
list_values(Parser *parser, const HbJson *json, const char *what, int *count)
{
	bool array = json->type == HB_JSON_ARRAY;
	int n = array ? json->count : 1;
	const HbJson **values;

	if (n == 0)
	{
		INVALID(parser, "%s of \"%s\" must not be empty", what, parser->name);
		return NULL;
	}
	if (n > MAX_CHOICES)
	{
		hb_fail(parser->status, HB_ERR_LIMIT, "\"%s\" has %d %s, more than %d", parser->name, n,
				what, MAX_CHOICES);
		return NULL;
	}
	values = allocate(parser, n, sizeof(*values));
	for (int i = 0; values && i < n; i++)
	{
		values[i] = array ? json->items[i] : json;
		if (!check_scalar(parser, values[i]))
			return NULL;
	}
	*count = values ? n : 0;
	return values;
}

static bool
set_choices(Parser *parser, const HbJson *json, HbDist *dist)
{
	dist->type = HB_DIST_CATEGORICAL;
	if (json->type != HB_JSON_ARRAY)
		return INVALID(parser, "choices of \"%s\" must be an array", parser->name);
	dist->choices = list_values(parser, json, "choices", &dist->nchoices);
	return dist->choices != NULL;
}

static bool
set_fixed(Parser *parser, const HbJson *json, HbDist *dist)
{
	dist->type = HB_DIST_FIXED;
	if (!check_scalar(parser, json))
		return false;
	dist->choices = list_values(parser, json, "values", &dist->nchoices);
	return dist->choices != NULL;
}

/* A required number, or the given default where the key is absent or null. */
static bool
get_number(Parser *parser, const HbJson *object, const char *key, bool required, double *value)
{
	const HbJson *json = hb_json_get(object, key);

	if (!json || json->type == HB_JSON_NULL)
		return !required ||
			   INVALID(parser, "search space parameter \"%s\" needs \"%s\"", parser->name, key);
	if (json->type != HB_JSON_NUMBER)
		return INVALID(parser, "\"%s\" of \"%s\" must be a number", key, parser->name);
	if (!isfinite(json->number))
		return hb_fail(parser->status, HB_ERR_OUT_OF_RANGE, "\"%s\" of \"%s\" is out of range", key,
					   parser->name);
	*value = json->number + 0.0; /* no negative zero */
	return true;
}

static bool
get_bool(Parser *parser, const HbJson *object, const char *key, bool *value)
{
	const HbJson *json = hb_json_get(object, key);

	if (!json || json->type == HB_JSON_NULL)
		return true;
	if (json->type != HB_JSON_BOOL)
		return INVALID(parser, "\"%s\" of \"%s\" must be true or false", key, parser->name);
	*value = json->boolean;
	return true;
}

static bool
check_integer(Parser *parser, const HbDist *dist)
{
	if (fabs(dist->low) > LARGEST_INTEGER || fabs(dist->high) > LARGEST_INTEGER)
		return hb_fail(parser->status, HB_ERR_OUT_OF_RANGE,
					   "bounds of integer parameter \"%s\" are out of range", parser->name);
	if (floor(dist->low) != dist->low || floor(dist->high) != dist->high)
		return INVALID(parser, "bounds of integer parameter \"%s\" must be integers", parser->name);
	if (floor(dist->step) != dist->step)
		return INVALID(parser, "step of integer parameter \"%s\" must be an integer", parser->name);
	return true;
}

static bool
check_range(Parser *parser, const HbDist *dist)
{
	if (dist->type == HB_DIST_INT && !check_integer(parser, dist))
		return false;
	if (dist->low > dist->high)
	{
		HbJson low = {.type = HB_JSON_NUMBER, .number = dist->low};
		HbJson high = {.type = HB_JSON_NUMBER, .number = dist->high};
		char low_text[40];
		char high_text[40];

		hb_json_print(&low, low_text, sizeof(low_text));
		hb_json_print(&high, high_text, sizeof(high_text));
		return INVALID(parser, "lower bound %s of \"%s\" is greater than upper bound %s", low_text,
					   parser->name, high_text);
	}
	if (dist->step > 0 && !isfinite(dist->high - dist->low))
		return INVALID(parser, "range of \"%s\" is too wide for a step", parser->name);
	if (!dist->log)
		return true;
	if (dist->low <= 0)
		return INVALID(parser, "bounds of log-scaled parameter \"%s\" must be positive",
					   parser->name);
	if (dist->type == HB_DIST_INT ? dist->step != 1 : dist->step != 0)
		return INVALID(parser, "log-scaled parameter \"%s\" cannot have a step", parser->name);
	return true;
}

static bool
set_number(Parser *parser, const HbJson *object, HbDistType type, HbDist *dist)
{
	const HbJson *step = hb_json_get(object, "step");
	double grid = DEFAULT_GRID;

	dist->type = type;
	dist->step = type == HB_DIST_INT ? 1 : 0;
	if (!get_number(parser, object, "low", true, &dist->low) ||
		!get_number(parser, object, "high", true, &dist->high) ||
		!get_bool(parser, object, "log", &dist->log) ||
		!get_number(parser, object, "step", false, &dist->step) ||
		!get_number(parser, object, "grid", false, &grid))
		return false;
	if (step && step->type != HB_JSON_NULL && !(dist->step > 0))
		return INVALID(parser, "step of \"%s\" must be positive", parser->name);
	if (grid < 1 || grid > MAX_CHOICES || floor(grid) != grid)
		return INVALID(parser, "\"grid\" of \"%s\" must be an integer from 1 to %d", parser->name,
					   MAX_CHOICES);
	dist->grid = (int) grid;
	return check_range(parser, dist);
}

static int
find_param(const HbSpace *space, const char *name)
{
	for (int i = 0; i < space->nparams; i++)
		if (strcmp(space->params[i].name, name) == 0)
			return i;
	return -1;
}

static bool
parse_when(Parser *parser, const HbJson *when, HbDist *dist)
{
	if (!when || when->type == HB_JSON_NULL)
		return true;
	if (when->type != HB_JSON_OBJECT)
		return INVALID(parser, "\"when\" of \"%s\" must be an object", parser->name);
	if (when->count == 0)
		return true;
	dist->conditions = allocate(parser, when->count, sizeof(HbCondition));
	if (!dist->conditions)
		return false;
	for (int i = 0; i < when->count; i++)
	{
		HbCondition *condition = &dist->conditions[i];

		condition->parent = find_param(parser->space, when->keys[i]);
		if (condition->parent < 0)
			return INVALID(parser,
						   "\"when\" of \"%s\" names \"%s\", which is not in the search space",
						   parser->name, when->keys[i]);
		condition->values =
			list_values(parser, when->items[i], "\"when\" values", &condition->nvalues);
		if (!condition->values)
			return false;
		dist->nconditions++;
	}
	return true;
}

static bool
is_one_of(const char *key, const char *const *keys)
{
	for (; *keys; keys++)
		if (strcmp(*keys, key) == 0)
			return true;
	return false;
}

static bool
unknown_key(Parser *parser, const char *key, const char *hint)
{
	INVALID(parser, "unrecognized key \"%s\" in search space parameter \"%s\"", key, parser->name);
	return hb_fail_hint(parser->status, "%s", hint);
}

/* Keys of an object besides its envelope's. */
static bool
check_keys(Parser *parser, const HbJson *object, const char *const *keys,
		   const char *const *envelope, const char *hint)
{
	for (int i = 0; i < object->count; i++)
		if (!is_one_of(object->keys[i], keys) && !is_one_of(object->keys[i], envelope))
			return unknown_key(parser, object->keys[i], hint);
	return true;
}

static bool
unknown_type(Parser *parser, const HbJson *type)
{
	char text[100];

	hb_json_print(type, text, sizeof(text));
	INVALID(parser, "unrecognized type %s of search space parameter \"%s\"", text, parser->name);
	return hb_fail_hint(
		parser->status,
		"Types are \"float\", \"int\", \"categorical\" and \"fixed\", and Optuna's "
		"\"FloatDistribution\", \"IntDistribution\" and \"CategoricalDistribution\".");
}

static const DistKind *
find_kind(const HbJson *type, bool optuna)
{
	for (int i = 0; type->type == HB_JSON_STRING && i < N_DIST_KINDS; i++)
	{
		const char *name = optuna ? dist_kinds[i].optuna : dist_kinds[i].name;

		if (name && strcmp(name, type->string) == 0)
			return &dist_kinds[i];
	}
	return NULL;
}

static bool
set_by_kind(Parser *parser, const DistKind *kind, const HbJson *object, HbDist *dist)
{
	const HbJson *value;

	if (kind->keys == number_keys)
		return set_number(parser, object, kind->type, dist);
	value = hb_json_get(object, kind->keys[0]);
	if (!value)
		return INVALID(parser, "search space parameter \"%s\" needs \"%s\"", parser->name,
					   kind->keys[0]);
	return kind->type == HB_DIST_FIXED ? set_fixed(parser, value, dist)
									   : set_choices(parser, value, dist);
}

/* {"type": ...} in our form, {"name": ..., "attributes": {...}} in Optuna's. */
static bool
parse_dist(Parser *parser, const HbJson *json, HbDist *dist)
{
	static const char *const own_envelope[] = {"type", "when", NULL};
	static const char *const optuna_envelope[] = {"name", "attributes", "when", NULL};
	static const char *const none[] = {NULL};
	const HbJson *type = hb_json_get(json, "type");
	const HbJson *attributes = hb_json_get(json, "attributes");
	bool optuna = !type && attributes && hb_json_get(json, "name");
	const DistKind *kind;

	if (json->type != HB_JSON_OBJECT)
		return INVALID(parser, "each case of \"%s\" must be an object", parser->name);
	if (optuna)
		type = hb_json_get(json, "name");
	if (!type)
		return INVALID(parser, "search space parameter \"%s\" needs \"type\"", parser->name);
	kind = find_kind(type, optuna);
	if (!kind)
		return unknown_type(parser, type);
	if (!optuna)
	{
		if (!check_keys(parser, json, kind->keys, own_envelope, kind->hint) ||
			!set_by_kind(parser, kind, json, dist))
			return false;
	}
	else
	{
		if (attributes->type != HB_JSON_OBJECT)
			return INVALID(parser, "\"attributes\" of \"%s\" must be an object", parser->name);
		if (!check_keys(parser, json, none, optuna_envelope,
						"Optuna's form has \"name\" and \"attributes\".") ||
			!check_keys(parser, attributes, kind->keys, none, kind->hint) ||
			!set_by_kind(parser, kind, attributes, dist))
			return false;
	}
	return parse_when(parser, hb_json_get(json, "when"), dist);
}

static bool
parse_cases(Parser *parser, const HbJson *json, const HbJson *cases, HbSpaceParam *param)
{
	if (json->count > 1)
		return unknown_key(parser, json->keys[strcmp(json->keys[0], "cases") == 0 ? 1 : 0],
						   "A parameter with \"cases\" has no other key.");
	if (cases->type != HB_JSON_ARRAY || cases->count == 0)
		return INVALID(parser, "\"cases\" of \"%s\" must be a non-empty array", parser->name);
	if (cases->count > MAX_CHOICES)
		return hb_fail(parser->status, HB_ERR_LIMIT, "\"%s\" has %d cases, more than %d",
					   parser->name, cases->count, MAX_CHOICES);
	param->cases = allocate(parser, cases->count, sizeof(HbDist));
	if (!param->cases)
		return false;
	param->ncases = cases->count;
	for (int i = 0; i < cases->count; i++)
		if (!parse_dist(parser, cases->items[i], &param->cases[i]))
			return false;
	return true;
}

static bool
parse_param(Parser *parser, const HbJson *json, HbSpaceParam *param)
{
	const HbJson *cases = hb_json_get(json, "cases");

	if (cases)
		return parse_cases(parser, json, cases, param);
	param->cases = allocate(parser, 1, sizeof(HbDist));
	if (!param->cases)
		return false;
	param->ncases = 1;
	if (json->type == HB_JSON_OBJECT)
		return parse_dist(parser, json, &param->cases[0]);
	if (json->type == HB_JSON_ARRAY)
		return set_choices(parser, json, &param->cases[0]);
	return set_fixed(parser, json, &param->cases[0]);
}

/* A condition compares for equality, which means nothing for floats. */
static bool
check_parents(Parser *parser, const HbSpaceParam *param)
{
	const HbSpace *space = parser->space;

	for (int c = 0; c < param->ncases; c++)
		for (int i = 0; i < param->cases[c].nconditions; i++)
		{
			const HbSpaceParam *parent = &space->params[param->cases[c].conditions[i].parent];

			for (int k = 0; k < parent->ncases; k++)
				if (parent->cases[k].type == HB_DIST_FLOAT)
					return INVALID(
						parser, "parent \"%s\" of \"%s\" must be categorical, fixed or an integer",
						parent->name, param->name);
		}
	return true;
}

static bool
parents_placed(const HbSpaceParam *param, const bool *placed)
{
	for (int c = 0; c < param->ncases; c++)
		for (int i = 0; i < param->cases[c].nconditions; i++)
			if (!placed[param->cases[c].conditions[i].parent])
				return false;
	return true;
}

/* Parents before children, otherwise in the order of the JSON; what cannot be placed is on a cycle. */
static bool
order_params(Parser *parser)
{
	HbSpace *space = parser->space;
	bool *placed = allocate(parser, space->nparams, sizeof(bool));
	int count = 0;
	int before;

	space->order = allocate(parser, space->nparams, sizeof(int));
	if (!placed || !space->order)
		return false;
	do
	{
		before = count;
		for (int i = 0; i < space->nparams; i++)
			if (!placed[i] && parents_placed(&space->params[i], placed))
			{
				placed[i] = true;
				space->order[count++] = i;
			}
	} while (count > before && count < space->nparams);
	for (int i = 0; count < space->nparams && i < space->nparams; i++)
		if (!placed[i])
			return INVALID(parser, "conditions of search space parameter \"%s\" form a cycle",
						   space->params[i].name);
	hb_release(parser->host, placed);
	return true;
}

static bool
parse_space(Parser *parser, const HbJson *json)
{
	HbSpace *space = parser->space;

	space->params = allocate(parser, json->count, sizeof(HbSpaceParam));
	if (!space->params)
		return false;
	space->nparams = json->count;
	for (int i = 0; i < json->count; i++)
	{
		space->params[i].name = json->keys[i];
		space->params[i].name_hash = hb_hash64(json->keys[i], strlen(json->keys[i]), 0);
		if (json->keys[i][0] == '\0')
			return INVALID(parser, "name of a search space parameter must not be empty");
	}
	for (int i = 0; i < json->count; i++)
	{
		parser->name = json->keys[i];
		if (!parse_param(parser, json->items[i], &space->params[i]))
			return false;
	}
	for (int i = 0; i < json->count; i++)
		if (!check_parents(parser, &space->params[i]))
			return false;
	return order_params(parser);
}

HbSpace *
hb_space_parse(const HbHost *host, const HbJson *json, HbStatus *status)
{
	Parser parser = {.host = host, .status = status, .name = ""};

	if (!json || json->type != HB_JSON_OBJECT || json->count == 0)
	{
		hb_fail(status, HB_ERR_INVALID_PARAMETER, "search space must be a non-empty JSON object");
		return NULL;
	}
	if (json->count > MAX_PARAMS)
	{
		hb_fail(status, HB_ERR_LIMIT, "search space has %d parameters, more than %d", json->count,
				MAX_PARAMS);
		return NULL;
	}
	parser.space = allocate(&parser, 1, sizeof(HbSpace));
	if (!parser.space || !parse_space(&parser, json))
		return NULL;
	return parser.space;
}
