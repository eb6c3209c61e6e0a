/*
 * registry.h - look-up by name in a registry whose entries may not be built yet
 *
 * Not part of the interface of tune: its samplers and schedulers answer unknown names alike.
 */
#ifndef HB_TUNE_REGISTRY_H
#define HB_TUNE_REGISTRY_H

#include "core/status.h"

typedef struct HbRegistryEntry
{
	const char *name;
	bool available;
} HbRegistryEntry;

/*
 * Index of the available entry with this name among n; -1 with a status: 22023 with a hint that lists the
 * available ones, 0A000 where the name is known but not available.  kind: "sampler", without plural.
 */
extern int hb_registry_find(const char *kind, const HbRegistryEntry *entries, int n,
							const char *name, HbStatus *status);

#endif /* HB_TUNE_REGISTRY_H */
