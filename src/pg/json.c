/*
 * json.c - jsonb to the plain tree of core/json.h and back
 *
 * Numbers cross as doubles: one that does not fit becomes infinite and is refused by whoever
 * checks ranges.  Back, integers print as integers and others as the shortest decimal that reads as the same
 * double (Ryu), whatever extra_float_digits is.
 */
#include "pg/pg.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

/* A constructor that ran out of memory. */
static HbJson *
need(HbJson *value)
{
	if (value == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return value;
}

static char *
copy_string(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static HbJson *
scalar_from_value(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return need(hb_json_null(&hb_host_pg));
		case jbvBool:
			return need(hb_json_bool(&hb_host_pg, value->val.boolean));
		case jbvNumeric:
			return need(hb_json_number(&hb_host_pg, DatumGetFloat8(DirectFunctionCall1(
														numeric_float8_no_overflow,
														NumericGetDatum(value->val.numeric)))));
		case jbvString:
			return need(hb_json_string(&hb_host_pg, copy_string(value)));
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) value->type);
	}
}

/* The container whose WJB_BEGIN token has just been read. */
static HbJson *
container_from_iterator(JsonbIterator **iterator, bool is_array)
{
	HbJson *container = need(is_array ? hb_json_array(&hb_host_pg) : hb_json_object(&hb_host_pg));
	char *key = NULL;

	check_stack_depth();
	for (;;)
	{
		JsonbValue value;
		JsonbIteratorToken token = JsonbIteratorNext(iterator, &value, false);
		HbJson *member = NULL;

		switch (token)
		{
			case WJB_KEY:
				key = copy_string(&value);
				continue;
			case WJB_VALUE:
			case WJB_ELEM:
				member = scalar_from_value(&value);
				break;
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				member = container_from_iterator(iterator, token == WJB_BEGIN_ARRAY);
				break;
			default:
				return container;
		}
		need(is_array ? hb_json_push(&hb_host_pg, container, member)
					  : hb_json_set(&hb_host_pg, container, key, member));
	}
}

HbJson *
hb_json_from_jsonb(Jsonb *jsonb)
{
	JsonbIterator *iterator = JsonbIteratorInit(&jsonb->root);
	JsonbValue value;
	JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, false);

	/* A bare scalar is stored as an array of one. */
	if (token == WJB_BEGIN_ARRAY && value.val.array.rawScalar)
	{
		(void) JsonbIteratorNext(&iterator, &value, false);
		return scalar_from_value(&value);
	}
	return container_from_iterator(&iterator, token == WJB_BEGIN_ARRAY);
}

static Numeric
numeric_from_double(double number)
{
	char text[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (!isfinite(number))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						errmsg("value out of range for a JSON number")));
	/* 2^53: beyond it not every integer is a double, and the shortest form is the honest one. */
	if (number == rint(number) && fabs(number) <= 9007199254740992.0)
		return int64_to_numeric((int64) number);
	double_to_shortest_decimal_buf(number, text);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
											   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

static void
string_value(JsonbValue *value, const char *text)
{
	value->type = jbvString;
	value->val.string.val = (char *) text;
	value->val.string.len = (int) strlen(text);
}

static void
scalar_value(const HbJson *json, JsonbValue *value)
{
	switch (json->type)
	{
		case HB_JSON_BOOL:
			value->type = jbvBool;
			value->val.boolean = json->boolean;
			break;
		case HB_JSON_NUMBER:
			value->type = jbvNumeric;
			value->val.numeric = numeric_from_double(json->number);
			break;
		case HB_JSON_STRING:
			string_value(value, json->string);
			break;
		default:
			value->type = jbvNull;
			break;
	}
}

static JsonbValue *
push_container(JsonbParseState **state, const HbJson *json)
{
	bool is_array = json->type == HB_JSON_ARRAY;

	check_stack_depth();
	pushJsonbValue(state, is_array ? WJB_BEGIN_ARRAY : WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < json->count; i++)
	{
		const HbJson *item = json->items[i];
		JsonbValue value;

		if (!is_array)
		{
			string_value(&value, json->keys[i]);
			pushJsonbValue(state, WJB_KEY, &value);
		}
		if (item->type == HB_JSON_ARRAY || item->type == HB_JSON_OBJECT)
			push_container(state, item);
		else
		{
			scalar_value(item, &value);
			pushJsonbValue(state, is_array ? WJB_ELEM : WJB_VALUE, &value);
		}
	}
	return pushJsonbValue(state, is_array ? WJB_END_ARRAY : WJB_END_OBJECT, NULL);
}

Jsonb *
hb_json_to_jsonb(const HbJson *json)
{
	JsonbParseState *state = NULL;
	JsonbValue value;

	if (json->type == HB_JSON_ARRAY || json->type == HB_JSON_OBJECT)
		return JsonbValueToJsonb(push_container(&state, json));
	scalar_value(json, &value);
	return JsonbValueToJsonb(&value);
}

char *
hb_json_to_text(const HbJson *json)
{
	Jsonb *jsonb = hb_json_to_jsonb(json);
	char *text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));

	pfree(jsonb);
	return text;
}
