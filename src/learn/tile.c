/*
 * tile.c - mini-batches gathered, encoded and packed once for all trials of a chunk
 */
#include <string.h>

#include "compute/encode.h"
#include "learn/cohort.h"

bool
hb_tile_alloc(HbCohort *cohort, size_t capacity, size_t batch, bool training, HbTile *tile,
			  HbStatus *status)
{
	HbArena *arena = &cohort->arena;

	*tile = (HbTile){.capacity = capacity, .batch = batch};
	tile->count = hb_arena_alloc(arena, capacity, sizeof(size_t), status);
	tile->rows = hb_arena_alloc(arena, batch * cohort->padded, sizeof(float), status);
	tile->forward = hb_arena_alloc(arena, capacity, sizeof(hb_real *), status);
	tile->gradient = hb_arena_alloc(arena, capacity, sizeof(hb_real *), status);
	tile->labels = hb_arena_alloc(arena, capacity * batch, sizeof(uint32_t), status);
	tile->targets = hb_arena_alloc(arena, capacity * batch, sizeof(float), status);
	if (!tile->count || !tile->rows || !tile->forward || !tile->gradient || !tile->labels ||
		!tile->targets)
		return false;
	for (size_t i = 0; i < capacity; i++)
	{
		tile->forward[i] =
			hb_arena_alloc(arena, hb_packed_size(cohort->provider, cohort->padded, batch),
						   sizeof(hb_real), status);
		if (tile->forward[i] == NULL)
			return false;
		if (!training)
			continue;
		tile->gradient[i] =
			hb_arena_alloc(arena, hb_packed_size(cohort->provider, batch, cohort->padded),
						   sizeof(hb_real), status);
		if (tile->gradient[i] == NULL)
			return false;
	}
	return true;
}

static void
gather_targets(const HbCohort *cohort, const uint32_t *rows, size_t n, uint32_t *labels,
			   float *targets)
{
	const HbDataset *dataset = cohort->context->dataset;

	if (cohort->task == HB_TASK_REGRESSION)
		for (size_t s = 0; s < n; s++)
			targets[s] = ((const float *) dataset->targets)[rows[s]];
	else
		for (size_t s = 0; s < n; s++)
			labels[s] = ((const uint32_t *) dataset->targets)[rows[s]];
}

void
hb_tile_fill(const HbCohort *cohort, const uint32_t *rows, size_t n, size_t following, HbTile *tile)
{
	tile->nbatches = 0;
	for (size_t at = 0; at < n; at += tile->batch)
	{
		size_t i = tile->nbatches++;
		size_t count = n - at < tile->batch ? n - at : tile->batch;

		tile->count[i] = count;
		hb_encode_rows(&cohort->encoder, cohort->context->dataset, rows + at, (uint32_t) count,
					   (uint32_t) (n - at - count + following), tile->rows,
					   (uint32_t) cohort->padded);
		hb_pack_forward(cohort->provider, tile->rows, count, cohort->padded, cohort->padded,
						tile->forward[i]);
		if (tile->gradient[i] != NULL)
			hb_pack_gradient(cohort->provider, tile->rows, count, cohort->padded, cohort->padded,
							 tile->gradient[i]);
		gather_targets(cohort, rows + at, count, tile->labels + i * tile->batch,
					   tile->targets + i * tile->batch);
	}
}
