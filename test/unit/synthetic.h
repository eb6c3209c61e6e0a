/*
 * synthetic.h - small data sets in memory, and jobs on them, for the tests of learn
 */
#ifndef HB_SYNTHETIC_H
#define HB_SYNTHETIC_H

#include <stdlib.h>
#include <string.h>

#include "compute/provider.h"
#include "core/rng.h"
#include "learn/family.h"

/* Memory of a data set with its header and row order, everything else 0. */
static inline unsigned char *
synthetic_base(uint32_t rows, uint32_t columns, uint32_t inputs, uint32_t record_bytes,
			   uint32_t classes)
{
	size_t columns_at = (sizeof(HbDatasetHeader) + 63) / 64 * 64;
	size_t records_at = columns_at + (columns * sizeof(HbColumn) + 63) / 64 * 64;
	size_t targets_at = records_at + ((size_t) rows * record_bytes + 63) / 64 * 64;
	size_t order_at = targets_at + ((size_t) rows * 4 + 63) / 64 * 64;
	size_t total = order_at + ((size_t) rows * 4 + 63) / 64 * 64;
	unsigned char *base = aligned_alloc(64, total);

	memset(base, 0, total);
	*(HbDatasetHeader *) base =
		(HbDatasetHeader){.magic = HB_DATASET_MAGIC,
						  .version = HB_DATASET_VERSION,
						  .total_bytes = total,
						  .task = classes > 1 ? HB_TASK_CLASSIFICATION : HB_TASK_REGRESSION,
						  .outputs = classes,
						  .columns = columns,
						  .inputs = inputs,
						  .record_bytes = record_bytes,
						  .rows = rows,
						  .rows_train = rows - rows / 4,
						  .rows_validation = rows / 4,
						  .columns_offset = columns_at,
						  .records_offset = records_at,
						  .targets_offset = targets_at,
						  .order_offset = order_at,
						  .target_mean = 10,
						  .target_scale = 2};
	for (uint32_t i = 0; i < rows; i++)
		((uint32_t *) (base + order_at))[i] = i;
	return base;
}

static inline HbDataset
synthetic_open(unsigned char *base)
{
	HbDataset dataset;
	HbStatus status;

	hb_status_init(&status);
	if (!hb_dataset_open(base, ((HbDatasetHeader *) base)->total_bytes, &dataset, &status))
	{
		printf("Bail out! %s: %s\n", status.message, status.detail);
		exit(1);
	}
	return dataset;
}

/* The class of the highest score, or with one score the number itself. */
static inline void
synthetic_target(unsigned char *base, uint32_t row, const float *score)
{
	HbDatasetHeader *header = (HbDatasetHeader *) base;
	uint32_t best = 0;

	for (uint32_t c = 1; c < header->outputs; c++)
		best = score[c] > score[best] ? c : best;
	if (header->outputs > 1)
		((uint32_t *) (base + header->targets_offset))[row] = best;
	else
		((float *) (base + header->targets_offset))[row] = score[0];
}

/* Floats from one row's features to the next one's: behind an array is its flag. */
#define SYNTHETIC_STRIDE(inputs) ((size_t) (inputs) + 1)

/* rows x inputs normal features in one array column; classes (or a number) by a noisy linear rule. */
static inline HbDataset
synthetic_dataset(uint32_t rows, uint32_t inputs, uint32_t classes, uint64_t seed)
{
	size_t stride = SYNTHETIC_STRIDE(inputs);
	unsigned char *base = synthetic_base(rows, 1, inputs, (uint32_t) stride * 4, classes);
	HbDatasetHeader *header = (HbDatasetHeader *) base;
	float *x = (float *) (base + header->records_offset);
	float *score = malloc((classes + 1) * sizeof(float)),
		  *rule = malloc((classes + 1) * inputs * sizeof(float)), *drawn;

	*(HbColumn *) (base + header->columns_offset) = (HbColumn){
		.kind = HB_COLUMN_FLOATS, .length = (int32_t) inputs, .input_width = inputs, .scale = 1};
	drawn = malloc((size_t) rows * inputs * sizeof(float));
	hb_random_normals(seed, HB_STREAM_SPACE, 1, drawn, (size_t) rows * inputs);
	for (uint32_t i = 0; i < rows; i++)
		memcpy(x + i * stride, drawn + (size_t) i * inputs, inputs * sizeof(float));
	free(drawn);
	hb_random_normals(seed, HB_STREAM_SPACE, 2, rule, (size_t) classes * inputs);
	for (uint32_t i = 0; i < rows; i++)
	{
		for (uint32_t c = 0; c < classes; c++)
		{
			score[c] = 0;
			for (uint32_t j = 0; j < inputs; j++)
				score[c] += rule[c * inputs + j] * x[i * stride + j];
			score[c] /= (float) sqrt(inputs);
		}
		synthetic_target(base, i, score);
	}
	free(rule);
	free(score);
	return synthetic_open(base);
}

