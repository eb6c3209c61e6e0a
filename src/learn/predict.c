/*
 * predict.c - a decoded model and its scores, in ordinary backends as in trainers
 *
 * No library is used: plain C, or the hand-written kernels where the processor has them.  One row at
 * a time, as SQL asks, costs one pass over the weights, of which wide layers keep a copy that is
 * inputs-major; many rows go through the cohort's kernels.
 */
#include <string.h>

#include "compute/row.h"
#include "learn/network.h"

#define PREDICT_BATCH 256

/* A layer as one row needs it. */
typedef struct HbRowLayer
{
	size_t units;  /* padded */
	hb_real *w;    /* [inputs][units]; NULL: too few units, a dot product each */
	hb_real *bias; /* [units], padded by zeros */
} HbRowLayer;

struct HbModel
{
	HbArena arena;
	const HbHost *host;
	const HbProvider *provider;
	const HbRowKernels *kernels;
	HbRowLayer row[HB_MAX_LAYERS];
	HbNetwork network;
	HbWorkspace *workspace;
	float *rows;     /* [PREDICT_BATCH][padded inputs] */
	hb_real *packed; /* the same, packed for the first product */
	hb_real *first;  /* first layer's pre-activations */
};

static bool
allocate_rows(HbModel *model, HbStatus *status)
{
	for (uint32_t l = 0; l < model->network.shape.layers; l++)
	{
		const HbLayer *layer = &model->network.layer[l];
		HbRowLayer *row = &model->row[l];

		row->units = hb_padded(layer->units);
		row->bias = hb_arena_alloc(&model->arena, row->units, sizeof(hb_real), status);
		row->w = NULL;
		if (row->bias == NULL)
			return false;
		if (layer->units < HB_PAD)
			continue;
		row->w = hb_arena_alloc(&model->arena, layer->inputs * row->units, sizeof(hb_real), status);
		if (row->w == NULL)
			return false;
	}
	return true;
}

/* Once the weights are there. */
static void
fill_rows(HbModel *model)
{
	for (uint32_t l = 0; l < model->network.shape.layers; l++)
	{
		const HbLayer *layer = &model->network.layer[l];
		const HbRowLayer *row = &model->row[l];

		memcpy(row->bias, layer->b, layer->units * sizeof(hb_real));
		if (row->w != NULL)
			model->provider->transpose(layer->w, layer->units, layer->inputs, layer->stride, row->w,
									   row->units);
	}
}

static HbModel *
allocate_model(const HbHost *host, const HbCheckpoint *checkpoint, HbStatus *status)
{
	HbModel *model = hb_alloc(host, sizeof(HbModel));
	const HbShape *shape = &checkpoint->shape;
	size_t padded = hb_padded(shape->inputs);
	HbArena *arena;

	if (model == NULL)
	{
		hb_fail_memory(status, sizeof(HbModel));
		return NULL;
	}
	arena = &model->arena;
	hb_arena_init(arena, host);
	model->host = host;
	model->provider = hb_provider_kernels();
	model->kernels = hb_row_kernels();
	hb_network_lay_out(&model->network, shape);
	model->workspace = hb_arena_alloc(arena, 1, sizeof(HbWorkspace), status);
	if (model->workspace != NULL && hb_network_alloc(arena, &model->network, 0, 0, status) &&
		allocate_rows(model, status) &&
		hb_workspace_alloc(arena, model->provider, &shape, 1, PREDICT_BATCH, false,
						   model->workspace, status) &&
		(model->rows = hb_arena_alloc(arena, PREDICT_BATCH * padded, sizeof(float), status)) !=
			NULL &&
		(model->packed = hb_arena_alloc(arena, PREDICT_BATCH * padded, sizeof(hb_real), status)) !=
			NULL &&
		(model->first = hb_arena_alloc(arena, shape->units[0] * model->workspace->ld,
									   sizeof(hb_real), status)) != NULL)
		return model;
	hb_network_close(model);
	return NULL;
}

