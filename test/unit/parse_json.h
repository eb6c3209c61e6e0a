/*
 * parse_json.h - JSON text to a tree, for unit tests; ' stands for " so that tests stay readable
 */
#ifndef HB_PARSE_JSON_H
#define HB_PARSE_JSON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"

static HbJson *parse_json_value(const char **text);

static inline void
parse_json_space(const char **text)
{
	*text += strspn(*text, " \t\n");
}

static inline void
parse_json_expect(const char **text, char c)
{
	parse_json_space(text);
	if (**text != c)
	{
		printf("Bail out! expected '%c' at: %s\n", c, *text);
		exit(2);
	}
	(*text)++;
}

static inline char *
parse_json_string(const char **text)
{
	char *copy;
	size_t length;

	parse_json_expect(text, '\'');
	length = strcspn(*text, "'");
	copy = strndup(*text, length);
	*text += length;
	parse_json_expect(text, '\'');
	return copy;
}

static inline HbJson *
parse_json_members(const char **text, bool object)
{
	HbJson *value = object ? hb_json_object(&hb_host_malloc) : hb_json_array(&hb_host_malloc);
	char close = object ? '}' : ']';

	(*text)++;
	parse_json_space(text);
	while (**text != close)
	{
		if (value->count > 0)
			parse_json_expect(text, ',');
		parse_json_space(text);
		if (object)
		{
			char *key = parse_json_string(text);

			parse_json_expect(text, ':');
			hb_json_set(&hb_host_malloc, value, key, parse_json_value(text));
			free(key);
		}
		else
			hb_json_push(&hb_host_malloc, value, parse_json_value(text));
		parse_json_space(text);
	}
	(*text)++;
	return value;
}

static HbJson *
parse_json_value(const char **text)
{
	char *end;
	double number;

	parse_json_space(text);
	if (**text == '{' || **text == '[')
		return parse_json_members(text, **text == '{');
	if (**text == '\'')
		return hb_json_string(&hb_host_malloc, parse_json_string(text));
	if (strncmp(*text, "true", 4) == 0 || strncmp(*text, "null", 4) == 0)
	{
		*text += 4;
		return (*text)[-1] == 'e' ? hb_json_bool(&hb_host_malloc, true)
								  : hb_json_null(&hb_host_malloc);
	}
	if (strncmp(*text, "false", 5) == 0)
	{
		*text += 5;
		return hb_json_bool(&hb_host_malloc, false);
	}
	number = strtod(*text, &end);
	if (end == *text)
	{
		printf("Bail out! no JSON at: %s\n", *text);
		exit(2);
	}
	*text = end;
	return hb_json_number(&hb_host_malloc, number);
}

static inline HbJson *
parse_json(const char *text)
{
	return parse_json_value(&text);
}

#endif /* HB_PARSE_JSON_H */
