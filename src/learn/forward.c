/*
 * forward.c - from the first layer's pre-activations to scores, for one network at a time
 *
 * Inverted dropout (Srivastava et al., JMLR 2014): draws are keyed by (seed, trial number, step), so a
 * mask depends on neither the other trials nor the trainer.
 */
#include "learn/network.h"

#include "core/rng.h"

const char *const hb_activation_names[] = {"relu", "tanh", "sigmoid", "gelu", NULL};

/* Largest number of units that any of the shapes has in this layer. */
static size_t
max_units(const HbShape *const *shapes, int nshapes, uint32_t layer)
{
	size_t most = 0;

	for (int i = 0; i < nshapes; i++)
		if (layer < shapes[i]->layers && shapes[i]->units[layer] > most)
			most = shapes[i]->units[layer];
	return most;
}

static bool
alloc_layer(HbArena *arena, HbWorkspace *ws, uint32_t l, size_t units, bool training,
			HbStatus *status)
{
	size_t size = units * ws->ld;

	ws->z[l] = hb_arena_alloc(arena, size, sizeof(hb_real), status);
	ws->a[l] = hb_arena_alloc(arena, size, sizeof(hb_real), status);
	if (ws->z[l] == NULL || ws->a[l] == NULL)
		return false;
	if (!training)
		return true;
	ws->h[l] = hb_arena_alloc(arena, size, sizeof(hb_real), status);
	ws->d[l] = hb_arena_alloc(arena, size, sizeof(hb_real), status);
	/* rounded up to whole groups of draws */
	ws->kept[l] = hb_arena_alloc(arena, (size + HB_MASK_GROUP) / 16, sizeof(uint16_t), status);
	return ws->h[l] != NULL && ws->d[l] != NULL && ws->kept[l] != NULL;
}

bool
hb_workspace_alloc(HbArena *arena, const HbProvider *provider, const HbShape *const *shapes,
				   int nshapes, size_t batch, bool training, HbWorkspace *ws, HbStatus *status)
{
	size_t most = 0;

	*ws = (HbWorkspace){.provider = provider, .ld = hb_stride(batch)};
	for (uint32_t l = 0; l < HB_MAX_LAYERS; l++)
	{
		size_t units = max_units(shapes, nshapes, l);

		if (units > most)
			most = units;
		if (units > 0 && !alloc_layer(arena, ws, l, units, training, status))
			return false;
	}
	ws->scratch = hb_arena_alloc(arena, 3 * ws->ld, sizeof(hb_real), status);
	if (ws->scratch == NULL || !training)
		return ws->scratch != NULL;
	ws->sums = hb_arena_alloc(arena, most, sizeof(hb_real), status);
	ws->transposed = hb_arena_alloc(arena, batch * hb_stride(most), sizeof(hb_real), status);
	ws->gradient = hb_arena_alloc(arena, most * HB_GRADIENT_COLUMNS, sizeof(hb_real), status);
	return ws->sums != NULL && ws->transposed != NULL && ws->gradient != NULL;
}

/* Elements that are activated, drawn for and dropped while they are in the first-level cache: whole groups. */
#define DROPOUT_BLOCK ((size_t) 16 * HB_MASK_GROUP)

static void
draw_mask(const HbProvider *provider, const HbDropout *dropout, uint32_t layer, size_t at,
		  uint16_t *kept, size_t n)
{
	uint64_t detail = dropout->number << 40 ^ dropout->step;

	provider->mask(dropout->seed, HB_STREAM_DROPOUT, detail,
				   (layer << 28) + (uint32_t) (at / HB_MASK_GROUP * HB_MASK_BLOCKS),
				   (n + HB_MASK_GROUP - 1) / HB_MASK_GROUP, (uint32_t) (dropout->rate * 65536.0),
				   kept);
}

static inline hb_real
kept_scale(const HbDropout *dropout)
{
	return (hb_real) (1.0 / (1.0 - dropout->rate));
}

/* Activation, draws and dropout of a layer's elements at..at+n. */
static void
drop_block(HbWorkspace *ws, HbActivation f, uint32_t l, const HbDropout *dropout, HbPass *pass,
		   size_t at, size_t n)
{
	uint16_t *kept = ws->kept[l] + at / 16;

	draw_mask(ws->provider, dropout, l, at, kept, n);
	if (f == HB_RELU)
	{
		ws->provider->drop_relu(kept, kept_scale(dropout), pass->z[l] + at, n);
		return;
	}
	ws->provider->activate(f, pass->z[l] + at, pass->a[l] + at, n);
	ws->provider->drop(kept, kept_scale(dropout), pass->a[l] + at, pass->h[l] + at, n);
}

/* The activation of a hidden layer, and what the next layer sees of it. */
static void
activate_layer(HbWorkspace *ws, const HbNetwork *network, uint32_t l, const HbDropout *dropout,
			   HbPass *pass)
{
	size_t size = network->layer[l].units * ws->ld;
	HbActivation f = network->shape.activation;

	/* gelu keeps its derivative where the pre-activation was */
	pass->a[l] = f == HB_GELU ? ws->a[l] : pass->z[l];
	pass->h[l] = pass->a[l];
	if (dropout == NULL || dropout->rate <= 0)
	{
		ws->provider->activate(f, pass->z[l], pass->a[l], size);
		return;
	}
	/* relu's derivative is part of its mask: what dropout leaves can take the activation's place */
	if (f != HB_RELU)
		pass->h[l] = ws->h[l];
	for (size_t at = 0; at < size; at += DROPOUT_BLOCK)
		drop_block(ws, f, l, dropout, pass, at,
				   size - at < DROPOUT_BLOCK ? size - at : DROPOUT_BLOCK);
}

/* Through a hidden layer's dropout and activation, in place, by blocks that stay in the first-level cache. */
void
hb_activate_back(HbWorkspace *ws, const HbNetwork *network, uint32_t l, const HbDropout *dropout,
				 const HbPass *pass, hb_real *d, size_t first, size_t count)
{
	HbActivation f = network->shape.activation;
	size_t step = dropout->rate > 0 ? DROPOUT_BLOCK : count;

	for (size_t at = first; at < first + count; at += step)
	{
		size_t n = first + count - at < step ? first + count - at : step;

		if (dropout->rate > 0)
			ws->provider->drop(ws->kept[l] + at / 16, kept_scale(dropout), d + at, d + at, n);
		if (f != HB_RELU || !(dropout->rate > 0))
			ws->provider->activate_back(f, pass->z[l] + at, pass->a[l] + at, d + at, n);
	}
}

hb_real *
hb_forward(HbWorkspace *ws, const HbNetwork *network, size_t n, hb_real *z0,
		   const HbDropout *dropout, HbPass *pass)
{
	size_t columns = hb_padded(n);

	pass->z[0] = z0;
	for (uint32_t l = 1; l < network->shape.layers; l++)
	{
		const HbLayer *layer = &network->layer[l];
		HbProduct product = {.m = layer->units,
							 .n = columns,
							 .k = layer->inputs,
							 .a = layer->w,
							 .a_row = layer->stride,
							 .a_col = 1,
							 .b_row = ws->ld,
							 .b_width = columns,
							 .c = ws->z[l],
							 .c_row = ws->ld,
							 .bias = layer->b};

		activate_layer(ws, network, l - 1, dropout, pass);
		product.b = pass->h[l - 1];
		hb_provider_for_layer(ws->provider, layer->units)->product(&product);
		pass->z[l] = ws->z[l];
	}
	return pass->z[network->shape.layers - 1];
}
