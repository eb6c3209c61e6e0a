/*
 * options.c - the options jsonb of hyperband_tune and its siblings: one table of keys
 *
 * A key that the table lists without a reader is named in the documentation of later releases and is
 * refused with 0A000; any other unknown key is 22023.  Values are read from jsonb directly, so that a
 * bigint is exact.
 */
#include "pg.h"

#include <float.h>
#include <math.h>

#include "options.h"
#include "request.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

typedef void (*OptionReader)(const char *key, const JsonbValue *value, HbOptions *options);

typedef struct OptionKey
{
	const char *name;
	OptionReader read; /* NULL: not in this release */
	int who;           /* HbOptionsFor, or-ed; 0: HB_OPTIONS_TABLE */
} OptionKey;

static void
invalid_option(const char *key, const char *must)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("option \"%s\" must be %s", key, must)));
}

/* NaN and infinity cannot be written in JSON; what overflows a double is 22003. */
static double
number_option(const char *key, const JsonbValue *value, const char *must)
{
	double number;

	if (value->type != jbvNumeric)
		invalid_option(key, must);
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!isfinite(number))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value of option \"%s\" is out of range", key)));
	return number;
}

static int64
integer_option(const char *key, const JsonbValue *value, const char *must)
{
	Datum number;
	Datum whole;

	if (value->type != jbvNumeric)
		invalid_option(key, must);
	number = NumericGetDatum(value->val.numeric);
	whole = DirectFunctionCall2(numeric_trunc, number, Int32GetDatum(0));
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number, whole)))
		invalid_option(key, must);
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));
}

static bool
string_is(const JsonbValue *value, const char *text)
{
	return value->type == jbvString && value->val.string.len == strlen(text) &&
		   memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

/* For options that name one of two strings; true for the second. */
static bool
choice_option(const char *key, const JsonbValue *value, const char *first, const char *second)
{
	if (string_is(value, second))
		return true;
	if (!string_is(value, first))
		invalid_option(key, psprintf("\"%s\" or \"%s\"", first, second));
	return false;
}

static void
read_strict(const char *key, const JsonbValue *value, HbOptions *options)
{
	if (value->type != jbvBool)
		invalid_option(key, "true or false");
	options->strict = value->val.boolean;
}

static void
read_rounding(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->rounding_ceil = choice_option(key, value, "floor", "ceil");
}

static void
read_precision(const char *key, const JsonbValue *value, HbOptions *options)
{
	int i;

	for (i = 0; i < HB_PRECISIONS; i++)
		if (string_is(value, hb_precision_names[i]))
		{
			options->precision = (HbPrecision) i;
			return;
		}
	invalid_option(key, "\"highest\", \"high\" or \"medium\"");
}

static void
read_max_rows(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->max_rows = integer_option(key, value, "a positive integer");
	if (options->max_rows < 1)
		invalid_option(key, "a positive integer");
}

static void
read_clip(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->clip = number_option(key, value, "a number that is not negative");
	if (options->clip < 0)
		invalid_option(key, "a number that is not negative");
	/* it becomes a float, where nothing must turn into infinity or into 0, which is off */
	if (options->clip > FLT_MAX || (options->clip > 0 && options->clip < FLT_MIN))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value of option \"%s\" is out of range", key)));
}

static void
read_curve_points(const char *key, const JsonbValue *value, HbOptions *options)
{
	int64 points = integer_option(key, value, "an integer between 1 and 1000000");

	if (points < 1 || points > 1000000)
		invalid_option(key, "an integer between 1 and 1000000");
	options->curve_points = (int) points;
}

static void
read_split_seed(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->split_seed = integer_option(key, value, "an integer");
}

static void
read_test(const char *key, const JsonbValue *value, HbOptions *options)
{
	const char *must = "a number that is at least 0 and less than 1";

	options->test = number_option(key, value, must);
	if (options->test < 0 || options->test >= 1)
		invalid_option(key, must);
}

static void
read_on_change(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->on_change_reload = choice_option(key, value, "error", "reload");
}

