/*
 * json.h - a plain tree for the JSON values that cross a layer (search spaces, configurations)
 *
 * It is no parser and no printer: src/pg converts jsonb to this tree and back, so that tune and
 * learn can read a search space without a server header.  A tree belongs to the host it was built
 * with.  Object members keep the order they were added in.
 */
#ifndef HB_JSON_H
#define HB_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "core/host.h"

typedef enum HbJsonType
{
	HB_JSON_NULL,
	HB_JSON_BOOL,
	HB_JSON_NUMBER,
	HB_JSON_STRING,
	HB_JSON_ARRAY,
	HB_JSON_OBJECT
} HbJsonType;

typedef struct HbJson HbJson;
struct HbJson
{
	HbJsonType type;
	bool boolean;
	double number;      /* NUMBER; infinite where the numeric does not fit a double */
	const char *string; /* STRING */
	int count;          /* ARRAY and OBJECT: members */
	int capacity;
	HbJson **items;    /* members */
	const char **keys; /* OBJECT: their names */
};

/* Constructors return NULL when out of memory; so do add functions given a NULL value. */
extern HbJson *hb_json_null(const HbHost *host);
extern HbJson *hb_json_bool(const HbHost *host, bool value);
extern HbJson *hb_json_number(const HbHost *host, double value);
extern HbJson *hb_json_string(const HbHost *host, const char *value); /* copies */
extern HbJson *hb_json_array(const HbHost *host);
extern HbJson *hb_json_object(const HbHost *host);

/* Append to an array or object; return the container, NULL when out of memory. */
extern HbJson *hb_json_push(const HbHost *host, HbJson *array, HbJson *value);
extern HbJson *hb_json_set(const HbHost *host, HbJson *object, const char *key, HbJson *value);

/* Member by name, NULL where the value is no object or has none. */
extern const HbJson *hb_json_get(const HbJson *object, const char *key);

/* Structural equality; 1 and 1.0 are equal, member order of objects does not count. */
extern bool hb_json_equal(const HbJson *a, const HbJson *b);

/* Short text for messages: strings in double quotes, numbers as %.17g trimmed, [..] {..}. */
extern void hb_json_print(const HbJson *value, char *buffer, size_t size);

#endif /* HB_JSON_H */
