/*
 * params.h - declarations of hyperparameters that linear and mlp share
 */
#ifndef HB_PARAMS_H
#define HB_PARAMS_H

#include "learn/network.h"

#define HB_LENGTH(array) ((int) (sizeof(array) / sizeof((array)[0])))

extern const char *const hb_when_sgd[];
extern const char *const hb_when_momentum[];
extern const char *const hb_when_nesterov[];
extern const char *const hb_when_velocity[];
extern const char *const hb_when_rmsprop[];
extern const char *const hb_when_adam[];
extern const char *const hb_when_inverse_time[];
extern const char *const hb_default_optimizers[];
extern const char *const hb_default_schedules[];

/* Beyond these every optimizer leaves the range of floats. */
#define HB_RATE_LOW 1e-10
#define HB_RATE_HIGH 1e3

extern const HbParamCase hb_momentum_cases[1];
extern const HbParamCase hb_beta1_cases[1];
extern const HbParamCase hb_beta2_cases[1];
extern const HbParamCase hb_rho_cases[1];
extern const HbParamCase hb_schedule_cases[1];
extern const HbParamCase hb_decay_cases[1];
extern const HbParamCase hb_batch_size_cases[1];

#define HB_SHARED_PARAMS                                                                           \
	{"momentum",                                                                                   \
	 HB_PARAM_FLOAT,                                                                               \
	 NULL,                                                                                         \
	 0,                                                                                            \
	 0.9999,                                                                                       \
	 true,                                                                                         \
	 hb_momentum_cases,                                                                            \
	 HB_LENGTH(hb_momentum_cases),                                                                 \
	 "fraction of the velocity kept at each step"},                                                \
		{"beta1",                                                                                  \
		 HB_PARAM_FLOAT,                                                                           \
		 NULL,                                                                                     \
		 0,                                                                                        \
		 0.99999,                                                                                  \
		 false,                                                                                    \
		 hb_beta1_cases,                                                                           \
		 HB_LENGTH(hb_beta1_cases),                                                                \
		 "decay of adam's mean gradient at each step"},                                            \
		{"beta2",                                                                                  \
		 HB_PARAM_FLOAT,                                                                           \
		 NULL,                                                                                     \
		 0,                                                                                        \
		 0.9999999,                                                                                \
		 false,                                                                                    \
		 hb_beta2_cases,                                                                           \
		 HB_LENGTH(hb_beta2_cases),                                                                \
		 "decay of adam's mean squared gradient at each step"},                                    \
		{"rho",                                                                                    \
		 HB_PARAM_FLOAT,                                                                           \
		 NULL,                                                                                     \
		 0,                                                                                        \
		 0.9999999,                                                                                \
		 false,                                                                                    \
		 hb_rho_cases,                                                                             \
		 HB_LENGTH(hb_rho_cases),                                                                  \
		 "decay of rmsprop's mean squared gradient at each step"},                                 \
		{"schedule",                                                                               \
		 HB_PARAM_CATEGORICAL,                                                                     \
		 hb_schedule_names,                                                                        \
		 0,                                                                                        \
		 0,                                                                                        \
		 true,                                                                                     \
		 hb_schedule_cases,                                                                        \
		 HB_LENGTH(hb_schedule_cases),                                                             \
		 "how the learning rate falls from the first epoch to max_resource"},                      \
		{"decay",                                                                                  \
		 HB_PARAM_FLOAT,                                                                           \
		 NULL,                                                                                     \
		 0,                                                                                        \
		 1e6,                                                                                      \
		 false,                                                                                    \
		 hb_decay_cases,                                                                           \
		 HB_LENGTH(hb_decay_cases),                                                                \
		 "fall of the learning rate an epoch: rate / (1 + decay * epochs)"},                       \
	{                                                                                              \
		"batch_size", HB_PARAM_INT, NULL, 1, 65536, true, hb_batch_size_cases,                     \
			HB_LENGTH(hb_batch_size_cases), "rows of a mini-batch"                                 \
	}

#endif /* HB_PARAMS_H */
