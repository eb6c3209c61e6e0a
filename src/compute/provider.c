/*
 * provider.c - the registry of providers, and the choice among them
 *
 * openblas is linked into the trainer alone, hence weak: in the server's library its entry is NULL.
 */
#include "compute/provider.h"

#include <string.h>

#include "compute/kernels.h"

extern const HbProvider hb_provider_openblas __attribute__((weak));

/* Fastest first, as measured: the hand-written kernels, then OpenBLAS. */
const HbProvider *const hb_providers[] = {
#ifdef HB_HAVE_X86_KERNELS
	&hb_provider_amx,       &hb_provider_bf16, &hb_provider_avx512, &hb_provider_avx2,
#endif
#ifndef HB_REAL_DOUBLE
	&hb_provider_openblas,
#endif
	&hb_provider_reference,
};
const int hb_nproviders = sizeof(hb_providers) / sizeof(hb_providers[0]);

const HbProvider *
hb_provider_find(const char *name)
{
	for (int i = 0; i < hb_nproviders; i++)
	{
		const HbProvider *provider = hb_providers[i];

		if (provider != NULL && strcmp(provider->name, name) == 0 && provider->available())
			return provider;
	}
	return NULL;
}

const HbProvider *
hb_provider_best(HbPrecision least)
{
	for (int i = 0; i < hb_nproviders; i++)
		if (hb_providers[i] != NULL && hb_providers[i]->precision <= least &&
			hb_providers[i]->available())
			return hb_providers[i];
	return &hb_provider_reference;
}

const char *const hb_precision_names[HB_PRECISIONS] = {
	[HB_HIGHEST] = "highest", [HB_HIGH] = "high", [HB_MEDIUM] = "medium"};

bool
hb_precision_find(const char *name, HbPrecision *precision)
{
	for (int i = 0; i < HB_PRECISIONS; i++)
		if (strcmp(hb_precision_names[i], name) == 0)
		{
			*precision = (HbPrecision) i;
			return true;
		}
	return false;
}

const HbProvider *
hb_provider_kernels(void)
{
#ifdef HB_HAVE_X86_KERNELS
	if (hb_provider_avx512.available())
		return &hb_provider_avx512;
	if (hb_provider_avx2.available())
		return &hb_provider_avx2;
#endif
	return &hb_provider_reference;
}

#define NARROW_UNITS 24 /* layers of fewer have narrow products */

const HbProvider *
hb_provider_for_layer(const HbProvider *provider, size_t units)
{
	return units < NARROW_UNITS && provider->narrow != NULL ? provider->narrow : provider;
}

const char *
hb_provider_kernel_name(const HbProvider *provider)
{
	return provider->kernel_name ? provider->kernel_name() : provider->kernel;
}
