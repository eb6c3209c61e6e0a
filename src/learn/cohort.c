/*
 * cohort.c - trains a chunk of trials together: one pass over each mini-batch for all of them
 *
 * Trials of one batch size see the same rows in the same order (keyed by seed and epoch only), so a
 * mini-batch is gathered and packed, or kept sparse (first.c), once.  A tile of several mini-batches is taken
 * through one group of trials after another, so that a group's weights and state stay in the second-level
 * cache.  Kernels add up in one fixed order an element: a trial's result depends neither on the groups nor on
 * who trains it, and going on from a checkpoint equals training straight through.
 */
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compute/encode.h"
#include "core/rng.h"
#include "learn/cohort.h"

#define TILE_BATCHES 8
#define TILE_BYTES ((size_t) 16 << 20)
/* First-layer weights and state of a group, where a core's second-level cache has a megabyte, and what passes by. */
#define GROUP_BYTES ((size_t) 640 << 10)
#define STREAM_BYTES ((size_t) 384 << 10)
#define GROUP_ROWS 256
#define EVALUATION_BATCH 128 /* scores of one stay in the first-level cache */
#define EVALUATION_BATCHES 4

static double
clock_seconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
}

bool
hb_cohort_stopped(HbStatus *status)
{
	return hb_fail(status, "57014", "training was stopped");
}

bool
hb_cohort_tick(const HbCohort *cohort, HbStatus *status)
{
	const HbTrainContext *context = cohort->context;

	if (context->tick == NULL || context->tick(context->callback_context))
		return true;
	return hb_cohort_stopped(status);
}

/* A member's place among the first layers, and among the rows of their products. */
static void
place_lines(HbCohort *cohort, HbMember *member)
{
	const HbShape *shape = &member->training.shape;

	member->row = cohort->rows;
	member->baseline =
		shape->layers == 1 && shape->loss == HB_LOSS_CROSS_ENTROPY && shape->units[0] > 1;
	member->lines = shape->units[0] - member->baseline;
	member->line = member->baseline ? cohort->contrast_lines : cohort->rows;
	cohort->rows += shape->units[0];
	if (member->baseline)
		cohort->contrast_lines += member->lines;
}

static HbProblem
problem_of(const HbCohort *cohort)
{
	const HbDatasetHeader *header = cohort->context->dataset->header;

	return (HbProblem){.task = (HbTask) header->task,
					   .inputs = header->inputs,
					   .outputs = header->outputs,
					   .rows_train = header->rows_train,
					   .row_values = (uint32_t) cohort->row_values};
}

static bool
configure_members(const HbFamily *family, HbCohort *cohort, HbStatus *status)
{
	HbProblem problem = problem_of(cohort);

	cohort->members = hb_arena_alloc(&cohort->arena, cohort->nmembers, sizeof(HbMember), status);
	if (cohort->members == NULL)
		return false;
	for (int i = 0; i < cohort->nmembers; i++)
	{
		HbMember *member = &cohort->members[i];

		member->trial = &cohort->job->trials[i];
		hb_network_configure(family, &problem, member->trial->params, &member->training);
		if (!family->check(family, &problem, member->trial->params,
						   (HbMetricId) cohort->job->metric, cohort->job->max_resource == 0,
						   status))
			return false;
		if (member->training.batch_size != cohort->members[0].training.batch_size)
			return hb_fail(status, HB_ERR_INTERNAL, "trials of one job have different batch sizes");
		hb_network_lay_out(&member->network, &member->training.shape);
		place_lines(cohort, member);
		member->best_loss = member->train_loss = member->validation_loss = NAN;
	}
	return true;
}

/* First layers of all members lie in one array, and so does their state. */
static bool
alloc_first_layers(HbCohort *cohort, int slots, HbStatus *status)
{
	HbArena *arena = &cohort->arena;

	cohort->stride = hb_stride(cohort->inputs);
	cohort->w = hb_arena_alloc(arena, cohort->rows * cohort->stride, sizeof(hb_real), status);
	/* a sparse product reads whole vectors of biases */
	cohort->b = hb_arena_alloc(arena, cohort->rows + HB_PAD, sizeof(hb_real), status);
	cohort->contrast_w =
		hb_arena_alloc(arena, cohort->contrast_lines * cohort->stride, sizeof(hb_real), status);
	cohort->contrast_b =
		hb_arena_alloc(arena, cohort->contrast_lines + HB_PAD, sizeof(hb_real), status);
	if (!cohort->w || !cohort->b || !cohort->contrast_w || !cohort->contrast_b)
		return false;
	for (int s = 0; s < slots; s++)
	{
		cohort->state_w[s] =
			hb_arena_alloc(arena, cohort->rows * cohort->stride, sizeof(hb_real), status);
		cohort->state_b[s] = hb_arena_alloc(arena, cohort->rows, sizeof(hb_real), status);
		if (cohort->state_w[s] == NULL || cohort->state_b[s] == NULL)
			return false;
	}
	return true;
}

