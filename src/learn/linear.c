/*
 * linear.c - the family of linear models: softmax and logistic regression, ridge regression, linear
 * support vector machines by hinge loss
 */
#include "learn/params.h"

#include <math.h>

static const HbParamCase optimizer_cases[] = {
	{{NULL, NULL}, 0, 0, false, hb_default_optimizers, 4},
};
static const HbParamCase learning_rate_cases[] = {
	{{"optimizer", hb_when_nesterov}, 1e-3, 1.0, true, NULL, 0.03},
	{{"optimizer", hb_when_adam}, 1e-4, 0.1, true, NULL, 0.003},
	{{"optimizer", hb_when_sgd}, 1e-2, 1.0, true, NULL, 0.1},
	{{"optimizer", hb_when_momentum}, 1e-3, 1.0, true, NULL, 0.03},
	{{"optimizer", hb_when_rmsprop}, 1e-4, 0.1, true, NULL, 0.001},
};
static const HbParamCase l2_cases[] = {{{NULL, NULL}, 1e-7, 0.1, true, NULL, 1e-5}};
/* NaN: by the task. */
static const HbParamCase loss_cases[] = {{{NULL, NULL}, 0, 0, false, NULL, NAN}};

static const HbParamDecl params[] = {
	{"optimizer", HB_PARAM_CATEGORICAL, hb_optimizer_names, 0, 0, true, optimizer_cases,
	 HB_LENGTH(optimizer_cases), "rule that turns gradients into steps"},
	{"learning_rate", HB_PARAM_FLOAT, NULL, HB_RATE_LOW, HB_RATE_HIGH, true, learning_rate_cases,
	 HB_LENGTH(learning_rate_cases), "size of the first steps"},
	{"l2", HB_PARAM_FLOAT, NULL, 0, 1e3, true, l2_cases, HB_LENGTH(l2_cases),
	 "weight decay added to the gradient (biases excluded)"},
	{"loss", HB_PARAM_CATEGORICAL, hb_loss_names, 0, 0, false, loss_cases, HB_LENGTH(loss_cases),
	 "what training minimises: cross_entropy or hinge for classes, squared_error for numbers"},
	HB_SHARED_PARAMS,
};

extern const HbFamily hb_family_linear;
const HbFamily hb_family_linear = {
	.name = "linear",
	.description = "softmax, logistic or ridge regression, or a linear support vector machine",
	.params = params,
	.nparams = HB_LENGTH(params),
	.cost = hb_network_cost,
	.check = hb_network_check,
	.train = hb_cohort_train,
	.open = hb_network_open,
	.close = hb_network_close,
	.predict = hb_network_predict,
};
