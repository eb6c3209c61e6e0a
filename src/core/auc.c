/*
 * auc.c - the area under the ROC curve, for every class of every trial at every rung: it has to be quick
 *
 * By rank sums, in integers: with the fewer of the two sides sorted, each row needs only know how many of these lie below its
 * score, and how many are equal.  A table of buckets over their range tells that at once for a row whose bucket holds none; in
 * the others a few are compared.  Where scores gather in few buckets both sides are sorted and merged.  Scores are compared by
 * bits that sort as they do, and sorted by radix.  With weights all rows are sorted.
 */
#include "core/auc.h"

#include <math.h>
#include <string.h>

/* Bits of a float that sort as unsigned numbers do; -0 sorts as 0. */
static inline uint32_t
sortable(float value)
{
	uint32_t bits;

	value += 0.0f;
	memcpy(&bits, &value, sizeof(bits));
	return bits ^ ((uint32_t) ((int32_t) bits >> 31) | 0x80000000u);
}

/* What the rows are sorted by for a class: its scores, of two raw ones their difference. */
typedef struct Scores
{
	const float *score;
	const float *less; /* NULL: none */
} Scores;

static inline uint32_t
key_of(const Scores *scores, size_t i)
{
	return sortable(scores->less ? scores->score[i] - scores->less[i] : scores->score[i]);
}

/* Of rows at..at+count; a loop that is made vectors of. */
static inline __attribute__((always_inline)) void
find_keys(const Scores *scores, size_t at, size_t count, uint32_t *restrict keys)
{
	const Scores own = *scores;

	for (size_t i = 0; i < count; i++)
		keys[i] = key_of(&own, at + i);
}

/* ---- sorting ---- */

#define FEW_KEYS 64    /* up to here insertion is quickest */
#define SOME_KEYS 2048 /* up to here digits of 8 bits, then of 11 */
#define MOST_DIGITS 2048
#define MOST_PASSES 4

static void
insert_keys(uint32_t *keys, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		uint32_t key = keys[i];
		size_t j = i;

		for (; j > 0 && keys[j - 1] > key; j--)
			keys[j] = keys[j - 1];
		keys[j] = key;
	}
}

/* The result is in the array returned.  A digit that all keys share costs no pass. */
static inline uint32_t *
radix_keys(uint32_t *keys, uint32_t *spare, size_t n, int bits, int passes)
{
	uint32_t start[MOST_PASSES][MOST_DIGITS], mask = (1u << bits) - 1;

	for (int pass = 0; pass < passes; pass++)
		memset(start[pass], 0, sizeof(uint32_t) << bits);
	for (size_t i = 0; i < n; i++)
		for (int pass = 0; pass < passes; pass++)
			start[pass][(keys[i] >> (pass * bits)) & mask]++;
	for (int pass = 0; pass < passes; pass++)
	{
		int shift = pass * bits;
		uint32_t *swap = keys, total = 0;

		if (start[pass][(keys[0] >> shift) & mask] == n)
			continue;
		for (uint32_t digit = 0; digit <= mask; digit++)
		{
			uint32_t count = start[pass][digit];

			start[pass][digit] = total;
			total += count;
		}
		for (size_t i = 0; i < n; i++)
			spare[start[pass][(keys[i] >> shift) & mask]++] = keys[i];
		keys = spare;
		spare = swap;
	}
	return keys;
}

static uint32_t *
sort_keys(uint32_t *keys, uint32_t *spare, size_t n)
{
	if (n <= FEW_KEYS)
	{
		insert_keys(keys, n);
		return keys;
	}
	return n <= SOME_KEYS ? radix_keys(keys, spare, n, 8, 4) : radix_keys(keys, spare, n, 11, 3);
}

/* ---- the fewer sorted, the others looked up ---- */

#define LEAST_BUCKETS 256
#define MOST_BUCKETS 131072
#define BLOCK_ROWS 256
/* Keys that are compared at once, whatever the bucket holds: those beyond it are larger. */
#define COMPARED 8

/* Sorted keys, and where in them each bucket begins: bucket 0 lies below them all, the last but one above. */
typedef struct Ladder
{
	const uint32_t *keys;
	uint32_t least;
	uint32_t largest;
	int shift;
	uint32_t last;     /* bucket */
	uint32_t *entries; /* last + 2: where it begins, times two, and whether it holds any */
} Ladder;

