/*
 * test_json.c - JSON trees
 */
#include "tap.h"

#include "core/json.h"

static const HbHost *host = &hb_host_malloc;

static HbJson *
sample(double number, int swap)
{
	HbJson *object = hb_json_object(host);
	HbJson *array = hb_json_array(host);

	hb_json_push(host, array, hb_json_number(host, number));
	hb_json_push(host, array, hb_json_string(host, "x"));
	if (swap)
		hb_json_set(host, object, "b", hb_json_bool(host, true));
	hb_json_set(host, object, "a", array);
	if (!swap)
		hb_json_set(host, object, "b", hb_json_bool(host, true));
	return object;
}

static void *
no_memory(void *context, size_t size)
{
	return NULL;
}

static void
release_nothing(void *context, void *pointer)
{
}

static void
test_print(void)
{
	HbJson *nested = hb_json_array(host);
	HbJson *object = hb_json_object(host);
	char text[64];
	char small[8];

	hb_json_print(sample(0.1, 0), text, sizeof(text));
	is_str(text, "{\"a\": [0.1, \"x\"], \"b\": true}", "a tree as text");
	hb_json_print(hb_json_number(host, 1), text, sizeof(text));
	is_str(text, "1", "an integral number has no point");
	hb_json_print(hb_json_number(host, 1.0 / 3), text, sizeof(text));
	ok(strtod(text, NULL) == 1.0 / 3, "a number reads back as it was");
	hb_json_print(hb_json_number(host, 1e-7), text, sizeof(text));
	is_str(text, "1e-07", "a small number is short");
	hb_json_print(hb_json_null(host), text, sizeof(text));
	is_str(text, "null", "null");
	hb_json_print(sample(0.1, 0), small, sizeof(small));
	is_str(small, "{\"a\": [", "text is cut at the size of the buffer");
	hb_json_print(hb_json_string(host, "aaaaa\xC3\xA4"), small, sizeof(small));
	is_str(small, "\"aaaaa", "and not within a character");
	for (int i = 0; i < 100000; i++)
	{
		HbJson *outer = hb_json_array(host);

		hb_json_push(host, outer, nested);
		nested = outer;
	}
	hb_json_print(nested, text, sizeof(text));
	is_int(strlen(text), 63, "deep nesting stops when the buffer is full");
	hb_json_set(host, object, "k", hb_json_null(host));
	hb_json_print(object, text, sizeof(text));
	is_str(text, "{\"k\": null}", "an object");
}

int
main(void)
{
	HbHost poor = {.alloc = no_memory, .release = release_nothing};
	HbJson *object = sample(1, 0);
	HbJson *array = hb_json_array(host);
	int wrong = 0;

	ok(hb_json_get(object, "a")->type == HB_JSON_ARRAY, "a member by name");
	ok(hb_json_get(object, "c") == NULL, "no such member");
	ok(hb_json_get(array, "a") == NULL && hb_json_get(NULL, "a") == NULL, "no object, no member");
	is_str(object->keys[0], "a", "members keep their order");
	for (int i = 0; i < 1000; i++)
		hb_json_push(host, array, hb_json_number(host, i));
	for (int i = 0; i < 1000; i++)
		wrong += array->items[i]->number != i;
	is_int(array->count, 1000, "an array grows");
	is_int(wrong, 0, "and keeps its values");

	ok(hb_json_equal(sample(1, 0), sample(1, 1)), "order of members does not count");
	ok(!hb_json_equal(sample(1, 0), sample(2, 0)), "values do");
	ok(!hb_json_equal(hb_json_string(host, "1"), hb_json_number(host, 1)), "types do");
	ok(!hb_json_equal(hb_json_bool(host, true), hb_json_bool(host, false)), "booleans differ");
	ok(hb_json_equal(hb_json_null(host), hb_json_null(host)), "null equals null");
	ok(!hb_json_equal(array, hb_json_array(host)), "lengths count");

	ok(!hb_json_null(&poor) && !hb_json_string(&poor, "x") && !hb_json_object(&poor),
	   "no memory gives NULL");
	ok(!hb_json_push(host, array, NULL) && !hb_json_set(host, object, "k", NULL) &&
		   !hb_json_push(host, NULL, object),
	   "NULL passes through");
	ok(!hb_json_push(&poor, hb_json_array(host), object) &&
		   !hb_json_set(&poor, hb_json_object(host), "k", object),
	   "growth without memory gives NULL");
	test_print();
	return tap_done();
}
