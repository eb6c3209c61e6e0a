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

/* rows x inputs normal features in one array column; classes (or a number) by a noisy linear rule. */
static inline HbDataset
synthetic_dataset(uint32_t rows, uint32_t inputs, uint32_t classes, uint64_t seed)
{
	size_t columns = sizeof(HbDatasetHeader), records, targets, order, total;
	HbDatasetHeader *header;
	HbDataset dataset;
	HbStatus status;
	unsigned char *base;
	float *x, *rule = malloc((classes + 1) * inputs * sizeof(float));
	uint32_t *part;
	HbColumn *column;

	columns = (columns + 63) / 64 * 64;
	records = columns + 128;
	targets = records + ((size_t) rows * inputs * 4 + 63) / 64 * 64;
	order = targets + ((size_t) rows * 4 + 63) / 64 * 64;
	total = order + ((size_t) rows * 4 + 63) / 64 * 64;
	base = aligned_alloc(64, total);
	memset(base, 0, total);
	header = (HbDatasetHeader *) base;
	*header = (HbDatasetHeader){.magic = HB_DATASET_MAGIC,
								.version = HB_DATASET_VERSION,
								.total_bytes = total,
								.task = classes > 1 ? HB_TASK_CLASSIFICATION : HB_TASK_REGRESSION,
								.outputs = classes,
								.columns = 1,
								.inputs = inputs,
								.record_bytes = inputs * 4,
								.rows = rows,
								.rows_train = rows - rows / 4,
								.rows_validation = rows / 4,
								.columns_offset = columns,
								.records_offset = records,
								.targets_offset = targets,
								.order_offset = order,
								.target_mean = 10,
								.target_scale = 2};
	column = (HbColumn *) (base + columns);
	*column = (HbColumn){
		.kind = HB_COLUMN_FLOATS, .length = (int32_t) inputs, .input_width = inputs, .scale = 1};
	x = (float *) (base + records);
	hb_random_normals(seed, HB_STREAM_SPACE, 1, x, (size_t) rows * inputs);
	hb_random_normals(seed, HB_STREAM_SPACE, 2, rule, (size_t) classes * inputs);
	part = (uint32_t *) (base + order);
	for (uint32_t i = 0; i < rows; i++)
	{
		float best = -1e30f;
		uint32_t label = 0;

		part[i] = i;
		for (uint32_t c = 0; c < classes; c++)
		{
			float score = 0;

			for (uint32_t j = 0; j < inputs; j++)
				score += rule[c * inputs + j] * x[(size_t) i * inputs + j];
			if (score > best)
				best = score, label = c;
			if (classes == 1)
				((float *) (base + targets))[i] = score / (float) sqrt(inputs);
		}
		if (classes > 1)
			((uint32_t *) (base + targets))[i] = label;
	}
	free(rule);
	hb_status_init(&status);
	if (!hb_dataset_open(base, total, &dataset, &status))
	{
		printf("Bail out! %s: %s\n", status.message, status.detail);
		exit(1);
	}
	return dataset;
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

#endif /* HB_SYNTHETIC_H */