/*
 * A number that may be missing and so many categories of so many levels, with NULL and others beside them, for which
 * every second has no input: mini-batches that are mostly zeros.  Classes (or a number) by a sum of the levels' scores.
 */
static inline HbDataset
synthetic_categories(uint32_t rows, uint32_t categories, uint32_t levels, uint32_t classes,
					 uint64_t seed)
{
	uint32_t inputs = 2 + categories * levels + (categories + 1) / 2 * 2;
	uint32_t bytes = (uint32_t) sizeof(float) + (categories + 1) / 2 * 4;
	unsigned char *base = synthetic_base(rows, categories + 1, inputs, bytes, classes);
	HbDatasetHeader *header = (HbDatasetHeader *) base;
	HbColumn *columns = (HbColumn *) (base + header->columns_offset);
	float *rule = malloc(classes * inputs * sizeof(float));
	float *score = malloc((classes + 1) * sizeof(float));
	uint32_t at = 2;

	columns[0] = (HbColumn){.kind = HB_COLUMN_FLOAT,
							.length = 1,
							.input_width = 2,
							.indicator = 1,
							.clip = 3,
							.mean = 0.5,
							.scale = 2};
	for (uint32_t k = 0; k < categories; at += columns[++k].input_width)
		columns[k + 1] = (HbColumn){.kind = HB_COLUMN_CATEGORY,
									.length = 1,
									.record_offset = (uint32_t) sizeof(float) + 2 * k,
									.input_offset = at,
									.input_width = levels + (k % 2 ? 0 : 2),
									.levels = (int32_t) levels,
									.null_input = k % 2 == 0,
									.other_input = k % 2 == 0};
	hb_random_normals(seed, HB_STREAM_SPACE, 2, rule, (size_t) classes * inputs);
	for (uint32_t i = 0; i < rows; i++)
	{
		float *number = (float *) (base + header->records_offset + (size_t) i * bytes);
		uint16_t *code = (uint16_t *) (number + 1);

		hb_random_normals(seed, HB_STREAM_SAMPLE, i, number, 1);
		for (uint32_t c = 0; c < classes; c++)
			score[c] = *number;
		for (uint32_t k = 0; k < categories; k++)
		{
			uint32_t draw =
				(uint32_t) (hb_random_uniform(seed, HB_STREAM_SPACE, i, k) * (levels + 2));

			code[k] = (uint16_t) (draw == levels  ? HB_CODE_NULL
								  : draw > levels ? HB_CODE_OTHER
												  : draw);
			for (uint32_t c = 0; c < classes; c++)
				score[c] += rule[c * inputs + k * levels + draw % levels];
		}
		if (i % 11 == 3)
			*number = NAN;
		synthetic_target(base, i, score);
	}
	free(rule);
	free(score);
	return synthetic_open(base);
}

static inline void
synthetic_free(HbDataset *dataset)
{
	free((void *) dataset->header);
}

static inline HbProblem
synthetic_problem(const HbDataset *dataset)
{
	return (HbProblem){.task = (HbTask) dataset->header->task,
					   .inputs = dataset->header->inputs,
					   .outputs = dataset->header->outputs,
					   .rows_train = dataset->header->rows_train};
}

/* Parameters given as name, value, ..., NULL; categorical values as the index of the choice. */
static inline void
set_params(const HbFamily *family, const HbDataset *dataset, double *params, ...)
{
	va_list args;
	const char *name;
	HbProblem problem = synthetic_problem(dataset);
	const HbHost *host = &hb_host_malloc;
	HbJson *config = hb_json_object(host);
	HbStatus status;

	va_start(args, params);
	while ((name = va_arg(args, const char *)) != NULL)
	{
		double value = va_arg(args, double);
		const HbParamDecl *decl = &family->params[hb_family_param_index(family, name)];

		hb_json_set(host, config, name,
					decl->type == HB_PARAM_CATEGORICAL
						? hb_json_string(host, decl->choices[(int) value])
						: hb_json_number(host, value));
	}
	va_end(args);
	hb_status_init(&status);
	if (!hb_family_resolve(family, &problem, config, params, &status))
	{
		printf("Bail out! %s\n", status.message);
		exit(1);
	}
}

/* The provider, but all mini-batches are dense; until the next call. */
static inline const HbProvider *
dense_only(const HbProvider *provider)
{
	static HbProvider copy, narrow;

	copy = *provider;
	copy.sparse_from = 0;
	if (provider->narrow != NULL)
	{
		narrow = *provider->narrow;
		narrow.sparse_from = 0;
		copy.narrow = &narrow;
	}
	return &copy;
}

#endif /* HB_SYNTHETIC_H */
