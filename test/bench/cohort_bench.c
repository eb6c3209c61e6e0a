/*
 * cohort_bench.c - trains one cohort as a trainer does and prints what it cost and what came out
 *
 * Built on demand by cohort.sh and reference.sh.  Output: one line of JSON with CPU seconds of the
 * training call, rows, epochs and the train losses by trial and epoch.  --dump writes what a peer needs to
 * train the same thing: inputs (float32), labels (uint32), the row order of each epoch (uint32), and each trial's
 * learning rate and initial weights (float32: a layer's rows, then its biases).  --profile 1 adds how many seconds the
 * provider's operations took by the clock, by groups.  --sgemm measures OpenBLAS's product of two N x N matrices on
 * one thread instead.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <cblas.h>

#include "core/host.h"
#include "../unit/tap.h"
#include "../unit/synthetic.h"
#include "compute/encode.h"
#include "learn/network.h"

#define MAX_TRIALS 256
#define MAX_EPOCHS 64

typedef struct Options
{
	const char *images, *labels, *dump, *provider;
	const char *optimizer;
	uint32_t rows, inputs, classes; /* of a synthetic table */
	uint32_t categories, levels;    /* of one whose inputs are mostly those of categories */
	bool dense;                     /* zeros are multiplied, too */
	int units, narrow; /* widths are spread from narrow to units where narrow is given */
	int trials, epochs, batch, validation, alone, sgemm, profile, layers;
	HbPrecision precision;
	double dropout;
} Options;

static double losses[MAX_TRIALS + 1][MAX_EPOCHS];

static void
stop(const char *what)
{
	fprintf(stderr, "cohort_bench: %s\n", what);
	exit(1);
}

static unsigned char *
read_idx(const char *path, size_t header, size_t *length)
{
	FILE *file = fopen(path, "rb");
	unsigned char *bytes;

	if (file == NULL)
		stop(path);
	fseek(file, 0, SEEK_END);
	*length = (size_t) ftell(file) - header;
	fseek(file, (long) header, SEEK_SET);
	bytes = malloc(*length);
	if (fread(bytes, 1, *length, file) != *length)
		stop("short file");
	fclose(file);
	return bytes;
}

static void
image_statistics(const unsigned char *pixels, size_t n, double *mean, double *deviation)
{
	double sum = 0, square = 0;

	for (size_t i = 0; i < n; i++)
	{
		sum += pixels[i];
		square += (double) pixels[i] * pixels[i];
	}
	*mean = sum / (double) n;
	*deviation = sqrt(square / (double) n - *mean * *mean);
}

/* All rows train; the first of them validate as well, few unless asked, so that the cost is training. */
static HbDataset
image_dataset(const Options *options)
{
	size_t npixels, nlabels, records = 512, targets, order, total;
	unsigned char *pixels = read_idx(options->images, 16, &npixels), *base;
	unsigned char *labels = read_idx(options->labels, 8, &nlabels);
	uint32_t inputs = (uint32_t) (npixels / nlabels), *part;
	HbDatasetHeader *header;
	HbColumn *column;
	HbDataset dataset;
	HbStatus status;
	double mean, deviation;

	image_statistics(pixels, npixels, &mean, &deviation);
	targets = records + (npixels + nlabels + 63) / 64 * 64;
	order = targets + (nlabels * 4 + 63) / 64 * 64;
	total = order + ((nlabels + (size_t) options->validation) * 4 + 63) / 64 * 64;
	base = aligned_alloc(64, total);
	memset(base, 0, total);
	header = (HbDatasetHeader *) base;
	*header = (HbDatasetHeader){.magic = HB_DATASET_MAGIC,
								.version = HB_DATASET_VERSION,
								.total_bytes = total,
								.task = HB_TASK_CLASSIFICATION,
								.outputs = 10,
								.columns = 1,
								.inputs = inputs,
								.record_bytes = inputs + 1,
								.rows = nlabels,
								.rows_train = nlabels,
								.columns_offset = 256,
								.records_offset = records,
								.targets_offset = targets,
								.order_offset = order};
	column = (HbColumn *) (base + 256);
	*column = (HbColumn){.kind = HB_COLUMN_BYTES,
						 .length = (int32_t) inputs,
						 .input_width = inputs,
						 .clip = 5,
						 .mean = mean,
						 .scale = 1 / deviation};
	part = (uint32_t *) (base + order);
	for (uint32_t i = 0; i < nlabels; i++)
	{
		memcpy(base + records + (size_t) i * (inputs + 1), pixels + (size_t) i * inputs, inputs);
		((uint32_t *) (base + targets))[i] = labels[i];
		part[i] = i;
	}
	for (int i = 0; i < options->validation; i++)
		part[nlabels + (size_t) i] = (uint32_t) i;
	header->rows_validation = (uint64_t) options->validation;
	free(pixels);
	free(labels);
	hb_status_init(&status);
	if (!hb_dataset_open(base, total, &dataset, &status))
		stop(status.message);
	return dataset;
}