/* An interval as text, or seconds. */
static void
read_lease(const char *key, const JsonbValue *value, HbOptions *options)
{
	const char *must = "a positive interval without months, or a number of seconds";
	double seconds;

	if (value->type == jbvString)
	{
		Interval *interval = DatumGetIntervalP(DirectFunctionCall3(
			interval_in, CStringGetDatum(pnstrdup(value->val.string.val, value->val.string.len)),
			ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));

		if (interval->month != 0)
			invalid_option(key, must);
		seconds = interval->day * (double) SECS_PER_DAY + (double) interval->time / USECS_PER_SEC;
	}
	else
		seconds = number_option(key, value, must);
	if (!(seconds >= 0.001 && seconds <= 1e9))
		invalid_option(key, must);
	options->lease = (int64) (seconds * USECS_PER_SEC);
}

static int64
positive_option(const char *key, const JsonbValue *value)
{
	int64 number = integer_option(key, value, "a positive integer");

	if (number < 1)
		invalid_option(key, "a positive integer");
	return number;
}

static void
read_n_trials(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->n_trials = positive_option(key, value);
}

static void
read_budget(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->budget = positive_option(key, value);
}

static void
read_epochs(const char *key, const JsonbValue *value, HbOptions *options)
{
	int64 epochs = integer_option(key, value, "an integer between 1 and 1000000");

	if (epochs < 1 || epochs > 1000000)
		invalid_option(key, "an integer between 1 and 1000000");
	options->epochs = (int) epochs;
}

static void
read_warm_start(const char *key, const JsonbValue *value, HbOptions *options)
{
	options->warm_start = integer_option(key, value, "the id of a study");
	if (options->warm_start < 1)
		invalid_option(key, "the id of a study");
}

static const OptionKey option_keys[] = {
	{"strict", read_strict},
	{"precision", read_precision},
	{"rounding", read_rounding, HB_OPTIONS_TABLE | HB_OPTIONS_WORKERS | HB_OPTIONS_SIMULATE},
	{"max_rows", read_max_rows},
	{"clip", read_clip},
	{"curve_points", read_curve_points},
	{"split_seed", read_split_seed},
	{"test", read_test},
	{"on_change", read_on_change},
	{"lease", read_lease, HB_OPTIONS_WORKERS},
	{"n_trials", read_n_trials, HB_OPTIONS_SIMULATE},
	{"budget", read_budget, HB_OPTIONS_SIMULATE},
	{"epochs", read_epochs},
	{"warm_start", read_warm_start, HB_OPTIONS_TABLE | HB_OPTIONS_WORKERS},
	{"split_column", NULL},
	{"order_column", NULL},
	{"group_column", NULL},
	{"weight_column", NULL},
	{"class_weight", NULL},
	{"positive_class", NULL},
	{"target_transform", NULL},
	{"refit", NULL},
	{"restore_best", NULL},
};

static bool
is_for(const OptionKey *option, HbOptionsFor who)
{
	return ((option->who == 0 ? HB_OPTIONS_TABLE : option->who) & who) != 0;
}

/* "a", "b" and "c" of the keys that can be used. */
static char *
available_keys(HbOptionsFor who)
{
	const char *names[lengthof(option_keys) + 1];
	int n = 0;
	int i;

	for (i = 0; i < lengthof(option_keys); i++)
		if (option_keys[i].read != NULL && is_for(&option_keys[i], who))
			names[n++] = option_keys[i].name;
	names[n] = NULL;
	return hb_quoted_list(names);
}

static void
read_option(const char *key, const JsonbValue *value, HbOptionsFor who, HbOptions *options)
{
	int i;

	for (i = 0; i < lengthof(option_keys); i++)
	{
		if (strcmp(option_keys[i].name, key) != 0 || !is_for(&option_keys[i], who))
			continue;
		if (option_keys[i].read == NULL)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("option \"%s\" is not supported", key),
							errhint("Available options are %s.", available_keys(who))));
		option_keys[i].read(key, value, options);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("unrecognized option \"%s\"", key),
			 errhint("Available options are %s.", available_keys(who))));
}

void
hb_options_parse(Jsonb *jsonb, HbOptions *options)
{
	hb_options_parse_for(jsonb, HB_OPTIONS_TABLE, options);
}

void
hb_options_parse_for(Jsonb *jsonb, HbOptionsFor who, HbOptions *options)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue item;
	char *key = NULL;

	memset(options, 0, sizeof(*options));
	options->clip = 5.0;
	options->precision = HB_HIGH;
	if (jsonb == NULL)
		return;
	if (!JB_ROOT_IS_OBJECT(jsonb))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("options must be a JSON object")));
	iterator = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = pnstrdup(item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE)
			read_option(key, &item, who, options);
	}
}
