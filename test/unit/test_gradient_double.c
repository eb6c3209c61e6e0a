/*
 * test_gradient_double.c - gradients of every loss and activation against finite differences
 *
 * learn and the reference provider in double precision take one step of sgd with rate 1, so that the change of
 * each weight is its gradient; the loss at weights moved by +-h gives the central difference.
 */
#include "core/host.h"
#include "core/rng.h"
#include "tap.h"
#include "synthetic.h"
#include "learn/cohort.h"

#define ROWS 40

typedef struct Setup
{
	HbDataset dataset;
	HbTrainContext context;
	HbJobTrial trial;
	HbJob job;
	HbCohort cohort;
	HbGroup group;
} Setup;

/* Weights of a model that starts at zero, where its loss says the same of all inputs. */
static void
randomise(HbLayer *layer)
{
	for (size_t i = 0; i < layer->units; i++)
		for (size_t j = 0; j < layer->inputs; j++)
			layer->w[i * layer->stride + j] =
				hb_random_uniform(7, HB_STREAM_INIT, i, (uint32_t) j) - 0.5;
}

static void
open_setup(Setup *s, const HbFamily *family)
{
	HbStatus status;

	hb_status_init(&status);
	s->context = (HbTrainContext){
		.host = &hb_host_malloc, .provider = hb_provider_find("reference"), .dataset = &s->dataset};
	s->trial.number = 3;
	s->job = (HbJob){.id = 1,
					 .kind = HB_JOB_TRAIN,
					 .metric = s->dataset.header->task == HB_TASK_REGRESSION ? HB_METRIC_RMSE
																			 : HB_METRIC_ERROR,
					 .seed = 5,
					 .to_resource = 1,
					 .max_resource = 1,
					 .ntrials = 1,
					 .trials = &s->trial};
	if (!hb_cohort_open(family, &s->context, &s->job, &s->cohort, &status))
	{
		printf("Bail out! %s %s\n", status.message, status.detail);
		exit(1);
	}
	hb_tile_fill(&s->cohort, s->dataset.train, s->dataset.header->rows_train, 0, &s->cohort.tile);
	hb_next_group(&s->cohort, 0, &s->group);
	if (s->cohort.members[0].network.shape.layers == 1)
		randomise(&s->cohort.members[0].network.layer[0]);
	/* with dropout all inputs of a unit may be gone: without a bias relu would stand at its kink */
	for (uint32_t l = 0; l < s->cohort.members[0].network.shape.layers; l++)
		for (size_t i = 0; i < s->cohort.members[0].network.layer[l].units; i++)
			s->cohort.members[0].network.layer[l].b[i] = 0.1 + 0.01 * (double) i;
}

/* The loss of the mini-batch with the present weights, plus l2/2 |W|^2. */
static double
loss_at(Setup *s)
{
	HbMember *member = &s->cohort.members[0];
	double rate = member->training.learning_rate, l2 = member->training.l2, loss, square = 0;

	for (uint32_t l = 0; l < member->network.shape.layers; l++)
		for (size_t i = 0; i < member->network.layer[l].units; i++)
			for (size_t j = 0; j < member->network.layer[l].inputs; j++)
				square +=
					pow(member->network.layer[l].w[i * member->network.layer[l].stride + j], 2);
	hb_member_contrast(&s->cohort, member);
	member->training.learning_rate = 0;
	member->epoch_loss = 0;
	member->step = 0;
	hb_group_step(&s->cohort, &s->group, 0);
	loss = member->epoch_loss;
	member->training.learning_rate = rate;
	member->step = 0;
	return loss + l2 / 2 * square;
}

static double
difference(Setup *s, hb_real *weight)
{
	double h = 1e-5, saved = *weight, up, down;

	*weight = saved + h;
	up = loss_at(s);
	*weight = saved - h;
	down = loss_at(s);
	*weight = saved;
	hb_member_contrast(&s->cohort, &s->cohort.members[0]);
	return (up - down) / (2 * h);
}