static void
place_first_layer(const HbCohort *cohort, HbMember *member)
{
	HbLayer *layer = &member->network.layer[0];

	layer->w = cohort->w + member->row * cohort->stride;
	layer->b = cohort->b + member->row;
	for (int s = 0; s < member->training.optimizer->slots; s++)
	{
		layer->state_w[s] = cohort->state_w[s] + member->row * cohort->stride;
		layer->state_b[s] = cohort->state_b[s] + member->row;
	}
}

void
hb_member_contrast(HbCohort *cohort, const HbMember *member)
{
	const HbLayer *layer = &member->network.layer[0];
	const hb_real *base = layer->w + member->lines * layer->stride;

	for (size_t i = 0; member->baseline && i < member->lines; i++)
	{
		hb_real *to = cohort->contrast_w + (member->line + i) * layer->stride;

		for (size_t j = 0; j < layer->stride; j++)
			to[j] = layer->w[i * layer->stride + j] - base[j];
		cohort->contrast_b[member->line + i] = layer->b[i] - layer->b[member->lines];
	}
}

static bool
same_shape(const HbShape *a, const HbShape *b)
{
	return a->task == b->task && a->loss == b->loss && a->inputs == b->inputs &&
		   a->outputs == b->outputs && a->layers == b->layers &&
		   (a->layers == 1 || a->activation == b->activation) &&
		   memcmp(a->units, b->units, a->layers * sizeof a->units[0]) == 0;
}

/* From its checkpoint, or fresh weights at resource 0. */
static bool
start_member(HbCohort *cohort, HbMember *member, HbStatus *status)
{
	const HbJobTrial *trial = member->trial;
	HbCheckpoint checkpoint;

	if (cohort->job->from_resource == 0)
		return hb_network_init(&cohort->arena, &member->network, cohort->job->seed, trial->number,
							   status);
	if (trial->state == NULL)
		return hb_fail(status, HB_ERR_CORRUPTED, "checkpoint of trial %llu is missing",
					   (unsigned long long) trial->number);
	if (!hb_checkpoint_open(trial->state, trial->state_bytes, &checkpoint, status))
		return false;
	if (!same_shape(&checkpoint.shape, &member->training.shape) || checkpoint.state == NULL ||
		!checkpoint.has_progress || checkpoint.rule != member->training.optimizer->rule)
	{
		hb_fail(status, HB_ERR_CORRUPTED, "checkpoint is corrupted");
		return hb_fail_detail(status, "It does not belong to trial %llu at resource %u.",
							  (unsigned long long) trial->number, cohort->job->from_resource);
	}
	hb_checkpoint_read(&checkpoint, &member->network);
	/* not the recorded step: rows may have come or gone since, and schedules follow the epochs */
	member->step = (uint64_t) cohort->job->from_resource * cohort->steps_per_epoch;
	member->best_loss = checkpoint.best_loss;
	return true;
}

/* What a group may take of this core's second-level cache. */
static size_t
group_bytes(void)
{
#ifdef _SC_LEVEL2_CACHE_SIZE
	long cache = sysconf(_SC_LEVEL2_CACHE_SIZE);

	if (cache > 0 && (size_t) cache > GROUP_BYTES + STREAM_BYTES)
		return (size_t) cache - STREAM_BYTES;
#endif
	return GROUP_BYTES;
}

static bool
start_members(HbCohort *cohort, HbStatus *status)
{
	int slots = 0;

	for (int i = 0; i < cohort->nmembers; i++)
		if (cohort->members[i].training.optimizer->slots > slots)
			slots = cohort->members[i].training.optimizer->slots;
	if (!alloc_first_layers(cohort, slots, status))
		return false;
	cohort->group_rows =
		group_bytes() / (cohort->stride * sizeof(hb_real) *
						 (1 + slots + (cohort->contrast_lines > 0) + 2 * (cohort->row_values > 0)));
	if (cohort->group_rows > GROUP_ROWS)
		cohort->group_rows = GROUP_ROWS;
	for (int i = 0; i < cohort->nmembers; i++)
	{
		HbMember *member = &cohort->members[i];

		place_first_layer(cohort, member);
		if (!hb_network_alloc(&cohort->arena, &member->network, 1,
							  member->training.optimizer->slots, status) ||
			!start_member(cohort, member, status))
			return false;
		hb_member_contrast(cohort, member);
	}
	return true;
}

