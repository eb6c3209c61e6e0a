/*
 * registry.c - the model families; a new one is a new file and a line here
 */
#include "learn/network.h"

#include <string.h>

extern const HbFamily hb_family_mlp;
extern const HbFamily hb_family_linear;

const HbFamily *const hb_families[] = {&hb_family_mlp, &hb_family_linear, NULL};

const HbFamily *
hb_family_find(const char *name)
{
	for (int i = 0; hb_families[i] != NULL; i++)
		if (strcmp(hb_families[i]->name, name) == 0)
			return hb_families[i];
	return NULL;
}

int
hb_family_param_index(const HbFamily *family, const char *name)
{
	for (int i = 0; i < family->nparams; i++)
		if (strcmp(family->params[i].name, name) == 0)
			return i;
	return -1;
}

uint32_t
hb_default_batch_size(uint64_t rows_train)
{
	uint32_t size = 128;

	while (rows_train > 0 && size > 16 && size > rows_train / 20)
		size /= 2;
	return size;
}
