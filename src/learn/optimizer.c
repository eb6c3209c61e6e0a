/*
 * optimizer.c - sgd, heavy ball, Nesterov, RMSprop and Adam, by PyTorch's equations
 *
 * The learning rate stays outside the buffers, so that it may change at every step.  Polyak, 1964;
 * Sutskever et al., ICML 2013; Tieleman and Hinton, 2012; Kingma and Ba, ICLR 2015.  The arithmetic
 * on blocks of weights is the provider's; here are the coefficients of a step.
 */
#include "learn/network.h"

#include <math.h>

static void
prepare_sgd(const HbTraining *training, uint64_t t, HbUpdate *update)
{
}

static void
prepare_momentum(const HbTraining *training, uint64_t t, HbUpdate *update)
{
	update->decay1 = (hb_real) training->momentum;
}

static void
prepare_rmsprop(const HbTraining *training, uint64_t t, HbUpdate *update)
{
	update->decay1 = (hb_real) training->rho;
}

static void
prepare_adam(const HbTraining *training, uint64_t t, HbUpdate *update)
{
	update->decay1 = (hb_real) training->beta1;
	update->decay2 = (hb_real) training->beta2;
	/* of the decays as the moments have them: where one is close to 1, rounding changes much of what it leaves */
	update->rate =
		(hb_real) ((double) update->rate / (1.0 - pow((double) update->decay1, (double) t)));
	update->root = (hb_real) (1.0 / sqrt(1.0 - pow((double) update->decay2, (double) t)));
}

const HbOptimizer hb_optimizers[] = {
	{"sgd", HB_UPDATE_SGD, 0, prepare_sgd},
	{"momentum", HB_UPDATE_MOMENTUM, 1, prepare_momentum},
	{"nesterov", HB_UPDATE_NESTEROV, 1, prepare_momentum},
	{"rmsprop", HB_UPDATE_RMSPROP, 1, prepare_rmsprop},
	{"adam", HB_UPDATE_ADAM, 2, prepare_adam},
};
const int hb_noptimizers = sizeof(hb_optimizers) / sizeof(hb_optimizers[0]);

const char *const hb_optimizer_names[] = {"sgd", "momentum", "nesterov", "rmsprop", "adam", NULL};

void
hb_optimizer_step(const HbTraining *training, double factor, uint64_t t, HbUpdate *update)
{
	*update = (HbUpdate){.rule = training->optimizer->rule,
						 .rate = (hb_real) (training->learning_rate * factor),
						 .l2 = (hb_real) training->l2,
						 .epsilon = (hb_real) 1e-8};
	training->optimizer->prepare(training, t, update);
}
