/*
 * first.c - the first layers of a group of trials over a mini-batch: products of dense or of sparse rows
 *
 * Dense mini-batches are packed for product(), and weights stay as they are.  Where most inputs are the zeros of
 * categories, only the others are multiplied, each with what belongs to its input: the weights of all the group's lines,
 * which lie side by side for that (lines_w), and the gradient of these the same way.  Transposing weights, scores and
 * gradients costs far less than multiplying zeros, and the other layers and the optimizers see what they see of dense ones.
 */
#include "learn/cohort.h"

/* Weights that the group's products are with, of its first line on, and their biases. */
static const hb_real *
group_weights(const HbCohort *cohort, const HbGroup *group)
{
	return (group->baseline ? cohort->contrast_w : cohort->w) + group->line * cohort->stride;
}

static const hb_real *
group_biases(const HbCohort *cohort, const HbGroup *group)
{
	return (group->baseline ? cohort->contrast_b : cohort->b) + group->line;
}

void
hb_first_begin(const HbCohort *cohort, const HbGroup *group)
{
	if (cohort->row_values > 0)
		cohort->provider->transpose(group_weights(cohort, group), group->lines, cohort->inputs,
									cohort->stride, cohort->lines_w, hb_stride(group->lines));
}

static void
sparse_layer(const HbCohort *cohort, const HbGroup *group, const HbTile *tile, size_t i, size_t ld,
			 hb_real *z0)
{
	size_t stride = hb_stride(group->lines);
	HbSparseProduct product = {.x = &tile->sparse[i],
							   .m = tile->count[i],
							   .k = cohort->inputs,
							   .n = hb_padded(group->lines),
							   .a = cohort->lines_w,
							   .a_row = stride,
							   .bias = group_biases(cohort, group),
							   .c = cohort->lines_z,
							   .c_row = stride};

	cohort->provider->sparse_product(&product);
	cohort->provider->transpose(cohort->lines_z, tile->count[i], group->lines, stride, z0, ld);
}

static void
dense_layer(const HbCohort *cohort, const HbGroup *group, const HbTile *tile, size_t i, size_t ld,
			hb_real *z0)
{
	HbProduct product = {.m = group->lines,
						 .n = hb_padded(tile->count[i]),
						 .k = cohort->inputs,
						 .a = group_weights(cohort, group),
						 .a_row = cohort->stride,
						 .a_col = 1,
						 .c = z0,
						 .c_row = ld,
						 .bias = group_biases(cohort, group)};

	hb_product_packed(cohort->provider, tile->forward[i], cohort->padded, tile->count[i], 0,
					  &product);
	cohort->provider->product(&product);
}

void
hb_first_layer(const HbCohort *cohort, const HbGroup *group, const HbTile *tile, size_t i,
			   size_t ld, hb_real *z0)
{
	(cohort->row_values > 0 ? sparse_layer : dense_layer)(cohort, group, tile, i, ld, z0);
}

/* All of it with the first columns, from which the others are taken. */
static void
sparse_layer_gradient(const HbCohort *cohort, const HbGroup *group, const hb_real *d, size_t i,
					  size_t j, size_t count)
{
	size_t n = cohort->tile.count[i], stride = hb_stride(group->lines);
	HbSparseProduct product = {.x = &cohort->tile.sparse[i],
							   .m = n,
							   .k = cohort->padded,
							   .n = hb_padded(group->lines),
							   .a = cohort->lines_z,
							   .a_row = stride,
							   .c = cohort->lines_g,
							   .c_row = stride};

	if (j == 0)
	{
		cohort->provider->transpose(d, group->lines, n, cohort->workspace.ld, cohort->lines_z,
									stride);
		cohort->provider->sparse_gradient(&product);
	}
	cohort->provider->transpose(cohort->lines_g + j * stride, count, group->lines, stride,
								cohort->gradient, cohort->gradient_columns);
}

/* Weights and state of a group that stay in the second-level cache while a mini-batch passes by. */
#define NEAR_BYTES ((size_t) 256 << 10)

/* The product is of columns j..: the weights and state that its result is for come nearer meanwhile. */
static void
ask_ahead(const HbCohort *cohort, const HbGroup *group, size_t j, HbProduct *product)
{
	size_t at = cohort->members[group->first].row * cohort->stride + j;

	if (2 * group->lines * cohort->stride * sizeof(hb_real) <= NEAR_BYTES)
		return;
	product->ahead[0] = cohort->w + at;
	product->ahead[1] = cohort->state_w[0] ? cohort->state_w[0] + at : product->ahead[0];
}

/* A mini-batch's columns j.. as the product's B. */
static void
take_columns(const HbCohort *cohort, size_t i, size_t j, HbProduct *product)
{
	const HbTile *tile = &cohort->tile;

	if (tile->plain)
	{
		product->b = tile->gradient[i] + j;
		product->b_row = product->b_width = tile->plain;
	}
	else
		hb_product_packed(cohort->provider, tile->gradient[i], tile->count[i], cohort->padded, j,
						  product);
}

static void
dense_layer_gradient(const HbCohort *cohort, const HbGroup *group, const hb_real *d, size_t i,
					 size_t j, size_t count)
{
	size_t n = cohort->tile.count[i];
	HbProduct product = {.m = group->lines,
						 .n = count,
						 .k = n,
						 .a = d,
						 .a_row = cohort->workspace.ld,
						 .a_col = 1,
						 .c = cohort->gradient,
						 .c_row = cohort->gradient_columns,
						 .reuse_a = j > 0 ? HB_AGAIN : HB_FIRST,
						 .ahead_row = cohort->stride};

	take_columns(cohort, i, j, &product);
	ask_ahead(cohort, group, j, &product);
	cohort->provider->product(&product);
}

void
hb_first_gradient(const HbCohort *cohort, const HbGroup *group, const hb_real *d, size_t i,
				  size_t j, size_t count)
{
	(cohort->row_values > 0 ? sparse_layer_gradient : dense_layer_gradient)(cohort, group, d, i, j,
																			count);
}