/* A copy in huge pages, as loading leaves a study's data: rows are visited in random order. */
static HbDataset
in_huge_pages(const HbDataset *dataset)
{
	size_t huge = (size_t) 2 << 20, total = dataset->header->total_bytes;
	void *base = aligned_alloc(huge, (total + huge - 1) / huge * huge);
	HbDataset copy;
	HbStatus status;

	madvise(base, total, MADV_HUGEPAGE);
	memcpy(base, dataset->header, total);
	free((void *) dataset->header);
	hb_status_init(&status);
	if (!hb_dataset_open(base, total, &copy, &status))
		stop(status.message);
	return copy;
}

static HbDataset
table_dataset(const Options *options)
{
	uint32_t rows = options->rows + (uint32_t) options->validation;
	HbDataset dataset =
		options->categories
			? synthetic_categories(rows, options->categories, options->levels, options->classes, 5)
			: synthetic_dataset(rows, options->inputs, options->classes, 5);
	HbDatasetHeader *header = (HbDatasetHeader *) dataset.header;
	HbStatus status;

	header->rows_train = options->rows;
	header->rows_validation = (uint64_t) options->validation;
	hb_status_init(&status);
	if (!hb_dataset_open(header, header->total_bytes, &dataset, &status))
		stop(status.message);
	return dataset;
}

static void
write_file(const Options *options, const char *name, const void *bytes, size_t length)
{
	char path[1024];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", options->dump, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
		stop("could not write");
}

static void
dump_data(const Options *options, const HbDataset *dataset, uint64_t seed)
{
	const HbDatasetHeader *header = dataset->header;
	HbEncoder encoder = {header->columns, header->inputs, dataset->columns, NULL};
	uint32_t n = (uint32_t) header->rows_train;
	float *x = malloc((size_t) n * header->inputs * sizeof(float));
	uint32_t *order = malloc((size_t) n * options->epochs * sizeof(uint32_t));
	uint32_t *labels = malloc(n * sizeof(uint32_t));

	hb_encode_rows(&encoder, dataset, dataset->train, n, 0, x, header->inputs);
	for (uint32_t i = 0; i < n; i++)
		labels[i] = ((const uint32_t *) dataset->targets)[dataset->train[i]];
	for (int epoch = 0; epoch < options->epochs; epoch++)
		hb_random_permutation(seed, HB_STREAM_ORDER, (uint64_t) epoch, order + (size_t) n * epoch,
							  n);
	write_file(options, "x.f32", x, (size_t) n * header->inputs * sizeof(float));
	write_file(options, "labels.u32", labels, n * sizeof(uint32_t));
	write_file(options, "order.u32", order, (size_t) n * options->epochs * sizeof(uint32_t));
	free(x);
	free(order);
	free(labels);
}

static void
dump_weights(const Options *options, const HbFamily *family, const HbDataset *dataset,
			 const HbJobTrial *trials, uint64_t seed)
{
	HbProblem problem = synthetic_problem(dataset);
	HbTraining training;
	size_t count, at = 0;
	float *all;

	hb_network_configure(family, &problem, trials[0].params, &training);
	count = hb_shape_weights(&training.shape);
	all = malloc((count + 1) * (size_t) options->trials * sizeof(float));
	for (int i = 0; i < options->trials; i++)
	{
		HbNetwork network;
		HbArena arena;
		HbStatus status;

		hb_network_configure(family, &problem, trials[i].params, &training);
		hb_arena_init(&arena, &hb_host_malloc);
		hb_network_lay_out(&network, &training.shape);
		if (!hb_network_alloc(&arena, &network, 0, 0, &status) ||
			!hb_network_init(&arena, &network, seed, trials[i].number, &status))
			stop("out of memory");
		all[at++] = (float) training.learning_rate;
		for (uint32_t l = 0; l < training.shape.layers; l++)
		{
			for (size_t u = 0; u < network.layer[l].units; u++, at += network.layer[l].inputs)
				memcpy(all + at, network.layer[l].w + u * network.layer[l].stride,
					   network.layer[l].inputs * sizeof(float));
			memcpy(all + at, network.layer[l].b, network.layer[l].units * sizeof(float));
			at += network.layer[l].units;
		}
		hb_arena_free(&arena);
	}
	write_file(options, "weights.f32", all, at * sizeof(float));
	free(all);
}

