/*
 * init.c - the weights a trial starts from
 *
 * He normal before relu and gelu (He et al., ICCV 2015), Glorot normal otherwise and for the output
 * layer (Glorot and Bengio, AISTATS 2010); biases zero.  Draws are keyed by (seed, trial number, layer).
 * A model without hidden layers starts at zero: its loss is convex, there is no symmetry to break, and weights of
 * inputs that hardly vary, such as the border of images or rare categories, would keep what was drawn for them.
 */
#include "learn/network.h"

#include <math.h>

#include "core/rng.h"

static double
layer_deviation(const HbShape *shape, const HbLayer *layer, bool last)
{
	if (!last && (shape->activation == HB_RELU || shape->activation == HB_GELU))
		return sqrt(2.0 / layer->inputs);
	return sqrt(2.0 / ((double) layer->inputs + layer->units));
}

bool
hb_network_init(HbArena *arena, HbNetwork *network, uint64_t seed, uint64_t number,
				HbStatus *status)
{
	if (network->shape.layers == 1)
		return true; /* allocated as zeros */
	for (uint32_t l = 0; l < network->shape.layers; l++)
	{
		HbLayer *layer = &network->layer[l];
		bool last = l + 1 == network->shape.layers;
		double deviation = layer_deviation(&network->shape, layer, last);
		size_t count = (size_t) layer->units * layer->inputs;
		float *draws = hb_arena_alloc(arena, count, sizeof(float), status);

		if (draws == NULL)
			return false;
		hb_random_normals(seed, HB_STREAM_INIT, number << 8 | l, draws, count);
		for (size_t i = 0; i < layer->units; i++)
			for (size_t j = 0; j < layer->inputs; j++)
				layer->w[i * layer->stride + j] =
					(hb_real) (deviation * draws[i * layer->inputs + j]);
	}
	return true;
}
