/*
 * mlp.c - the family of multilayer perceptrons: 1 to 3 hidden layers
 *
 * The default space was checked on tables of 1,800 to 60,000 rows; its dearest configuration costs about
 * twice a 784-128-10 network.
 */
#include "learn/params.h"

#include <math.h>

static const char *const two_layers[] = {"2", "3", NULL};
static const char *const three_layers[] = {"3", NULL};
static const char *const default_activations[] = {"relu", "tanh", "gelu", NULL};
static const char *const default_dropouts[] = {"0", "0.1", "0.2", "0.4", NULL};

static const HbParamCase optimizer_cases[] = {
	{{NULL, NULL}, 0, 0, false, hb_default_optimizers, 4},
};
static const HbParamCase learning_rate_cases[] = {
	{{"optimizer", hb_when_nesterov}, 1e-3, 0.3, true, NULL, 0.03},
	{{"optimizer", hb_when_adam}, 1e-4, 2e-2, true, NULL, 0.003},
	{{"optimizer", hb_when_sgd}, 1e-2, 1.0, true, NULL, 0.1},
	{{"optimizer", hb_when_momentum}, 1e-3, 0.3, true, NULL, 0.03},
	{{"optimizer", hb_when_rmsprop}, 1e-4, 2e-2, true, NULL, 0.001},
};
static const HbParamCase l2_cases[] = {{{NULL, NULL}, 1e-7, 1e-3, true, NULL, 1e-5}};
static const HbParamCase layers_cases[] = {{{NULL, NULL}, 1, 3, false, NULL, 2}};
static const HbParamCase units_cases[] = {{{NULL, NULL}, 32, 256, true, NULL, 128}};
static const HbParamCase units_2_cases[] = {{{"layers", two_layers}, 32, 256, true, NULL, NAN}};
static const HbParamCase units_3_cases[] = {{{"layers", three_layers}, 32, 256, true, NULL, NAN}};
static const HbParamCase activation_cases[] = {
	{{NULL, NULL}, 0, 0, false, default_activations, 0},
};
static const HbParamCase dropout_cases[] = {{{NULL, NULL}, 0, 0.4, false, default_dropouts, 0}};

static const HbParamDecl params[] = {
	{"optimizer", HB_PARAM_CATEGORICAL, hb_optimizer_names, 0, 0, true, optimizer_cases,
	 HB_LENGTH(optimizer_cases), "rule that turns gradients into steps"},
	{"learning_rate", HB_PARAM_FLOAT, NULL, HB_RATE_LOW, HB_RATE_HIGH, true, learning_rate_cases,
	 HB_LENGTH(learning_rate_cases), "size of the first steps"},
	{"l2", HB_PARAM_FLOAT, NULL, 0, 1e3, true, l2_cases, HB_LENGTH(l2_cases),
	 "weight decay added to the gradient (biases excluded)"},
	{"layers", HB_PARAM_INT, NULL, 1, HB_MAX_HIDDEN, true, layers_cases, HB_LENGTH(layers_cases),
	 "hidden layers"},
	{"units", HB_PARAM_INT, NULL, 1, HB_MAX_UNITS, true, units_cases, HB_LENGTH(units_cases),
	 "units of the first hidden layer, and of the others where not given"},
	{"units_2", HB_PARAM_INT, NULL, 1, HB_MAX_UNITS, false, units_2_cases, HB_LENGTH(units_2_cases),
	 "units of the second hidden layer", "units"},
	{"units_3", HB_PARAM_INT, NULL, 1, HB_MAX_UNITS, false, units_3_cases, HB_LENGTH(units_3_cases),
	 "units of the third hidden layer", "units"},
	{"activation", HB_PARAM_CATEGORICAL, hb_activation_names, 0, 0, true, activation_cases,
	 HB_LENGTH(activation_cases), "function of the hidden units"},
	{"dropout", HB_PARAM_FLOAT, NULL, 0, 0.95, true, dropout_cases, HB_LENGTH(dropout_cases),
	 "fraction of hidden units left out at each step"},
	HB_SHARED_PARAMS,
};

extern const HbFamily hb_family_mlp;
const HbFamily hb_family_mlp = {
	.name = "mlp",
	.description = "multilayer perceptron with 1 to 3 hidden layers",
	.params = params,
	.nparams = HB_LENGTH(params),
	.cost = hb_network_cost,
	.check = hb_network_check,
	.train = hb_cohort_train,
	.open = hb_network_open,
	.close = hb_network_close,
	.predict = hb_network_predict,
};