static bool
record_curve(void *context, const HbCurvePoint *point)
{
	if (point->trial <= MAX_TRIALS && point->resource <= MAX_EPOCHS)
		losses[point->trial][point->resource - 1] = point->train_loss;
	return true;
}

static double
cpu_seconds(void)
{
	struct rusage self, children;

	getrusage(RUSAGE_SELF, &self);
	getrusage(RUSAGE_CHILDREN, &children);
	return (double) (self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec +
					 children.ru_stime.tv_sec) +
		   1e-6 * (double) (self.ru_utime.tv_usec + self.ru_stime.tv_usec +
							children.ru_utime.tv_usec + children.ru_stime.tv_usec);
}

/* A provider that passes every operation on to another and keeps the time that it took. */
typedef enum Group
{
	PRODUCTS,
	UPDATES,
	LOSSES,
	ACTIVATIONS, /* and dropout */
	MOVES,       /* transposes and sums of rows */
	GROUPS
} Group;

static const char *const group_names[GROUPS] = {"products", "updates", "losses", "activations",
												"moves"};
static const HbProvider *timed;
static double spent_in[GROUPS], profile_seconds;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

#define TIME(group, call)                                                                          \
	do                                                                                             \
	{                                                                                              \
		double began_ = now();                                                                     \
		call;                                                                                      \
		spent_in[group] += now() - began_;                                                         \
	} while (0)

static void
timed_product(const HbProduct *product)
{
	TIME(PRODUCTS, timed->product(product));
}

static void
timed_sparse_product(const HbSparseProduct *product)
{
	TIME(PRODUCTS, timed->sparse_product(product));
}

static void
timed_sparse_gradient(const HbSparseProduct *product)
{
	TIME(PRODUCTS, timed->sparse_gradient(product));
}

static void
timed_update(const HbUpdate *update)
{
	TIME(UPDATES, timed->update(update));
}

static double
timed_cross_entropy(const HbScores *scores)
{
	double sum;

	TIME(LOSSES, sum = timed->cross_entropy(scores));
	return sum;
}

static size_t
timed_errors(const HbScores *scores)
{
	size_t count;

	TIME(LOSSES, count = timed->errors(scores));
	return count;
}

static void
timed_activate(HbActivation f, hb_real *z, hb_real *a, size_t n)
{
	TIME(ACTIVATIONS, timed->activate(f, z, a, n));
}

static void
timed_activate_back(HbActivation f, const hb_real *z, const hb_real *a, hb_real *d, size_t n)
{
	TIME(ACTIVATIONS, timed->activate_back(f, z, a, d, n));
}

static void
timed_mask(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
		   uint32_t rate, uint16_t *kept)
{
	TIME(ACTIVATIONS, timed->mask(seed, stream, detail, first, groups, rate, kept));
}

static void
timed_drop(const uint16_t *kept, hb_real scale, const hb_real *a, hb_real *out, size_t n)
{
	TIME(ACTIVATIONS, timed->drop(kept, scale, a, out, n));
}

static void
timed_drop_relu(uint16_t *kept, hb_real scale, hb_real *z, size_t n)
{
	TIME(ACTIVATIONS, timed->drop_relu(kept, scale, z, n));
}

static void
timed_transpose(const hb_real *from, size_t rows, size_t cols, size_t from_row, hb_real *to,
				size_t to_row)
{
	TIME(MOVES, timed->transpose(from, rows, cols, from_row, to, to_row));
}

static void
timed_row_sums(const hb_real *d, size_t rows, size_t n, size_t ld, hb_real *out)
{
	TIME(MOVES, timed->row_sums(d, rows, n, ld, out));
}

