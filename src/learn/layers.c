/*
 * layers.c - where the weights of a network lie
 */
#include "learn/network.h"

size_t
hb_shape_weights(const HbShape *shape)
{
	size_t total = 0, inputs = shape->inputs;

	for (uint32_t l = 0; l < shape->layers; l++)
	{
		total += (size_t) shape->units[l] * (inputs + 1);
		inputs = shape->units[l];
	}
	return total;
}

void
hb_network_lay_out(HbNetwork *network, const HbShape *shape)
{
	uint32_t inputs = shape->inputs;

	*network = (HbNetwork){.shape = *shape};
	for (uint32_t l = 0; l < shape->layers; l++)
	{
		HbLayer *layer = &network->layer[l];

		layer->units = shape->units[l];
		layer->inputs = inputs;
		layer->stride = hb_stride(inputs);
		inputs = layer->units;
	}
}

static bool
layer_alloc(HbArena *arena, HbLayer *layer, int slots, HbStatus *status)
{
	size_t size = layer->units * layer->stride;

	layer->w = hb_arena_alloc(arena, size, sizeof(hb_real), status);
	layer->b = hb_arena_alloc(arena, layer->units, sizeof(hb_real), status);
	if (layer->w == NULL || layer->b == NULL)
		return false;
	for (int s = 0; s < slots; s++)
	{
		layer->state_w[s] = hb_arena_alloc(arena, size, sizeof(hb_real), status);
		layer->state_b[s] = hb_arena_alloc(arena, layer->units, sizeof(hb_real), status);
		if (layer->state_w[s] == NULL || layer->state_b[s] == NULL)
			return false;
	}
	return true;
}

bool
hb_network_alloc(HbArena *arena, HbNetwork *network, int first, int slots, HbStatus *status)
{
	for (int l = first; l < (int) network->shape.layers; l++)
		if (!layer_alloc(arena, &network->layer[l], slots, status))
			return false;
	return true;
}
