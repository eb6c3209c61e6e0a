/*
 * chunk.c - cuts the trials of a stage into chunks that trainers take one at a time
 *
 * Each chunk passes over the rows by itself, and reading and packing a row costs as much as the products of dozens of
 * columns do: a chunk should be large.  But all trainers should have work until the stage ends.  So a stage whose trials
 * have one batch size makes a chunk for each trainer, equal by longest processing time first (Graham, SIAM J. Appl.
 * Math. 17, 1969); where there are several batch sizes, chunks are a fourth of that, so that trainers can even them out.
 * A trial's result does not depend on the chunk that it is in.
 */
#include "tune/scheduler.h"

#include <math.h>
#include <stdlib.h>

#define UNEVEN_PARTS 4 /* chunks a trainer where cohorts differ */

/* Trials of one batch size together, dearest first. */
static int
compare_trials(const void *a, const void *b)
{
	const HbTrialView *x = *(const HbTrialView *const *) a;
	const HbTrialView *y = *(const HbTrialView *const *) b;

	if (x->batch_size != y->batch_size)
		return x->batch_size < y->batch_size ? -1 : 1;
	if (x->cost != y->cost)
		return x->cost > y->cost ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int
hb_compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a;
	int64_t y = *(const int64_t *) b;

	return x < y ? -1 : x > y;
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

/* So many that each may have about share; where that is beyond the limit, each is cut again into equal parts. */
static int
count_parts(const HbTrialView *const *trials, int n, double share, HbChunkLimit limit)
{
	double cost = 0, size = 0;
	double parts;

	for (int i = 0; i < n; i++)
	{
		cost += trials[i]->cost;
		size += trials[i]->size;
	}
	parts = fmax(1, ceil(cost / share - 1e-6));
	parts *= fmax(1, ceil(fmax(size / limit.size, cost / limit.cost) / parts - 1e-6));
	return parts >= 1 && parts < n ? (int) parts : n;
}

static bool
cheaper(const HbChunk *chunks, int a, int b)
{
	return chunks[a].cost < chunks[b].cost || (chunks[a].cost == chunks[b].cost && a < b);
}

/* A heap by cost whose first element became dearer: down it goes. */
static void
sink(const HbChunk *chunks, int *heap, int parts)
{
	for (int at = 0;;)
	{
		int child = 2 * at + 1, moved = heap[at];

		if (child + 1 < parts && cheaper(chunks, heap[child + 1], heap[child]))
			child++;
		if (child >= parts || cheaper(chunks, moved, heap[child]))
			return;
		heap[at] = heap[child];
		heap[child] = moved;
		at = child;
	}
}

/*
 * Each trial, dearest first, joins the chunk that is cheapest so far.  numbers, part and heap: a place for each.
 */
static void
fill_chunks(const HbTrialView *const *trials, int n, HbChunk *chunks, int parts, int64_t *numbers,
			int *part, int *heap)
{
	for (int p = 0; p < parts; p++)
		heap[p] = p; /* all cost nothing yet */
	for (int i = 0; i < n; i++)
	{
		part[i] = heap[0];
		chunks[part[i]].cost += trials[i]->cost;
		chunks[part[i]].ntrials++;
		sink(chunks, heap, parts);
	}
	for (int p = 0; p < parts; p++)
	{
		chunks[p].batch_size = trials[0]->batch_size;
		chunks[p].numbers = numbers;
		numbers += chunks[p].ntrials;
		chunks[p].ntrials = 0;
	}
	for (int i = 0; i < n; i++)
		chunks[part[i]].numbers[chunks[part[i]].ntrials++] = trials[i]->number;
	for (int p = 0; p < parts; p++)
		qsort(chunks[p].numbers, chunks[p].ntrials, sizeof(int64_t), hb_compare_numbers);
}

/* The part of the stage's cost that a chunk may have. */
static double
chunk_share(const HbTrialView *const *trials, int n, int trainers)
{
	double total = 0;

	for (int i = 0; i < n; i++)
		total += trials[i]->cost;
	if (trainers > 1 && cohort_end(trials, 0, n) < n)
		trainers *= UNEVEN_PARTS;
	return total / trainers;
}

bool
hb_cut_chunks(const HbHost *host, const HbStudyState *state, const HbStage *stage, int trainers,
			  HbChunkLimit limit, HbChunk **chunks, int *nchunks, HbStatus *status)
{
	int n = stage->ntrials;
	const HbTrialView **trials = hb_alloc(host, n * sizeof(*trials));
	int64_t *numbers = hb_alloc(host, n * sizeof(*numbers));
	int *part = hb_alloc(host, 2 * n * sizeof(*part));
	HbChunk *cut = hb_alloc(host, n * sizeof(*cut));
	int count = 0;
	double share;

	if (!trials || !numbers || !part || !cut)
		return hb_fail_memory(status, n * sizeof(*cut));
	for (int i = 0; i < n; i++)
	{
		if (stage->numbers[i] < 1 || stage->numbers[i] > state->ntrials)
			return hb_fail(status, HB_ERR_INTERNAL, "stage names trial %lld, which does not exist",
						   (long long) stage->numbers[i]);
		trials[i] = &state->trials[stage->numbers[i] - 1];
	}
	qsort(trials, n, sizeof(*trials), compare_trials);
	share = chunk_share(trials, n, trainers);
	for (int start = 0; start < n;)
	{
		int end = cohort_end(trials, start, n);
		int parts = count_parts(trials + start, end - start, share, limit);

		fill_chunks(trials + start, end - start, cut + count, parts, numbers + start, part,
					part + n);
		count += parts;
		start = end;
	}
	qsort(cut, count, sizeof(*cut), compare_chunks);
	hb_release(host, trials);
	hb_release(host, part);
	*chunks = cut;
	*nchunks = count;
	return true;
}