/* Largest relative error over a sample of all weights and biases. */
static double
worst_error(Setup *s)
{
	HbMember *member = &s->cohort.members[0];
	HbNetwork before = member->network;
	double scale = 0, worst = 0;

	for (uint32_t l = 0; l < before.shape.layers; l++)
	{
		HbLayer *layer = &member->network.layer[l];
		size_t size = layer->units * layer->stride;
		double *numeric = malloc(size * sizeof(double)), *bias = malloc(layer->units * 8);
		double *w = malloc(size * sizeof(double)), *b = malloc(layer->units * 8);

		scale = 1e-12;
		for (size_t i = 0; i < layer->units; i++)
		{
			for (size_t j = 0; j < layer->inputs; j++)
			{
				numeric[i * layer->stride + j] = difference(s, &layer->w[i * layer->stride + j]);
				scale = fmax(scale, fabs(numeric[i * layer->stride + j]));
			}
			bias[i] = difference(s, &layer->b[i]);
			scale = fmax(scale, fabs(bias[i]));
		}
		memcpy(w, layer->w, size * sizeof(double));
		memcpy(b, layer->b, layer->units * 8);
		/* keep the other layers in place while this step moves all of them */
		{
			hb_real *saved[HB_MAX_LAYERS][2];

			for (uint32_t k = 0; k < before.shape.layers; k++)
			{
				HbLayer *other = &member->network.layer[k];

				saved[k][0] = malloc(other->units * other->stride * 8);
				saved[k][1] = malloc(other->units * 8);
				memcpy(saved[k][0], other->w, other->units * other->stride * 8);
				memcpy(saved[k][1], other->b, other->units * 8);
			}
			member->step = 0;
			hb_group_step(&s->cohort, &s->group, 0);
			for (size_t i = 0; i < layer->units; i++)
			{
				for (size_t j = 0; j < layer->inputs; j++)
				{
					size_t at = i * layer->stride + j;

					worst = fmax(worst, fabs(w[at] - layer->w[at] - numeric[at]) / scale);
				}
				worst = fmax(worst, fabs(b[i] - layer->b[i] - bias[i]) / scale);
			}
			for (uint32_t k = 0; k < before.shape.layers; k++)
			{
				HbLayer *other = &member->network.layer[k];

				memcpy(other->w, saved[k][0], other->units * other->stride * 8);
				memcpy(other->b, saved[k][1], other->units * 8);
				free(saved[k][0]);
				free(saved[k][1]);
			}
		}
		free(numeric);
		free(bias);
		free(w);
		free(b);
	}
	return worst;
}

/* Of numbers, or mostly of categories, whose mini-batches are kept sparse. */
static HbDataset
some_dataset(bool sparse, uint32_t classes, uint64_t seed)
{
	return sparse ? synthetic_categories(ROWS, 3, 9, classes, seed)
				  : synthetic_dataset(ROWS, 7, classes, seed);
}

static void
check_linear(const char *loss, int index, uint32_t classes, bool sparse)
{
	const HbFamily *family = hb_family_find("linear");
	Setup s = {.dataset = some_dataset(sparse, classes, 11)};
	double worst;

	set_params(family, &s.dataset, s.trial.params, "optimizer", 0.0, "learning_rate", 1.0,
			   "schedule", 0.0, "l2", 0.01, "batch_size", (double) ROWS, "loss", (double) index,
			   NULL);
	open_setup(&s, family);
	worst = worst_error(&s);
	ok(worst < 1e-6 && (s.cohort.row_values > 0) == sparse,
	   "linear, %s, %u outputs, %s rows: relative error %.1e", loss, classes,
	   sparse ? "sparse" : "dense", worst);
	hb_arena_free(&s.cohort.arena);
	synthetic_free(&s.dataset);
}

static void
check_mlp(int activation, uint32_t classes, int layers, double dropout, bool sparse)
{
	const HbFamily *family = hb_family_find("mlp");
	Setup s = {.dataset = some_dataset(sparse, classes, 12)};
	double worst;

	set_params(family, &s.dataset, s.trial.params, "optimizer", 0.0, "learning_rate", 1.0,
			   "schedule", 0.0, "l2", 0.01, "batch_size", (double) ROWS, "layers", (double) layers,
			   "units", 5.0, "units_2", 6.0, "units_3", 4.0, "activation", (double) activation,
			   "dropout", dropout, NULL);
	open_setup(&s, family);
	worst = worst_error(&s);
	ok(worst < 1e-6 && (s.cohort.row_values > 0) == sparse,
	   "mlp, %s, %u outputs, %d layers, dropout %g, %s rows: relative error %.1e",
	   hb_activation_names[activation], classes, layers, dropout, sparse ? "sparse" : "dense",
	   worst);
	hb_arena_free(&s.cohort.arena);
	synthetic_free(&s.dataset);
}

int
main(void)
{
	for (int sparse = 0; sparse <= 1; sparse++)
	{
		check_linear("cross_entropy", 0, 2, sparse);
		check_linear("cross_entropy", 0, 4, sparse);
		check_linear("hinge", 1, 2, sparse);
		check_linear("hinge", 1, 4, sparse);
		check_linear("squared_error", 2, 1, sparse);
	}
	for (int activation = 0; activation < HB_ACTIVATION_COUNT; activation++)
		for (uint32_t classes = 1; classes <= 4; classes += 3)
			for (int layers = 1; layers <= 3; layers++)
				for (int dropout = 0; dropout <= 1; dropout++)
					check_mlp(activation, classes, layers, dropout * 0.3, false);
	check_mlp(HB_TANH, 4, 1, 0, true);
	check_mlp(HB_GELU, 1, 2, 0.3, true);
	return tap_done();
}
