/*
 * loss.c - the losses of networks: cross-entropy, hinge, half the squared error
 *
 * A loss is a line in this table; the arithmetic is the provider's.
 */
#include "learn/network.h"

static double
cross_entropy_sum(const HbProvider *provider, const HbScores *scores)
{
	return provider->cross_entropy(scores);
}

static double
hinge_sum(const HbProvider *provider, const HbScores *scores)
{
	return provider->hinge(scores);
}

static double
squared_sum(const HbProvider *provider, const HbScores *scores)
{
	return provider->squared(scores);
}

const HbLoss hb_losses[HB_LOSS_COUNT] = {
	[HB_LOSS_CROSS_ENTROPY] = {"cross_entropy", HB_TASK_CLASSIFICATION, true, cross_entropy_sum},
	[HB_LOSS_HINGE] = {"hinge", HB_TASK_CLASSIFICATION, false, hinge_sum},
	[HB_LOSS_SQUARED] = {"squared_error", HB_TASK_REGRESSION, true, squared_sum},
};

const char *const hb_loss_names[] = {"cross_entropy", "hinge", "squared_error", NULL};

HbLossId
hb_loss_default(HbTask task)
{
	return task == HB_TASK_REGRESSION ? HB_LOSS_SQUARED : HB_LOSS_CROSS_ENTROPY;
}

uint32_t
hb_loss_units(HbLossId loss, uint32_t outputs)
{
	return loss == HB_LOSS_HINGE && outputs == 2 ? 1 : outputs;
}

void
hb_loss_place(const HbShape *shape, const hb_real *z, size_t n, size_t ld, float *out,
			  size_t sample, size_t class)
{
	uint32_t units = shape->units[shape->layers - 1];

	if (units < shape->outputs)
		for (size_t s = 0; s < n; s++)
		{
			out[s * sample] = (float) (-z[s] / 2);
			out[s * sample + class] = (float) (z[s] / 2);
		}
	else
		for (size_t c = 0; c < units; c++)
			for (size_t s = 0; s < n; s++)
				out[s * sample + c * class] = (float) z[c * ld + s];
}

void
hb_loss_scores(const HbProvider *provider, const HbShape *shape, hb_real *z, size_t n, size_t ld,
			   hb_real *scratch, float *out)
{
	if (shape->loss == HB_LOSS_CROSS_ENTROPY)
		provider->softmax(z, shape->units[shape->layers - 1], n, ld, scratch);
	hb_loss_place(shape, z, n, ld, out, shape->outputs, 1);
}