HbModel *
hb_network_open(const HbHost *host, const void *bytes, size_t length, HbStatus *status)
{
	HbCheckpoint checkpoint;
	HbModel *model;

	if (!hb_checkpoint_open(bytes, length, &checkpoint, status))
		return NULL;
	model = allocate_model(host, &checkpoint, status);
	if (model == NULL)
		return NULL;
	hb_checkpoint_read(&checkpoint, &model->network);
	fill_rows(model);
	return model;
}

void
hb_network_close(HbModel *model)
{
	const HbHost *host;

	if (model == NULL)
		return;
	host = model->host;
	hb_arena_free(&model->arena);
	hb_release(host, model);
}

void
hb_model_info(const HbModel *model, HbModelInfo *info)
{
	const HbShape *shape = &model->network.shape;

	*info = (HbModelInfo){.inputs = shape->inputs,
						  .outputs = shape->outputs,
						  .task = shape->task,
						  .calibrated = hb_losses[shape->loss].calibrated};
}

static void
pad(hb_real *x, size_t n)
{
	for (; n % HB_PAD != 0; n++)
		x[n] = 0;
}

/* z = b + W x; x is padded by zeros. */
static void
layer_of_row(const HbModel *model, uint32_t l, const hb_real *x, hb_real *z)
{
	const HbLayer *layer = &model->network.layer[l];
	const HbRowLayer *row = &model->row[l];
	size_t padded = hb_padded(layer->inputs);

	if (row->w != NULL)
		model->kernels->product(x, layer->inputs, row->w, row->units, row->bias, z, row->units);
	else
		for (size_t i = 0; i < layer->units; i++)
			z[i] = layer->b[i] + model->kernels->dot(x, layer->w + i * layer->stride, padded);
}

/* One row: vectors, not matrices. */
static void
predict_one(const HbModel *model, const float *input, float *scores)
{
	const HbNetwork *network = &model->network;
	HbWorkspace *ws = model->workspace;
	const hb_real *x = model->packed;

	for (size_t j = 0; j < network->shape.inputs; j++)
		model->packed[j] = input[j];
	pad(model->packed, network->shape.inputs);
	for (uint32_t l = 0; l < network->shape.layers; l++)
	{
		hb_real *z = l == 0 ? model->first : ws->z[l];

		layer_of_row(model, l, x, z);
		if (l + 1 == network->shape.layers)
			hb_loss_scores(model->provider, &network->shape, z, 1, 1, ws->scratch, scores);
		else
		{
			model->provider->activate(network->shape.activation, z, ws->a[l],
									  network->layer[l].units);
			pad(ws->a[l], network->layer[l].units);
		}
		x = ws->a[l];
	}
}

static void
predict_batch(const HbModel *model, const float *inputs, size_t n, size_t stride, float *scores)
{
	const HbLayer *layer = &model->network.layer[0];
	HbWorkspace *ws = model->workspace;
	size_t padded = hb_padded(layer->inputs);
	HbPass pass;
	hb_real *z;
	HbProduct product = {.m = layer->units,
						 .n = hb_padded(n),
						 .k = layer->inputs,
						 .a = layer->w,
						 .a_row = layer->stride,
						 .a_col = 1,
						 .c = model->first,
						 .c_row = ws->ld,
						 .bias = layer->b};

	for (size_t i = 0; i < n; i++)
		memcpy(model->rows + i * padded, inputs + i * stride, layer->inputs * sizeof(float));
	hb_pack_forward(model->provider, model->rows, n, padded, padded, model->packed);
	hb_product_packed(model->provider, model->packed, padded, n, 0, &product);
	model->provider->product(&product);
	z = hb_forward(ws, &model->network, n, model->first, NULL, &pass);
	hb_loss_scores(model->provider, &model->network.shape, z, n, ws->ld, ws->scratch, scores);
}

void
hb_network_predict(const HbModel *model, const float *inputs, size_t n, size_t stride,
				   float *scores)
{
	for (size_t i = 0; i < n; i += PREDICT_BATCH)
	{
		size_t count = n - i < PREDICT_BATCH ? n - i : PREDICT_BATCH;
		float *out = scores + i * model->network.shape.outputs;

		if (count == 1)
			predict_one(model, inputs + i * stride, out);
		else
			predict_batch(model, inputs + i * stride, count, stride, out);
	}
}