static HbProvider
timed_provider(const HbProvider *provider)
{
	HbProvider copy = *provider;

	timed = provider;
	copy.product = timed_product;
	copy.sparse_product = timed_sparse_product;
	copy.sparse_gradient = timed_sparse_gradient;
	copy.update = timed_update;
	copy.cross_entropy = timed_cross_entropy;
	copy.errors = timed_errors;
	copy.activate = timed_activate;
	copy.activate_back = timed_activate_back;
	copy.mask = timed_mask;
	copy.drop = timed_drop;
	copy.drop_relu = timed_drop_relu;
	copy.transpose = timed_transpose;
	copy.row_sums = timed_row_sums;
	return copy;
}

static void
parse(int argc, char **argv, Options *options)
{
	*options = (Options){.trials = 1,
						 .layers = 1,
						 .epochs = 1,
						 .batch = 128,
						 .validation = 128,
						 .optimizer = "momentum",
						 .precision = HB_HIGH};
	for (int i = 1; i + 1 < argc; i += 2)
	{
		const char *name = argv[i], *value = argv[i + 1];

		if (strcmp(name, "--images") == 0)
			options->images = value;
		else if (strcmp(name, "--labels") == 0)
			options->labels = value;
		else if (strcmp(name, "--dump") == 0)
			options->dump = value;
		else if (strcmp(name, "--provider") == 0)
			options->provider = value;
		else if (strcmp(name, "--synthetic") == 0)
			sscanf(value, "%u,%u,%u", &options->rows, &options->inputs, &options->classes);
		else if (strcmp(name, "--categories") == 0)
			sscanf(value, "%u,%u,%u,%u", &options->rows, &options->categories, &options->levels,
				   &options->classes);
		else if (strcmp(name, "--dense") == 0)
			options->dense = atoi(value) != 0;
		else if (strcmp(name, "--units") == 0)
			options->units = atoi(value);
		else if (strcmp(name, "--precision") == 0)
		{
			if (!hb_precision_find(value, &options->precision))
				stop("no such precision");
		}
		else if (strcmp(name, "--layers") == 0)
			options->layers = atoi(value);
		else if (strcmp(name, "--trials") == 0)
			options->trials = atoi(value);
		else if (strcmp(name, "--epochs") == 0)
			options->epochs = atoi(value);
		else if (strcmp(name, "--dropout") == 0)
			options->dropout = atof(value);
		else if (strcmp(name, "--optimizer") == 0)
			options->optimizer = value;
		else if (strcmp(name, "--narrow") == 0)
			options->narrow = atoi(value);
		else if (strcmp(name, "--validation") == 0)
			options->validation = atoi(value);
		else if (strcmp(name, "--alone") == 0)
			options->alone = atoi(value);
		else if (strcmp(name, "--profile") == 0)
			options->profile = atoi(value);
		else if (strcmp(name, "--sgemm") == 0)
			options->sgemm = atoi(value);
		else if (strcmp(name, "--batch") == 0)
			options->batch = atoi(value);
		else
			stop("unknown option");
	}
	if (options->trials > MAX_TRIALS || options->epochs > MAX_EPOCHS)
		stop("too many trials or epochs");
}

/* Momentum 0.9 and rates from 0.001 to 0.01; widths, where they differ, from narrow to units by equal factors. */
static void
make_trials(const Options *options, const HbFamily *family, const HbDataset *dataset,
			HbJobTrial *trials)
{
	double optimizer = 0;

	while (hb_optimizer_names[(int) optimizer] != NULL &&
		   strcmp(hb_optimizer_names[(int) optimizer], options->optimizer) != 0)
		optimizer++;
	for (int i = 0; i < options->trials; i++)
	{
		double part = options->trials > 1 ? (double) i / (options->trials - 1) : 0.5;
		double rate = 0.001 * pow(10.0, part), units = options->units;

		if (options->narrow)
			units = round(options->narrow * pow(units / options->narrow, part));
		trials[i] = (HbJobTrial){.number = (uint64_t) i + 1};
		if (options->units)
			set_params(family, dataset, trials[i].params, "optimizer", optimizer, "learning_rate",
					   rate, "l2", 0.0, "schedule", 0.0, "batch_size", (double) options->batch,
					   "layers", (double) options->layers, "units", units, "dropout",
					   options->dropout, NULL);
		else
			set_params(family, dataset, trials[i].params, "optimizer", optimizer, "learning_rate",
					   rate, "l2", 0.0, "schedule", 0.0, "batch_size", (double) options->batch,
					   NULL);
	}
}

