/*
 * random_floats.h - operands for the tests of providers: other ones with every call, the same in every run
 */
#ifndef HB_RANDOM_FLOATS_H
#define HB_RANDOM_FLOATS_H

#include <stdlib.h>

#include "core/rng.h"

/* Normal, aligned to 64 bytes; to be freed. */
static inline float *
random_floats(size_t n)
{
	static uint32_t draws;
	float *x = aligned_alloc(64, (n * sizeof(float) + 127) / 64 * 64);

	hb_random_normals(9, HB_STREAM_SPACE, draws++, x, n);
	return x;
}

#endif /* HB_RANDOM_FLOATS_H */