/* Several mini-batches pay only where several groups go through them. */
static size_t
tile_capacity(const HbCohort *cohort)
{
	size_t row = cohort->row_values > 0 ? cohort->row_values * (sizeof(uint32_t) + sizeof(float))
										: 2 * cohort->padded * sizeof(hb_real);
	size_t fit = TILE_BYTES / (cohort->batch_size * row);
	HbGroup group;

	if (hb_next_group(cohort, 0, &group) && group.count == cohort->nmembers)
		return 1;
	return fit < 1 ? 1 : fit > TILE_BATCHES ? TILE_BATCHES : fit;
}

static size_t
largest_batch(const HbCohort *cohort)
{
	return cohort->batch_size > EVALUATION_BATCH ? cohort->batch_size : EVALUATION_BATCH;
}

static bool
alloc_sparse_buffers(HbCohort *cohort, size_t widest, HbStatus *status)
{
	HbArena *arena = &cohort->arena;
	size_t batch = largest_batch(cohort);
	size_t stride = hb_stride(widest < cohort->rows ? widest : cohort->rows);

	cohort->lines_w = hb_arena_alloc(arena, cohort->inputs * stride, sizeof(hb_real), status);
	cohort->lines_z = hb_arena_alloc(arena, batch * stride, sizeof(hb_real), status);
	cohort->lines_g = hb_arena_alloc(arena, cohort->padded * stride, sizeof(hb_real), status);
	return cohort->lines_w && cohort->lines_z && cohort->lines_g;
}

static bool
alloc_buffers(HbCohort *cohort, HbStatus *status)
{
	HbArena *arena = &cohort->arena;
	const HbShape **shapes = hb_arena_alloc(arena, cohort->nmembers, sizeof(HbShape *), status);
	size_t widest = cohort->group_rows;

	if (shapes == NULL)
		return false;
	for (int i = 0; i < cohort->nmembers; i++)
	{
		shapes[i] = &cohort->members[i].training.shape;
		if (shapes[i]->units[0] > widest)
			widest = shapes[i]->units[0];
	}
	cohort->gradient_columns = cohort->provider->panel ? cohort->provider->panel : cohort->padded;
	if (!hb_tile_alloc(cohort, tile_capacity(cohort), cohort->batch_size, true, &cohort->tile,
					   status) ||
		!hb_tile_alloc(cohort, EVALUATION_BATCHES, EVALUATION_BATCH, false,
					   &cohort->evaluation_tile, status) ||
		!hb_workspace_alloc(arena, cohort->provider, shapes, cohort->nmembers, cohort->batch_size,
							true, &cohort->workspace, status) ||
		!hb_workspace_alloc(arena, cohort->provider, shapes, cohort->nmembers, EVALUATION_BATCH,
							false, &cohort->evaluation_workspace, status))
		return false;
	cohort->z0 = hb_arena_alloc(arena, widest * cohort->workspace.ld, sizeof(hb_real), status);
	cohort->d0 = hb_arena_alloc(arena, widest * cohort->workspace.ld, sizeof(hb_real), status);
	cohort->gradient =
		hb_arena_alloc(arena, widest * cohort->gradient_columns, sizeof(hb_real), status);
	cohort->updates = hb_arena_alloc(arena, cohort->nmembers, sizeof(HbUpdate), status);
	cohort->evaluation_z0 =
		hb_arena_alloc(arena, widest * cohort->evaluation_workspace.ld, sizeof(hb_real), status);
	return cohort->z0 && cohort->d0 && cohort->gradient && cohort->updates &&
		   cohort->evaluation_z0 &&
		   (cohort->row_values == 0 || alloc_sparse_buffers(cohort, widest, status));
}

/* What a study's family and task decide, not what is trained together: results must not depend on that. */
static void
choose_provider(HbCohort *cohort)
{
	const HbShape *shape = &cohort->members[0].training.shape;

	if (shape->layers == 1 && shape->units[0] <= 2 && cohort->provider->narrow != NULL)
		cohort->provider = cohort->provider->narrow;
}

/* What the table, the provider and the batch size decide, which all trials of a cohort share. */
static void
choose_sparse(HbCohort *cohort)
{
	uint64_t values = hb_sparse_row_values(&cohort->encoder), from = cohort->provider->sparse_from;

	if (from > 0 && from * values <= cohort->inputs && values * largest_batch(cohort) <= UINT32_MAX)
		cohort->row_values = values;
}

