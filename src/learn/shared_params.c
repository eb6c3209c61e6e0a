/*
 * shared_params.c - conditions, ranges and defaults of the hyperparameters that linear and mlp share
 */
#include "learn/params.h"

#include <math.h>

const char *const hb_when_sgd[] = {"sgd", NULL};
const char *const hb_when_momentum[] = {"momentum", NULL};
const char *const hb_when_nesterov[] = {"nesterov", NULL};
const char *const hb_when_velocity[] = {"momentum", "nesterov", NULL};
const char *const hb_when_rmsprop[] = {"rmsprop", NULL};
const char *const hb_when_adam[] = {"adam", NULL};
const char *const hb_when_inverse_time[] = {"inverse_time", NULL};
const char *const hb_default_optimizers[] = {"nesterov", "adam", NULL};
const char *const hb_default_schedules[] = {"cosine", NULL};

const HbParamCase hb_momentum_cases[1] = {
	{{"optimizer", hb_when_velocity}, 0.8, 0.98, false, NULL, 0.9},
};
const HbParamCase hb_beta1_cases[1] = {
	{{"optimizer", hb_when_adam}, 0.8, 0.99, false, NULL, 0.9},
};
const HbParamCase hb_beta2_cases[1] = {
	{{"optimizer", hb_when_adam}, 0.9, 0.9999, false, NULL, 0.999},
};
const HbParamCase hb_rho_cases[1] = {
	{{"optimizer", hb_when_rmsprop}, 0.8, 0.999, false, NULL, 0.9},
};
const HbParamCase hb_schedule_cases[1] = {
	{{NULL, NULL}, 0, 0, false, hb_default_schedules, 1},
};
const HbParamCase hb_decay_cases[1] = {
	{{"schedule", hb_when_inverse_time}, 0.01, 1.0, true, NULL, 0.1},
};
/* NaN: hb_default_batch_size() of the training rows. */
const HbParamCase hb_batch_size_cases[1] = {
	{{NULL, NULL}, 16, 512, true, NULL, NAN},
};
