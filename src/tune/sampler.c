/*
 * sampler.c - the registry of samplers
 *
 * A new sampler is a new file and a line in the list.
 */
#include "tune/sampler.h"

#include "tune/registry.h"

extern const HbSampler hb_sampler_random;
extern const HbSampler hb_sampler_grid;
extern const HbSampler hb_sampler_sobol;
extern const HbSampler hb_sampler_tpe;
extern const HbSampler hb_sampler_gp;

const HbSampler *const hb_samplers[] = {&hb_sampler_random, &hb_sampler_grid, &hb_sampler_sobol,
										&hb_sampler_tpe,    &hb_sampler_gp,   NULL};
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