static void
set_costs(const HbFamily *family, HbCohort *cohort)
{
	HbProblem problem = problem_of(cohort);

	for (int i = 0; i < cohort->nmembers; i++)
		cohort->members[i].cost = family->cost(family, &problem, cohort->members[i].trial->params);
}

bool
hb_cohort_open(const HbFamily *family, const HbTrainContext *context, const HbJob *job,
			   HbCohort *cohort, HbStatus *status)
{
	const HbDataset *dataset = context->dataset;
	const HbDatasetHeader *header = dataset->header;

	*cohort = (HbCohort){.context = context,
						 .job = job,
						 .provider = context->provider,
						 .nmembers = (int) job->ntrials};
	hb_arena_init(&cohort->arena, context->host);
	cohort->task = (HbTask) header->task;
	cohort->target_scale = cohort->task == HB_TASK_REGRESSION ? header->target_scale : 1.0;
	cohort->inputs = header->inputs;
	cohort->padded = hb_padded(header->inputs);
	cohort->encoder = (HbEncoder){
		.ncolumns = header->columns, .inputs = header->inputs, .columns = dataset->columns};
	cohort->rows_train = header->rows_train;
	if (cohort->nmembers == 0 || cohort->rows_train == 0 || header->rows_train > UINT32_MAX)
		return hb_fail(status, HB_ERR_PROTOCOL, "job has no trials or no rows to train on");
	if (!configure_members(family, cohort, status))
		return false;
	choose_provider(cohort);
	cohort->batch_size = cohort->members[0].training.batch_size;
	cohort->steps_per_epoch = (cohort->rows_train + cohort->batch_size - 1) / cohort->batch_size;
	if (cohort->batch_size > cohort->rows_train)
		cohort->batch_size = cohort->rows_train;
	choose_sparse(cohort);
	set_costs(family, cohort);
	return start_members(cohort, status) && alloc_buffers(cohort, status);
}

static bool
train_tile(HbCohort *cohort, HbStatus *status)
{
	HbGroup group;

	for (int m = 0; hb_next_group(cohort, m, &group); m = group.first + group.count)
		for (size_t i = 0; i < cohort->tile.nbatches; i++)
		{
			hb_group_step(cohort, &group, i);
			if (!hb_cohort_tick(cohort, status))
				return false;
		}
	return true;
}

static bool
train_epoch(HbCohort *cohort, uint32_t epoch, uint32_t *order, HbStatus *status)
{
	const uint32_t *rows = cohort->context->dataset->train;
	size_t tile_rows = cohort->tile.capacity * cohort->batch_size;
	uint64_t n = cohort->rows_train;

	hb_random_permutation(cohort->job->seed, HB_STREAM_ORDER, epoch, order, (uint32_t) n);
	for (uint64_t s = 0; s < n; s++)
		order[s] = rows[order[s]];
	for (int i = 0; i < cohort->nmembers; i++)
		cohort->members[i].epoch_loss = 0;
	for (uint64_t at = 0; at < n; at += tile_rows)
	{
		size_t count = n - at < tile_rows ? n - at : tile_rows;

		hb_tile_fill(cohort, order + at, count, n - at - count, &cohort->tile);
		if (!hb_cohort_tick(cohort, status) || !train_tile(cohort, status))
			return false;
	}
	for (int i = 0; i < cohort->nmembers; i++)
		cohort->members[i].train_loss = cohort->members[i].epoch_loss /
										(double) cohort->steps_per_epoch * cohort->target_scale *
										cohort->target_scale;
	return true;
}

static bool
report_curve(const HbCohort *cohort, uint32_t resource, bool evaluated, double elapsed,
			 HbStatus *status)
{
	const HbTrainContext *context = cohort->context;

	for (int i = 0; i < cohort->nmembers; i++)
	{
		const HbMember *member = &cohort->members[i];
		HbCurvePoint point = {.job_id = cohort->job->id,
							  .trial = member->trial->number,
							  .resource = resource,
							  .train_loss = member->train_loss,
							  .validation_loss = evaluated ? member->validation_loss : NAN,
							  .metric_value =
								  evaluated ? member->metrics.value[cohort->job->metric] : NAN,
							  .elapsed = elapsed};

		if (!member->diverged && context->curve != NULL &&
			!context->curve(context->callback_context, &point))
			return hb_cohort_stopped(status);
	}
	return true;
}

