/*
 * backward.c - backpropagation (Rumelhart, Hinton and Williams, 1986) through all layers but the first,
 * whose gradient is one product over the whole chunk (first.c)
 *
 * A weight matrix's gradient never exists as a whole: a block of columns is computed and at once
 * used by the optimizer while it is in the first-level cache.
 */
#include "learn/network.h"

void
hb_update_block(HbLayer *layer, size_t column, HbUpdate *update)
{
	update->rows = layer->units;
	update->w = layer->w + column;
	update->s1 = layer->state_w[0] ? layer->state_w[0] + column : NULL;
	update->s2 = layer->state_w[1] ? layer->state_w[1] + column : NULL;
	update->w_row = layer->stride;
}

void
hb_update_bias(HbWorkspace *ws, HbLayer *layer, const HbUpdate *update)
{
	HbUpdate bias = *update;

	bias.rows = 1;
	bias.cols = layer->units;
	bias.g = ws->sums;
	bias.g_row = bias.w_row = layer->units;
	bias.w = layer->b;
	bias.s1 = layer->state_b[0];
	bias.s2 = layer->state_b[1];
	bias.l2 = 0; /* biases do not decay */
	ws->provider->update(&bias);
}

static void
update_weights(HbWorkspace *ws, HbLayer *layer, const hb_real *d, size_t n, const hb_real *input,
			   HbUpdate *update)
{
	const HbProvider *provider = hb_provider_for_layer(ws->provider, layer->units);
	bool turns = provider->turns;
	size_t row = turns ? ws->ld : hb_stride(layer->inputs);
	size_t columns = hb_padded(layer->inputs);

	if (!turns)
		provider->transpose(input, layer->inputs, n, ws->ld, ws->transposed, row);
	for (size_t j = 0; j < columns; j += HB_GRADIENT_COLUMNS)
	{
		size_t count = columns - j < HB_GRADIENT_COLUMNS ? columns - j : HB_GRADIENT_COLUMNS;
		HbProduct product = {.m = layer->units,
							 .n = count,
							 .k = n,
							 .a = d,
							 .a_row = ws->ld,
							 .a_col = 1,
							 .b = turns ? input + j * row : ws->transposed + j,
							 .b_row = row,
							 .b_width = count,
							 .turned = turns ? layer->inputs - j : 0,
							 .c = ws->gradient,
							 .c_row = HB_GRADIENT_COLUMNS,
							 .reuse_a = j > 0 ? HB_AGAIN : HB_FIRST};

		provider->product(&product);
		hb_update_block(layer, j, update);
		update->cols = count;
		update->g = ws->gradient;
		update->g_row = HB_GRADIENT_COLUMNS;
		ws->provider->update(update);
	}
}

/* Rows that stay in the first-level cache from their product to their sums, a multiple of every kernel's tile. */
#define PROPAGATE_BYTES ((size_t) 12 << 10)
#define PROPAGATE_ROWS 12 /* where the provider does not say */

/*
 * Gradient of the pre-activations below a layer, before the layer itself changes, and the sums of its rows.  The
 * product is narrow (as many terms as the layer has units), so that moving its result costs as much as computing it.
 */
static void
propagate(HbWorkspace *ws, const HbNetwork *network, uint32_t l, size_t n, const HbPass *pass,
		  const HbDropout *dropout, const hb_real *d, hb_real *below)
{
	const HbLayer *layer = &network->layer[l];
	size_t columns = hb_padded(n), ld = ws->ld;
	const HbProvider *provider = hb_provider_for_layer(ws->provider, layer->units);
	size_t step = provider->rows ? provider->rows : PROPAGATE_ROWS;
	size_t rows = PROPAGATE_BYTES / (ld * sizeof(hb_real)) / step * step;

	rows = rows > 0 ? rows : step;
	for (size_t i = 0; i < layer->inputs; i += rows)
	{
		size_t count = layer->inputs - i < rows ? layer->inputs - i : rows;
		HbProduct product = {.m = count,
							 .n = columns,
							 .k = layer->units,
							 .a = layer->w + i,
							 .a_row = 1,
							 .a_col = layer->stride,
							 .b = d,
							 .b_row = ld,
							 .b_width = columns,
							 .c = below + i * ld,
							 .c_row = ld,
							 .reuse_b = i ? HB_AGAIN : HB_FIRST};

		provider->product(&product);
		hb_activate_back(ws, network, l - 1, dropout, pass, below, i * ld, count * ld);
		ws->provider->row_sums(below + i * ld, count, n, ld, ws->sums + i);
	}
}

void
hb_backward(HbWorkspace *ws, HbNetwork *network, size_t n, const HbPass *pass,
			const HbDropout *dropout, hb_real *d0, HbUpdate *update)
{
	for (uint32_t l = network->shape.layers - 1; l > 0; l--)
	{
		hb_real *below = l == 1 ? d0 : ws->d[l - 1];

		hb_update_bias(ws, &network->layer[l], update);
		propagate(ws, network, l, n, pass, dropout, ws->d[l], below);
		update_weights(ws, &network->layer[l], ws->d[l], n, pass->h[l - 1], update);
	}
}