static inline uint32_t
bucket_of(const Ladder *ladder, uint32_t key)
{
	uint32_t bucket = ((key - ladder->least) >> ladder->shift) + 1;

	bucket = key < ladder->least ? 0 : bucket;
	return key > ladder->largest ? ladder->last : bucket;
}

static void
build_ladder(Ladder *ladder, const uint32_t *keys, size_t n, uint32_t *entries)
{
	uint32_t buckets = LEAST_BUCKETS, filled = 0;

	while (buckets < MOST_BUCKETS && buckets < 2 * n)
		buckets *= 2;
	*ladder = (Ladder){.keys = keys, .least = keys[0], .largest = keys[n - 1], .entries = entries};
	while ((ladder->largest - ladder->least) >> ladder->shift >= buckets)
		ladder->shift++;
	ladder->last = ((ladder->largest - ladder->least) >> ladder->shift) + 2;
	for (uint32_t j = 0; j < n; j++)
	{
		uint32_t bucket = bucket_of(ladder, keys[j]);

		while (filled < bucket)
			entries[filled++] = j << 1;
		if (filled == bucket)
			entries[filled++] = j << 1 | 1;
	}
	while (filled < ladder->last + 2)
		entries[filled++] = (uint32_t) n << 1;
}

/* The first of keys from..to that is not below key. */
static uint32_t
lower_bound(const uint32_t *keys, uint32_t from, uint32_t to, uint32_t key)
{
	while (from < to)
	{
		uint32_t middle = from + (to - from) / 2;

		if (keys[middle] < key)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Of the sorted keys from..to, twice those below key plus those equal to it. */
static uint64_t
rank_among(const uint32_t *keys, uint32_t from, uint32_t to, uint32_t key)
{
	uint32_t low = lower_bound(keys, from, to, key), high = lower_bound(keys, low, to, key + 1);

	return 2 * (uint64_t) (low - from) + (high - low);
}

/* Keys and buckets of rows at..at+count. */
static inline __attribute__((always_inline)) void
find_buckets_any(const Ladder *ladder, const Scores *scores, size_t at, size_t count,
				 uint32_t *restrict keys, uint32_t *restrict buckets)
{
	const Ladder own = *ladder;

	find_keys(scores, at, count, keys);
	for (size_t i = 0; i < count; i++)
		buckets[i] = bucket_of(&own, keys[i]);
}

static void
find_buckets(const Ladder *ladder, const Scores *scores, size_t at, size_t count, uint32_t *keys,
			 uint32_t *buckets)
{
	find_buckets_any(ladder, scores, at, count, keys, buckets);
}

#if defined(__x86_64__)
/* The same in vectors of eight: baseline ones cannot compare unsigned numbers. */
__attribute__((target("avx2"))) static void
find_buckets_avx2(const Ladder *ladder, const Scores *scores, size_t at, size_t count,
				  uint32_t *keys, uint32_t *buckets)
{
	find_buckets_any(ladder, scores, at, count, keys, buckets);
}
#endif

/* Of all rows: twice the ladder's keys that are below, plus those that are equal.  false: too many had to be searched for. */
static bool
rank_rows(const Ladder *ladder, const Scores *scores, size_t n, uint64_t *ranks)
{
	void (*find)(const Ladder *, const Scores *, size_t, size_t, uint32_t *, uint32_t *) =
		find_buckets;
	uint32_t keys[BLOCK_ROWS], buckets[BLOCK_ROWS], later[BLOCK_ROWS];
	uint32_t below[COMPARED] = {0}, upto[COMPARED] = {0};
	uint64_t sum = 0;
	size_t searched = 0;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		find = find_buckets_avx2;
#endif
	for (size_t at = 0; at < n; at += BLOCK_ROWS)
	{
		size_t count = n - at < BLOCK_ROWS ? n - at : BLOCK_ROWS;
		uint32_t waiting = 0;

		find(ladder, scores, at, count, keys, buckets);
		for (size_t i = 0; i < count; i++)
		{
			uint32_t entry = ladder->entries[buckets[i]];

			sum += entry & ~1u;
			later[waiting] = (uint32_t) i;
			waiting += entry & 1;
		}
		for (uint32_t w = 0; w < waiting; w++)
		{
			uint32_t bucket = buckets[later[w]], key = keys[later[w]];
			uint32_t from = ladder->entries[bucket] >> 1, to = ladder->entries[bucket + 1] >> 1;

			if (to - from > COMPARED)
			{
				searched++;
				sum += rank_among(ladder->keys, from, to, key);
			}
			else
				for (int j = 0; j < COMPARED; j++)
				{
					below[j] += ladder->keys[from + j] < key;
					upto[j] += ladder->keys[from + j] <= key;
				}
		}
		if (searched > FEW_KEYS + (at + count) / 8)
			return false;
	}
	for (int j = 0; j < COMPARED; j++)
		sum += (uint64_t) below[j] + upto[j];
	*ranks = sum;
	return true;
}

/* ---- both sides sorted ---- */

/* Twice the negatives that lie below each positive, plus those that are equal to it. */
static uint64_t
merge_ranks(const uint32_t *positive, size_t npositive, const uint32_t *negative, size_t nnegative)
{
	size_t below = 0, upto = 0;
	uint64_t ranks = 0;

	for (size_t i = 0; i < npositive; i++)
	{
		while (below < nnegative && negative[below] < positive[i])
			below++;
		if (upto < below)
			upto = below;
		while (upto < nnegative && negative[upto] == positive[i])
			upto++;
		ranks += below + upto;
	}
	return ranks;
}

/* ---- a class ---- */

/* What one evaluation's classes share. */
typedef struct Areas
{
	size_t n;
	const uint32_t *labels;
	uint32_t *by_class; /* rows, class by class; NULL: of two classes */
	uint32_t *ends;     /* by class, in by_class */
	uint32_t *keys;     /* 4 n + COMPARED */
	uint32_t *entries;  /* those of the ladders */
} Areas;

static double
area_by_sorting(const Areas *areas, const Scores *scores, uint32_t k)
{
	size_t n = areas->n, npositive = 0;
	uint32_t *positive = areas->keys, *negative = positive + n, *spare = positive + 2 * n;

	find_keys(scores, 0, n, spare);
	for (size_t i = 0; i < n; i++)
	{
		positive[npositive] = spare[i];
		negative[i - npositive] = spare[i];
		npositive += areas->labels[i] == k;
	}
	positive = sort_keys(positive, spare, npositive);
	negative = sort_keys(negative, spare + n, n - npositive);
	return 0.5 * (double) merge_ranks(positive, npositive, negative, n - npositive) /
		   ((double) npositive * (double) (n - npositive));
}

/* Keys of one side of class k, which is wanted of them, to areas->keys. */
static void
gather_keys(const Areas *areas, const Scores *scores, uint32_t k, bool wanted)
{
	const uint32_t *rows = areas->by_class;
	size_t few = 0;

	if (rows == NULL)
		for (size_t i = 0; i < areas->n; i++)
		{
			areas->keys[few] = key_of(scores, i);
			few += (areas->labels[i] == k) == wanted;
		}
	else
	{
		size_t begin = k > 0 ? areas->ends[k - 1] : 0, end = areas->ends[k];

		for (size_t j = wanted ? begin : 0; j < (wanted ? end : begin); j++)
			areas->keys[few++] = key_of(scores, rows[j]);
		for (size_t j = end; !wanted && j < areas->n; j++)
			areas->keys[few++] = key_of(scores, rows[j]);
	}
}

/*
 * Ranks of a side's own keys among themselves add up to the square of their number: each pair counts twice, each key once for
 * itself.
 */
static double
class_area(const Areas *areas, const Scores *scores, uint32_t k)
{
	size_t npositive = areas->ends[k] - (k > 0 ? areas->ends[k - 1] : 0);
	size_t nnegative = areas->n - npositive;
	bool positive = npositive <= nnegative;
	size_t few = positive ? npositive : nnegative;
	uint32_t *sorted;
	uint64_t ranks;
	Ladder ladder;

	if (few == 0)
		return NAN;
	/* then sorting the others, too, is quicker than looking all up */
	if (few > areas->n / 4)
		return area_by_sorting(areas, scores, k);
	gather_keys(areas, scores, k, positive);
	sorted = sort_keys(areas->keys, areas->keys + few, few);
	for (int j = 0; j < COMPARED; j++)
		sorted[few + j] = UINT32_MAX;
	build_ladder(&ladder, sorted, few, areas->entries);
	if (!rank_rows(&ladder, scores, areas->n, &ranks))
		return area_by_sorting(areas, scores, k);
	ranks -= (uint64_t) few * few;
	if (positive)
		ranks = 2 * (uint64_t) npositive * nnegative - ranks;
	return 0.5 * (double) ranks / ((double) npositive * (double) nnegative);
}

/* Of two classes only one is looked at, so that their numbers are enough. */
static void
count_two(Areas *areas)
{
	uint32_t second = 0;

	for (size_t i = 0; i < areas->n; i++)
		second += areas->labels[i] == 1;
	areas->ends[0] = (uint32_t) areas->n - second;
	areas->ends[1] = (uint32_t) areas->n;
	areas->by_class = NULL;
}

static void
sort_by_class(Areas *areas, uint32_t outputs)
{
	uint32_t total = 0;

	memset(areas->ends, 0, outputs * sizeof(uint32_t));
	for (size_t i = 0; i < areas->n; i++)
		areas->ends[areas->labels[i]]++;
	for (uint32_t k = 0; k < outputs; k++)
	{
		uint32_t count = areas->ends[k];

		areas->ends[k] = total;
		total += count;
	}
	/* filling moves each class's begin to its end */
	for (size_t i = 0; i < areas->n; i++)
		areas->by_class[areas->ends[areas->labels[i]]++] = (uint32_t) i;
}

/* ---- weighted ---- */

/* Sorts by the upper 32 bits of each item; the result is in the array returned. */
static uint64_t *
radix_items(uint64_t *items, uint64_t *spare, size_t n)
{
	for (int shift = 32; shift < 64; shift += 11)
	{
		size_t start[MOST_DIGITS] = {0}, total = 0;
		uint64_t *swap = items;

		for (size_t i = 0; i < n; i++)
			start[(items[i] >> shift) & (MOST_DIGITS - 1)]++;
		for (int digit = 0; digit < MOST_DIGITS; digit++)
		{
			size_t count = start[digit];

			start[digit] = total;
			total += count;
		}
		for (size_t i = 0; i < n; i++)
			spare[start[(items[i] >> shift) & (MOST_DIGITS - 1)]++] = items[i];
		items = spare;
		spare = swap;
	}
	return items;
}

/* items: room for 2 n; score in the upper half, row number in the lower. */
static double
weighted_area(const Areas *areas, const Scores *scores, const float *weight, uint32_t k,
			  uint64_t *items)
{
	double below = 0; /* weight of negatives with a lower score */
	double positives = 0, wins = 0;
	size_t n = areas->n;

	for (size_t i = 0; i < n; i++)
		items[i] = (uint64_t) key_of(scores, i) << 32 | (uint32_t) i;
	items = radix_items(items, items + n, n);
	for (size_t i = 0; i < n;)
	{
		uint32_t score = (uint32_t) (items[i] >> 32);
		double tied_positive = 0, tied_negative = 0;

		for (; i < n && (uint32_t) (items[i] >> 32) == score; i++)
		{
			uint32_t row = (uint32_t) items[i];

			if (areas->labels[row] == k)
				tied_positive += (double) weight[row];
			else
				tied_negative += (double) weight[row];
		}
		wins += tied_positive * (below + 0.5 * tied_negative);
		positives += tied_positive;
		below += tied_negative;
	}
	return positives > 0 && below > 0 ? wins / (positives * below) : NAN;
}

bool
hb_auc(const HbHost *host, const float *scores, const uint32_t *labels, const float *weight,
	   size_t n, uint32_t outputs, bool calibrated, double *result, HbStatus *status)
{
	size_t nkeys = 4 * n + COMPARED; /* or 2 n items */
	/* a ladder has at most n / 2 keys, so fewer than 2 n buckets unless it has the least number */
	size_t nentries = (2 * n < MOST_BUCKETS ? 2 * n + LEAST_BUCKETS : MOST_BUCKETS) + 4;
	size_t bytes = (nkeys + n + outputs + nentries) * sizeof(uint32_t);
	uint32_t *work = hb_alloc(host, bytes);
	Areas areas = {.n = n, .labels = labels, .keys = work};
	double sum = 0;
	int classes = 0;

	if (!work)
		return hb_fail_memory(status, bytes);
	areas.by_class = work + nkeys;
	areas.ends = areas.by_class + n;
	areas.entries = areas.ends + outputs;
	if (outputs == 2 && !weight)
		count_two(&areas);
	else if (!weight)
		sort_by_class(&areas, outputs);
	for (uint32_t k = outputs == 2 ? 1 : 0; k < outputs; k++)
	{
		Scores of_class = {scores + k * n, outputs == 2 && !calibrated ? scores : NULL};
		double value = weight ? weighted_area(&areas, &of_class, weight, k, (uint64_t *) work)
							  : class_area(&areas, &of_class, k);

		if (!isnan(value))
		{
			sum += value;
			classes++;
		}
	}
	hb_release(host, work);
	*result = classes > 0 ? sum / classes : NAN;
	return true;
}
