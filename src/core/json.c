/*
 * json.c - building, comparing and showing JSON trees
 */
#include "core/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static HbJson *
new_value(const HbHost *host, HbJsonType type)
{
	HbJson *value = hb_alloc(host, sizeof(HbJson));

	if (value)
		value->type = type;
	return value;
}

HbJson *
hb_json_null(const HbHost *host)
{
	return new_value(host, HB_JSON_NULL);
}

HbJson *
hb_json_bool(const HbHost *host, bool value)
{
	HbJson *json = new_value(host, HB_JSON_BOOL);

	if (json)
		json->boolean = value;
	return json;
}

HbJson *
hb_json_number(const HbHost *host, double value)
{
	HbJson *json = new_value(host, HB_JSON_NUMBER);

	if (json)
		json->number = value;
	return json;
}

HbJson *
hb_json_string(const HbHost *host, const char *value)
{
	HbJson *json = new_value(host, HB_JSON_STRING);

	if (json && (json->string = hb_strdup(host, value)) == NULL)
	{
		hb_release(host, json);
		return NULL;
	}
	return json;
}

HbJson *
hb_json_array(const HbHost *host)
{
	return new_value(host, HB_JSON_ARRAY);
}

HbJson *
hb_json_object(const HbHost *host)
{
	return new_value(host, HB_JSON_OBJECT);
}

/* Makes room for one more member; false when out of memory. */
static bool
grow(const HbHost *host, HbJson *container)
{
	int capacity;
	HbJson **items;
	const char **keys = NULL;

	if (container->count < container->capacity)
		return true;
	if (container->capacity > 1 << 28)
		return false;
	capacity = container->capacity ? container->capacity * 2 : 8;
	items = hb_alloc(host, capacity * sizeof(*items));
	if (!items)
		return false;
	if (container->type == HB_JSON_OBJECT &&
		(keys = hb_alloc(host, capacity * sizeof(*keys))) == NULL)
	{
		hb_release(host, items);
		return false;
	}
	if (container->count > 0)
	{
		memcpy(items, container->items, container->count * sizeof(*items));
		if (keys)
			memcpy(keys, container->keys, container->count * sizeof(*keys));
	}
	hb_release(host, container->items);
	hb_release(host, container->keys);
	container->items = items;
	container->keys = keys;
	container->capacity = capacity;
	return true;
}

HbJson *
hb_json_push(const HbHost *host, HbJson *array, HbJson *value)
{
	if (!array || !value || !grow(host, array))
		return NULL;
	array->items[array->count++] = value;
	return array;
}

HbJson *
hb_json_set(const HbHost *host, HbJson *object, const char *key, HbJson *value)
{
	char *copy;

	if (!object || !value || !grow(host, object))
		return NULL;
	copy = hb_strdup(host, key);
	if (!copy)
		return NULL;
	object->keys[object->count] = copy;
	object->items[object->count++] = value;
	return object;
}

const HbJson *
hb_json_get(const HbJson *object, const char *key)
{
	if (!object || object->type != HB_JSON_OBJECT)
		return NULL;
	for (int i = 0; i < object->count; i++)
		if (strcmp(object->keys[i], key) == 0)
			return object->items[i];
	return NULL;
}

bool
hb_json_equal(const HbJson *a, const HbJson *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case HB_JSON_NULL:
			return true;
		case HB_JSON_BOOL:
			return a->boolean == b->boolean;
		case HB_JSON_NUMBER:
			return a->number == b->number;
		case HB_JSON_STRING:
			return strcmp(a->string, b->string) == 0;
		case HB_JSON_ARRAY:
		case HB_JSON_OBJECT:
			break;
	}
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
	{
		const HbJson *other = a->type == HB_JSON_ARRAY ? b->items[i] : hb_json_get(b, a->keys[i]);

		if (!other || !hb_json_equal(a->items[i], other))
			return false;
	}
	return true;
}

/* Text under construction; what does not fit is dropped. */
typedef struct Printer
{
	char *buffer;
	size_t size;
	size_t length;
	bool full;
} Printer;

static void
print_text(Printer *printer, const char *text)
{
	size_t length = strlen(text);
	size_t room = printer->size - 1 - printer->length;

	if (printer->full)
		return;
	if (length > room)
	{
		length = room;
		/* whole UTF-8 characters only */
		while (length > 0 && ((unsigned char) text[length] & 0xC0) == 0x80)
			length--;
		printer->full = true;
	}
	memcpy(printer->buffer + printer->length, text, length);
	printer->length += length;
	printer->buffer[printer->length] = '\0';
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void
print_number(Printer *printer, double number)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++)
	{
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	print_text(printer, text);
}

/* Every level of nesting prints a bracket, so the buffer bounds the recursion. */
static void
print_value(Printer *printer, const HbJson *value)
{
	bool object = value->type == HB_JSON_OBJECT;

	if (printer->full)
		return;
	switch (value->type)
	{
		case HB_JSON_NULL:
			print_text(printer, "null");
			return;
		case HB_JSON_BOOL:
			print_text(printer, value->boolean ? "true" : "false");
			return;
		case HB_JSON_NUMBER:
			print_number(printer, value->number);
			return;
		case HB_JSON_STRING:
			print_text(printer, "\"");
			print_text(printer, value->string);
			print_text(printer, "\"");
			return;
		case HB_JSON_ARRAY:
		case HB_JSON_OBJECT:
			break;
	}
	print_text(printer, object ? "{" : "[");
	for (int i = 0; i < value->count && !printer->full; i++)
	{
		if (i > 0)
			print_text(printer, ", ");
		if (object)
		{
			print_text(printer, "\"");
			print_text(printer, value->keys[i]);
			print_text(printer, "\": ");
		}
		print_value(printer, value->items[i]);
	}
	print_text(printer, object ? "}" : "]");
}

void
hb_json_print(const HbJson *value, char *buffer, size_t size)
{
	Printer printer = {.buffer = buffer, .size = size};

	if (size == 0)
		return;
	buffer[0] = '\0';
	print_value(&printer, value);
}
