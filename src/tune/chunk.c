/*
 * chunk.c - cuts the trials of a stage into chunks that trainers take one at a time
 *
 * A chunk's weights, state and gradients should stay in the cache while it goes through a tile of rows, and a
 * late stage of few trials should still keep several trainers busy.  But each chunk gathers the rows anew, which costs
 * as much as the products of 16 or 32 columns do: chunks of fewer are larger parts of their cohort.  Where the cuts are depends on the stage
 * alone: a chunk of another shape may round differently in the last bit.
 */
#include "tune/scheduler.h"

#include <stdlib.h>

#define MAX_ROWS 256.0 /* rows of the first layer's weights, all trials of a chunk together */
#define MIN_CHUNKS 8.0 /* a chunk is at most this part of its cohort's cost */
#define FEW_ROWS 32.0  /* until it has so many rows */
#define FEW_CHUNKS 4.0 /* it may be this part */

static int
compare_trials(const void *a, const void *b)
{
	const HbTrialView *x = *(const HbTrialView *const *) a;
	const HbTrialView *y = *(const HbTrialView *const *) b;

	if (x->batch_size != y->batch_size)
		return x->batch_size < y->batch_size ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static int
compare_chunks(const void *a, const void *b)
{
	const HbChunk *x = a;
	const HbChunk *y = b;

	if (x->cost != y->cost)
		return x->cost > y->cost ? -1 : 1;
	return x->numbers[0] < y->numbers[0] ? -1 : x->numbers[0] > y->numbers[0];
}

/* Trials of one batch size, from start on. */
static int
cohort_end(const HbTrialView *const *trials, int start, int n)
{
	int end = start;

	while (end < n && trials[end]->batch_size == trials[start]->batch_size)
		end++;
	return end;
}

/* Fills chunks from the trials of one cohort; returns how many there are now. */
static int
cut_cohort(const HbTrialView *const *trials, int n, int64_t *numbers, HbChunk *chunks, int nchunks)
{
	HbChunk *chunk = NULL;
	double rows = 0;
	double total = 0;

	for (int i = 0; i < n; i++)
		total += trials[i]->cost;
	/* equal trials should fill an eighth exactly, whatever rounding did to the sum */
	total *= 1 + 1e-9;
	for (int i = 0; i < n; i++)
	{
		const HbTrialView *trial = trials[i];
		double limit = total / (rows < FEW_ROWS ? FEW_CHUNKS : MIN_CHUNKS);

		if (!chunk || rows + trial->width > MAX_ROWS || chunk->cost + trial->cost > limit)
		{
			chunk = &chunks[nchunks++];
			chunk->batch_size = trial->batch_size;
			chunk->numbers = numbers + i;
			rows = 0;
		}
		chunk->numbers[chunk->ntrials++] = trial->number;
		chunk->cost += trial->cost;
		rows += trial->width;
	}
	return nchunks;
}

bool
hb_cut_chunks(const HbHost *host, const HbStudyState *state, const HbStage *stage, HbChunk **chunks,
			  int *nchunks, HbStatus *status)
{
	int n = stage->ntrials;
	const HbTrialView **trials = hb_alloc(host, n * sizeof(*trials));
	int64_t *numbers = hb_alloc(host, n * sizeof(*numbers));
	HbChunk *cut = hb_alloc(host, n * sizeof(*cut));
	int count = 0;

	if (!trials || !numbers || !cut)
		return hb_fail_memory(status, n * sizeof(*cut));
	for (int i = 0; i < n; i++)
	{
		if (stage->numbers[i] < 1 || stage->numbers[i] > state->ntrials)
			return hb_fail(status, HB_ERR_INTERNAL, "stage names trial %lld, which does not exist",
						   (long long) stage->numbers[i]);
		trials[i] = &state->trials[stage->numbers[i] - 1];
	}
	qsort(trials, n, sizeof(*trials), compare_trials);
	for (int start = 0; start < n;)
	{
		int end = cohort_end(trials, start, n);

		count = cut_cohort(trials + start, end - start, numbers + start, cut, count);
		start = end;
	}
	qsort(cut, count, sizeof(*cut), compare_chunks);
	hb_release(host, trials);
	*chunks = cut;
	*nchunks = count;
	return true;
}
