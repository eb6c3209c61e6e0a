/*
 * rng.c - Philox4x32-10 draws (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, SC 2011)
 *
 * The key is the seed, the counter is (stream, detail, index): the same words come out of Random123 and of
 * CUDA's generator on a GPU.  Bounded draws follow Lemire, Fast random integer generation in an interval, 2019.
 */
#include "core/rng.h"

#include <math.h>

#include <Random123/philox.h>
#include <xxhash.h>

#define WORD_BLOCKS 64          /* Philox blocks drawn at once */
#define WORDS (WORD_BLOCKS * 4) /* 32-bit words in them */
#define SWAPS 256               /* exchanges looked up ahead of time */
#define TWO_PI 6.283185307179586476925f

static inline philox4x32_ctr_t
block(uint64_t seed, HbStream stream, uint64_t detail, uint32_t index)
{
	philox4x32_key_t key = {{(uint32_t) seed, (uint32_t) (seed >> 32)}};
	philox4x32_ctr_t counter = {
		{(uint32_t) stream, (uint32_t) detail, (uint32_t) (detail >> 32), index}};

	return philox4x32(counter, key);
}

void
hb_random4(uint64_t seed, HbStream stream, uint64_t detail, uint32_t index, uint32_t out[4])
{
	philox4x32_ctr_t words = block(seed, stream, detail, index);

	for (int i = 0; i < 4; i++)
		out[i] = words.v[i];
}

double
hb_random_uniform(uint64_t seed, HbStream stream, uint64_t detail, uint32_t index)
{
	philox4x32_ctr_t words = block(seed, stream, detail, index);
	uint64_t bits = ((uint64_t) words.v[1] << 32) | words.v[0];

	return (double) (bits >> 11) * 0x1p-53;
}

/* Two normals from two words.  The half keeps the logarithm finite; 24 bits are what a float holds below 1. */
static inline void
box_muller(uint32_t a, uint32_t b, float *x, float *y)
{
	float radius = sqrtf(-2.0f * logf(((float) (a >> 8) + 0.5f) * 0x1p-24f));
	float angle = TWO_PI * ((float) (b >> 8) * 0x1p-24f);

	*x = radius * cosf(angle);
	*y = radius * sinf(angle);
}

void
hb_random_normals(uint64_t seed, HbStream stream, uint64_t detail, float *out, size_t n)
{
	uint32_t index = 0;
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
	{
		philox4x32_ctr_t words = block(seed, stream, detail, index++);

		box_muller(words.v[0], words.v[1], &out[i], &out[i + 1]);
		box_muller(words.v[2], words.v[3], &out[i + 2], &out[i + 3]);
	}
	if (i < n)
	{
		philox4x32_ctr_t words = block(seed, stream, detail, index);
		float last[4];

		box_muller(words.v[0], words.v[1], &last[0], &last[1]);
		box_muller(words.v[2], words.v[3], &last[2], &last[3]);
		for (int k = 0; i < n; i++, k++)
			out[i] = last[k];
	}
}

/* Words of one stream, drawn many at a time. */
typedef struct WordSource
{
	uint64_t seed;
	uint64_t detail;
	HbStream stream;
	uint32_t next_block;
	int position;
	uint32_t words[WORDS];
} WordSource;

static void
refill(WordSource *source)
{
	for (int i = 0; i < WORD_BLOCKS; i++)
	{
		philox4x32_ctr_t words =
			block(source->seed, source->stream, source->detail, source->next_block + i);

		for (int k = 0; k < 4; k++)
			source->words[4 * i + k] = words.v[k];
	}
	source->next_block += WORD_BLOCKS;
	source->position = 0;
}

static inline uint32_t
next_word(WordSource *source)
{
	if (source->position == WORDS)
		refill(source);
	return source->words[source->position++];
}

/* Uniform in 0..range-1, without bias. */
static inline uint32_t
below(WordSource *source, uint32_t range)
{
	uint64_t product = (uint64_t) next_word(source) * range;

	if ((uint32_t) product < range)
	{
		uint32_t threshold = -range % range;

		while ((uint32_t) product < threshold)
			product = (uint64_t) next_word(source) * range;
	}
	return (uint32_t) (product >> 32);
}

void
hb_random_permutation(uint64_t seed, HbStream stream, uint64_t detail, uint32_t *out, uint32_t n)
{
	WordSource source = {.seed = seed, .detail = detail, .stream = stream, .position = WORDS};
	uint32_t partner[SWAPS];
	uint32_t remaining = n;

	for (uint32_t i = 0; i < n; i++)
		out[i] = i;
	/* The partners of many exchanges are drawn first, so that their cache misses overlap. */
	while (remaining > 1)
	{
		uint32_t batch = remaining - 1 < SWAPS ? remaining - 1 : SWAPS;

		for (uint32_t k = 0; k < batch; k++)
		{
			partner[k] = below(&source, remaining - k);
			__builtin_prefetch(&out[partner[k]], 1);
		}
		for (uint32_t k = 0; k < batch; k++)
		{
			uint32_t last = remaining - k - 1;
			uint32_t swapped = out[last];

			out[last] = out[partner[k]];
			out[partner[k]] = swapped;
		}
		remaining -= batch;
	}
}

uint64_t
hb_hash64(const void *bytes, size_t length, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, length, seed);
}
