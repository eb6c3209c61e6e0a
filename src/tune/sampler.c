/*
 * sampler.c - the registry of samplers
 *
 * A new sampler is a new file and a line in the list.
 */
#include "tune/sampler.h"

#include "tune/registry.h"

extern const HbSampler hb_sampler_random;

static const HbSampler sampler_grid = {
	.name = "grid",
	.description = "every combination of evenly spaced values",
};
static const HbSampler sampler_sobol = {
	.name = "sobol",
	.description = "a low-discrepancy sequence",
};
static const HbSampler sampler_tpe = {
	.name = "tpe",
	.description = "tree-structured Parzen estimators fitted to earlier results",
	.learns = true,
};
static const HbSampler sampler_gp = {
	.name = "gp",
	.description = "a Gaussian process fitted to earlier results",
	.learns = true,
};

const HbSampler *const hb_samplers[] = {&hb_sampler_random, &sampler_grid, &sampler_sobol,
										&sampler_tpe,       &sampler_gp,   NULL};
#define N_SAMPLERS ((int) (sizeof(hb_samplers) / sizeof(hb_samplers[0])) - 1)

const HbSampler *
hb_sampler_find(const char *name, HbStatus *status)
{
	HbRegistryEntry entries[N_SAMPLERS];
	int found;

	for (int i = 0; i < N_SAMPLERS; i++)
		entries[i] = (HbRegistryEntry){hb_samplers[i]->name, hb_samplers[i]->available};
	found = hb_registry_find("sampler", entries, N_SAMPLERS, name, status);
	return found < 0 ? NULL : hb_samplers[found];
}