/* CPU seconds of training the trials: in one cohort, or each in one of its own. */
static double
train(const Options *options, const HbFamily *family, const HbProvider *provider,
	  const HbDataset *dataset, HbJobTrial *trials, uint64_t seed)
{
	HbTrainContext context = {
		.host = &hb_host_malloc, .provider = provider, .dataset = dataset, .curve = record_curve};
	int step = options->alone ? 1 : options->trials;
	double began = cpu_seconds(), clock = now();

	for (int i = 0; i < options->trials; i += step)
	{
		HbJob job = {.id = 1,
					 .kind = HB_JOB_TRAIN,
					 .metric = HB_METRIC_ERROR,
					 .seed = seed,
					 .to_resource = (uint32_t) options->epochs,
					 .max_resource = (uint32_t) options->epochs,
					 .ntrials = (uint32_t) step,
					 .trials = trials + i};
		HbJobResult result = {0};
		HbStatus status;

		hb_status_init(&status);
		if (!family->train(family, &context, &job, &result, &status))
			stop(status.message);
		free(result.trials);
	}
	profile_seconds = now() - clock;
	return cpu_seconds() - began;
}

static void
report(const Options *options, const HbProvider *provider, const HbDataset *dataset, double spent)
{
	printf("{\"provider\": \"%s\", \"seconds\": %.6f, \"rows\": %llu, \"inputs\": %u, \"classes\": "
		   "%u, \"epochs\": %d, \"losses\": [",
		   provider->name, spent, (unsigned long long) dataset->header->rows_train,
		   dataset->header->inputs, dataset->header->outputs, options->epochs);
	for (int i = 0; i < options->trials; i++)
	{
		printf("%s[", i ? ", " : "");
		for (int epoch = 0; epoch < options->epochs; epoch++)
			printf("%s%.9g", epoch ? ", " : "", losses[i + 1][epoch]);
		printf("]");
	}
	printf("]");
	if (options->profile)
	{
		printf(", \"profile\": {\"all\": %.6f", profile_seconds);
		for (int group = 0; group < GROUPS; group++)
			printf(", \"%s\": %.6f", group_names[group], spent_in[group]);
		printf("}");
	}
	printf("}\n");
}

/* FLOP per CPU second of C = A B by OpenBLAS: the best of several rounds, warm. */
static void
measure_sgemm(int n)
{
	size_t size = (size_t) n * (size_t) n;
	float *a = malloc(size * sizeof(float)), *b = malloc(size * sizeof(float));
	float *c = malloc(size * sizeof(float));
	double best = 0;

	openblas_set_num_threads(1);
	hb_random_normals(1, HB_STREAM_SPACE, 1, a, size);
	hb_random_normals(1, HB_STREAM_SPACE, 2, b, size);
	for (int round = 0; round < 12; round++)
	{
		double began = cpu_seconds(), rate;

		for (int i = 0; i < 4; i++)
			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
		rate = 4 * 2.0 * (double) n * (double) n * (double) n / (cpu_seconds() - began);
		best = round > 0 && rate > best ? rate : best;
	}
	printf("{\"provider\": \"OpenBLAS %s\", \"flops\": %.6g, \"check\": %.6g}\n",
		   openblas_get_corename(), best, (double) c[size / 2]);
	free(a);
	free(b);
	free(c);
}

int
main(int argc, char **argv)
{
	const uint64_t seed = 1;
	Options options;
	HbDataset dataset;
	const HbFamily *family;
	const HbProvider *provider;
	HbProvider profiled;
	HbJobTrial trials[MAX_TRIALS];

	parse(argc, argv, &options);
	if (options.sgemm)
	{
		measure_sgemm(options.sgemm);
		return 0;
	}
	dataset = options.images ? image_dataset(&options) : table_dataset(&options);
	dataset = in_huge_pages(&dataset);
	family = hb_family_find(options.units ? "mlp" : "linear");
	provider =
		options.provider ? hb_provider_find(options.provider) : hb_provider_best(options.precision);
	if (provider == NULL)
		stop("no such provider here");
	if (options.dense)
		provider = dense_only(provider);
	if (options.profile)
	{
		profiled = timed_provider(provider);
		provider = &profiled;
	}
	make_trials(&options, family, &dataset, trials);
	if (options.dump)
	{
		dump_data(&options, &dataset, seed);
		dump_weights(&options, family, &dataset, trials, seed);
	}
	report(&options, provider, &dataset, train(&options, family, provider, &dataset, trials, seed));
	return 0;
}