static bool
all_diverged(const HbCohort *cohort)
{
	int i = 0;

	while (i < cohort->nmembers && cohort->members[i].diverged)
		i++;
	return i == cohort->nmembers;
}

static bool
train_epochs(HbCohort *cohort, HbStatus *status)
{
	const HbJob *job = cohort->job;
	double start = clock_seconds(CLOCK_MONOTONIC);
	uint32_t *order = hb_arena_alloc(&cohort->arena, cohort->rows_train, sizeof(uint32_t), status);

	if (order == NULL)
		return false;
	for (uint32_t epoch = job->from_resource; epoch < job->to_resource; epoch++)
	{
		bool evaluate = hb_curve_wants_validation(epoch + 1, job->to_resource, job->max_resource,
												  job->curve_points);

		if (!train_epoch(cohort, epoch, order, status))
			return false;
		if (evaluate && !hb_cohort_evaluate(cohort, epoch + 1 == job->to_resource, status))
			return false;
		/* weights that are no numbers after the last step show in the validation loss only */
		for (int i = 0; evaluate && i < cohort->nmembers; i++)
			if (!isfinite(cohort->members[i].validation_loss))
				cohort->members[i].diverged = true;
		if (!report_curve(cohort, epoch + 1, evaluate, clock_seconds(CLOCK_MONOTONIC) - start,
						  status))
			return false;
		if (all_diverged(cohort))
			break;
	}
	return true;
}

/* What breaks ties: log loss or mean squared error; the hinge loss itself where there is no log loss. */
static double
tie_loss(const HbCohort *cohort, const HbMember *member)
{
	double log_loss = member->metrics.value[HB_METRIC_LOG_LOSS];
	double rmse = member->metrics.value[HB_METRIC_RMSE];

	if (cohort->task == HB_TASK_REGRESSION)
		return rmse * rmse;
	return isnan(log_loss) ? member->validation_loss : log_loss;
}

static bool
member_result(HbCohort *cohort, HbMember *member, HbTrialResult *result, HbStatus *status)
{
	const HbJob *job = cohort->job;
	void *state;
	size_t length;

	*result = (HbTrialResult){.number = member->trial->number,
							  .outcome = HB_OUTCOME_DIVERGED,
							  .resource = job->from_resource,
							  .loss = NAN,
							  .train_loss = member->train_loss,
							  .validation_loss = NAN,
							  .metrics = member->metrics};
	for (int m = 0; member->diverged && m < HB_METRIC_COUNT; m++)
		result->metrics.value[m] = NAN;
	if (member->diverged)
		return true;
	result->outcome = HB_OUTCOME_TRAINED;
	result->resource = job->to_resource;
	result->loss = hb_metric_loss((HbMetricId) job->metric, member->metrics.value[job->metric]);
	result->validation_loss = tie_loss(cohort, member);
	if (!job->want_state)
		return true;
	if (!hb_checkpoint_write(cohort->context->host, &member->network, member->training.optimizer,
							 member->step, member->best_loss, &state, &length, status))
		return false;
	result->state = state;
	result->state_bytes = length;
	return true;
}

static bool
collect_results(HbCohort *cohort, double cpu_seconds, HbJobResult *result, HbStatus *status)
{
	double cost = 0;

	result->job_id = cohort->job->id;
	result->cpu_seconds = cpu_seconds;
	result->ntrials = (uint32_t) cohort->nmembers;
	result->trials = hb_alloc(cohort->context->host, cohort->nmembers * sizeof(HbTrialResult));
	if (result->trials == NULL)
		return hb_fail_memory(status, cohort->nmembers * sizeof(HbTrialResult));
	for (int i = 0; i < cohort->nmembers; i++)
		cost += cohort->members[i].cost;
	for (int i = 0; i < cohort->nmembers; i++)
	{
		if (!member_result(cohort, &cohort->members[i], &result->trials[i], status))
			return false;
		result->trials[i].seconds = cpu_seconds * cohort->members[i].cost / cost;
	}
	return true;
}

bool
hb_cohort_train(const HbFamily *family, const HbTrainContext *context, const HbJob *job,
				HbJobResult *result, HbStatus *status)
{
	HbCohort cohort;
	double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
	unsigned mode = hb_flush_subnormals();
	bool passed;

	passed =
		hb_cohort_open(family, context, job, &cohort, status) && train_epochs(&cohort, status) &&
		collect_results(&cohort, clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start, result, status);
	hb_arena_free(&cohort.arena);
	hb_restore_subnormals(mode);
	return passed;
}
