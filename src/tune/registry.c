/*
 * registry.c - look-up by name in the registries of samplers and schedulers
 */
#include "tune/registry.h"

#include <stdio.h>
#include <string.h>

/* "a", "b" and "c" */
static int
list_available(const HbRegistryEntry *entries, int n, char *buffer, size_t size)
{
	int total = 0;
	int listed = 0;
	size_t length = 0;

	for (int i = 0; i < n; i++)
		total += entries[i].available;
	buffer[0] = '\0';
	for (int i = 0; i < n && length < size; i++)
	{
		const char *separator;

		if (!entries[i].available)
			continue;
		separator = listed == 0 ? "" : listed == total - 1 ? " and " : ", ";
		length += snprintf(buffer + length, size - length, "%s\"%s\"", separator, entries[i].name);
		listed++;
	}
	return total;
}

int
hb_registry_find(const char *kind, const HbRegistryEntry *entries, int n, const char *name,
				 HbStatus *status)
{
	char list[256];

	for (int i = 0; i < n; i++)
	{
		if (strcmp(entries[i].name, name) != 0)
			continue;
		if (entries[i].available)
			return i;
		hb_fail(status, HB_ERR_NOT_SUPPORTED, "%s \"%s\" is not available in this release", kind,
				name);
		return -1;
	}
	hb_fail(status, HB_ERR_INVALID_PARAMETER, "unrecognized %s \"%s\"", kind, name);
	if (list_available(entries, n, list, sizeof(list)) == 1)
		hb_fail_hint(status, "The available %s is %s.", kind, list);
	else
		hb_fail_hint(status, "Available %ss are %s.", kind, list);
	return -1;
}
