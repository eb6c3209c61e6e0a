/*
 * rng.h - counter-based random numbers (Philox4x32-10, Salmon et al., SC 2011; Random123)
 *
 * Every draw is a pure function of (seed, stream, index), so that results do not depend on who
 * draws first.  Streams are keyed by purpose: never share one between two uses.
 */
#ifndef HB_RNG_H
#define HB_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef enum HbStream
{
	HB_STREAM_SPACE = 1,    /* search-space draws; detail: hash of the parameter's name */
	HB_STREAM_ORDER = 2,    /* row order of an epoch; detail: epoch */
	HB_STREAM_INIT = 3,     /* weights; detail: trial number, then layer */
	HB_STREAM_DROPOUT = 4,  /* detail: trial number and step */
	HB_STREAM_SAMPLE = 5,   /* max_rows */
	HB_STREAM_GRID = 16,    /* order of a grid's points; detail: round and half, or a parameter */
	HB_STREAM_SOBOL = 17,   /* scrambling; detail: hash of the parameter's name */
	HB_STREAM_TPE = 18,     /* detail: trial number and attempt */
	HB_STREAM_GP = 19,      /* detail: trial number */
	HB_STREAM_SIMULATE = 32 /* order of recorded curves; detail: repetition */
} HbStream;

/* Four 32-bit words for the key (seed) and the counter (stream, detail, index). */
extern void
hb_random4(uint64_t seed, HbStream stream, uint64_t detail, uint32_t index, uint32_t out[4]);

/* Uniform in [0,1) with 53 bits. */
extern double hb_random_uniform(uint64_t seed, HbStream stream, uint64_t detail, uint32_t index);

/* Fills n standard normals (Box-Muller over consecutive indexes from 0). */
extern void
hb_random_normals(uint64_t seed, HbStream stream, uint64_t detail, float *out, size_t n);

/* Writes a uniformly random permutation of 0..n-1 (Fisher-Yates). */
extern void
hb_random_permutation(uint64_t seed, HbStream stream, uint64_t detail, uint32_t *out, uint32_t n);

/* XXH3-64 of bytes, for keys of streams; the 128-bit row hash is in hash.h. */
extern uint64_t hb_hash64(const void *bytes, size_t length, uint64_t seed);

#endif /* HB_RNG_H */
