/*
 * tile.c - mini-batches gathered, encoded and packed, or kept sparse, once for all trials of a chunk
 */
#include <string.h>

#include "compute/encode.h"
#include "learn/cohort.h"

#define LINE (64 / sizeof(float))

/* First-layer rows that make up for packing, which saves each of them a little. */
#define PACK_FOR_ROWS 96

/*
 * The length of rows that the gradient's product reads as they are encoded; 0: packing them pays.  An odd number of cache
 * lines spreads the rows over the sets of the first-level cache; where a panel holds a row, it lies like this anyway.
 */
static size_t
plain_length(const HbCohort *cohort)
{
	size_t lines = (cohort->padded + LINE - 1) / LINE;

	if (sizeof(hb_real) != sizeof(float) || cohort->provider->panel == 0 ||
		cohort->provider->pack != NULL)
		return 0;
	if (cohort->padded <= cohort->provider->panel)
		return cohort->padded;
	return cohort->rows <= PACK_FOR_ROWS ? (lines | 1) * LINE : 0;
}

/* A mini-batch packed for products. */
static bool
alloc_dense(HbCohort *cohort, HbTile *tile, size_t i, bool training, HbStatus *status)
{
	HbArena *arena = &cohort->arena;
	size_t forward = hb_packed_size(cohort->provider, cohort->padded, tile->batch);
	size_t gradient = tile->plain ? tile->batch * tile->plain
								  : hb_packed_size(cohort->provider, tile->batch, cohort->padded);

	tile->forward[i] = hb_arena_alloc(arena, forward, sizeof(hb_real), status);
	if (training)
		tile->gradient[i] = hb_arena_alloc(arena, gradient, sizeof(hb_real), status);
	return tile->forward[i] && (tile->gradient[i] || !training);
}

static bool
alloc_sparse(HbCohort *cohort, HbTile *tile, size_t i, HbStatus *status)
{
	HbArena *arena = &cohort->arena;
	size_t values = tile->batch * cohort->row_values;
	HbSparse *x = &tile->sparse[i];

	x->begin = hb_arena_alloc(arena, tile->batch + 1, sizeof(uint32_t), status);
	x->column = hb_arena_alloc(arena, values, sizeof(uint32_t), status);
	x->value = hb_arena_alloc(arena, values, sizeof(float), status);
	if (!x->begin || !x->column || !x->value)
		return false;
	hb_sparse_rows_lay_out(&cohort->encoder, tile->batch, x);
	return true;
}

bool
hb_tile_alloc(HbCohort *cohort, size_t capacity, size_t batch, bool training, HbTile *tile,
			  HbStatus *status)
{
	HbArena *arena = &cohort->arena;
	bool sparse = cohort->row_values > 0;

	*tile = (HbTile){.capacity = capacity,
					 .batch = batch,
					 .plain = training && !sparse ? plain_length(cohort) : 0};
	tile->count = hb_arena_alloc(arena, capacity, sizeof(size_t), status);
	tile->rows = hb_arena_alloc(arena, sparse || tile->plain ? 0 : batch * cohort->padded,
								sizeof(float), status);
	tile->forward = hb_arena_alloc(arena, capacity, sizeof(hb_real *), status);
	tile->gradient = hb_arena_alloc(arena, capacity, sizeof(hb_real *), status);
	tile->sparse = hb_arena_alloc(arena, capacity, sizeof(HbSparse), status);
	tile->labels = hb_arena_alloc(arena, capacity * batch, sizeof(uint32_t), status);
	tile->targets = hb_arena_alloc(arena, capacity * batch, sizeof(float), status);
	if (!tile->count || !tile->rows || !tile->forward || !tile->gradient || !tile->sparse ||
		!tile->labels || !tile->targets)
		return false;
	for (size_t i = 0; i < capacity; i++)
		if (!(sparse ? alloc_sparse(cohort, tile, i, status)
					 : alloc_dense(cohort, tile, i, training, status)))
			return false;
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

static void
fill_dense(const HbCohort *cohort, const uint32_t *rows, size_t following, size_t i, HbTile *tile)
{
	size_t count = tile->count[i];
	size_t length = tile->plain ? tile->plain : cohort->padded;
	float *x = tile->plain ? (float *) tile->gradient[i] : tile->rows;

	hb_encode_rows(&cohort->encoder, cohort->context->dataset, rows, (uint32_t) count,
				   (uint32_t) following, x, (uint32_t) length);
	hb_pack_forward(cohort->provider, x, count, cohort->padded, length, tile->forward[i]);
	if (tile->gradient[i] != NULL && !tile->plain)
		hb_pack_gradient(cohort->provider, x, count, cohort->padded, length, tile->gradient[i]);
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
		if (cohort->row_values > 0)
			hb_encode_sparse_rows(&cohort->encoder, cohort->context->dataset, rows + at,
								  (uint32_t) count, (uint32_t) (n - at - count + following),
								  &tile->sparse[i]);
		else
			fill_dense(cohort, rows + at, n - at - count + following, i, tile);
		gather_targets(cohort, rows + at, count, tile->labels + i * tile->batch,
					   tile->targets + i * tile->batch);
	}
}
