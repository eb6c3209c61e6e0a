/*
 * config.c - from the vector of hyperparameters to what the network trainer works with
 */
#include "learn/network.h"

#include <math.h>
#include <string.h>

/* A parameter's value; fallback where the family has none of that name or it is inactive. */
static double
value_of(const HbFamily *family, const double *params, const char *name, double fallback)
{
	int index = hb_family_param_index(family, name);

	return index < 0 || isnan(params[index]) ? fallback : params[index];
}

static void
configure_shape(const HbFamily *family, const HbProblem *problem, const double *params,
				HbShape *shape)
{
	static const char *const names[HB_MAX_HIDDEN] = {"units", "units_2", "units_3"};
	uint32_t hidden = (uint32_t) value_of(family, params, "layers", 0);

	*shape = (HbShape){.task = problem->task,
					   .inputs = problem->inputs,
					   .outputs = problem->outputs,
					   .layers = hidden + 1};
	shape->loss =
		(HbLossId) value_of(family, params, "loss", (double) hb_loss_default(problem->task));
	shape->activation = (HbActivation) value_of(family, params, "activation", HB_RELU);
	for (uint32_t l = 0; l < hidden; l++)
		shape->units[l] = (uint32_t) value_of(family, params, names[l], 0);
	shape->units[hidden] = hb_loss_units(shape->loss, problem->outputs);
}

void
hb_network_configure(const HbFamily *family, const HbProblem *problem, const double *params,
					 HbTraining *training)
{
	*training = (HbTraining){
		.optimizer = &hb_optimizers[(int) value_of(family, params, "optimizer", 0)],
		.schedule = &hb_schedules[(int) value_of(family, params, "schedule", 0)],
		.batch_size = (uint32_t) value_of(family, params, "batch_size",
										  hb_default_batch_size(problem->rows_train)),
		.learning_rate = value_of(family, params, "learning_rate", 0),
		.l2 = value_of(family, params, "l2", 0),
		.momentum = value_of(family, params, "momentum", 0),
		.beta1 = value_of(family, params, "beta1", 0.9),
		.beta2 = value_of(family, params, "beta2", 0.999),
		.rho = value_of(family, params, "rho", 0.9),
		.decay = value_of(family, params, "decay", 0.1),
		.dropout = value_of(family, params, "dropout", 0),
	};
	configure_shape(family, problem, params, &training->shape);
}

/*
 * What is beside the products, in operations of theirs, between what kernels for AMX and for AVX2 need: a unit's
 * activation or loss and its part of laying out operands; an update of a weight, for each state of the optimizer.
 */
#define UNIT_COST 150.0
#define UPDATE_COST 60.0
/*
 * A value of a sparse row in inputs of a dense one.  A supervisor does not know whether its trainers' provider keeps rows
 * sparse (HbProvider.sparse_from) and takes it that they do.
 */
#define SPARSE_COST 4.0

/* Two operations a weight forward and two for its gradient; below the first layer two more to propagate. */
double
hb_network_cost(const HbFamily *family, const HbProblem *problem, const double *params)
{
	HbTraining training;
	double weights, first, inputs, units = 0;

	hb_network_configure(family, problem, params, &training);
	weights = (double) hb_shape_weights(&training.shape);
	first = (double) training.shape.units[0] * (problem->inputs + 1.0);
	for (uint32_t l = 0; l < training.shape.layers; l++)
		units += training.shape.units[l];
	inputs = problem->row_values > 0 ? fmin(problem->inputs, SPARSE_COST * problem->row_values)
									 : problem->inputs;
	return 4.0 * training.shape.units[0] * (inputs + 1.0) + 6.0 * (weights - first) +
		   UNIT_COST * units +
		   UPDATE_COST * training.optimizer->slots * weights / training.batch_size;
}

bool
hb_network_check(const HbFamily *family, const HbProblem *problem, const double *params,
				 HbMetricId metric, bool infinite_horizon, HbStatus *status)
{
	HbTraining training;
	const HbLoss *loss;

	hb_network_configure(family, problem, params, &training);
	loss = &hb_losses[training.shape.loss];
	if (loss->task != problem->task)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "loss \"%s\" cannot be used for %s",
					   loss->name,
					   problem->task == HB_TASK_REGRESSION ? "regression" : "classification");
	if (!loss->calibrated && metric == HB_METRIC_LOG_LOSS)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "metric \"log_loss\" cannot be used with loss \"%s\"", loss->name) ||
			   hb_fail_detail(status, "A model trained by this loss gives no probabilities.");
	if (infinite_horizon && training.schedule->needs_horizon)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "schedule \"%s\" needs a finite \"max_resource\"",
					   training.schedule->name) ||
			   hb_fail_hint(status, "Use schedule \"constant\" or \"inverse_time\".");
	return true;
}
