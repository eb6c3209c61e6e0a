/*
 * test_subsample.c - a job on r rows trains on the first r of the training order and on no other
 *
 * So the rows of a lower rung are among those of a higher one.  The trainer cuts the data set, hence its file.
 */
#include "trainer/evaluate.c"
#include "trainer/folds.c"
#include "trainer/serve.c"

#include "tap.h"
#include "synthetic.h"

#define ROWS 80
#define INPUTS 6

static bool
quiet(void *context)
{
	return true;
}

/* Weights of two trials after two epochs on so many rows, one after the other in *state; the bytes. */
static size_t
weights(const HbFamily *family, const HbDataset *dataset, uint64_t rows, unsigned char *state)
{
	HbServer server = {.fd = -1, .dataset = dataset, .host = hb_host_malloc};
	HbTrainContext context = {.host = &server.host,
							  .provider = hb_provider_best(HB_HIGH),
							  .dataset = dataset,
							  .tick = quiet};
	HbJobTrial trials[2] = {{.number = 1}, {.number = 2}};
	HbJob job = {.id = 1,
				 .kind = HB_JOB_TRAIN,
				 .metric = HB_METRIC_ERROR,
				 .seed = 5,
				 .to_resource = 2,
				 .max_resource = 2,
				 .want_state = 1,
				 .rows = rows,
				 .ntrials = 2,
				 .trials = trials};
	HbJobResult result = {0};
	HbStatus status;
	size_t bytes = 0;

	for (int i = 0; i < 2; i++)
		set_params(family, dataset, trials[i].params, "batch_size", 16.0, "learning_rate",
				   0.01 * (i + 1), NULL);
	hb_status_init(&status);
	if (!train(&server, family, &context, &job, &result, &status))
	{
		printf("Bail out! %s %s\n", status.message, status.detail);
		exit(1);
	}
	for (uint32_t i = 0; i < result.ntrials; i++)
	{
		memcpy(state + bytes, result.trials[i].state, result.trials[i].state_bytes);
		bytes += result.trials[i].state_bytes;
	}
	release_result(&server, &result);
	return bytes;
}

/* The places of the training order at which another row makes other weights: exactly the first so many. */
static void
check(const HbFamily *family, uint64_t rows)
{
	HbDataset dataset = synthetic_dataset(ROWS, INPUTS, 3, 4);
	uint64_t n = dataset.header->rows_train;
	uint32_t *order = (uint32_t *) dataset.train;
	float *values = (float *) dataset.records;
	unsigned char *before = malloc(1 << 20);
	unsigned char *after = malloc(1 << 20);
	size_t bytes;
	int inside = 0;
	int outside = 0;

	for (uint64_t i = 0; i < n; i++)
		order[i] = (uint32_t) (i * 7 % n);
	bytes = weights(family, &dataset, rows, before);
	for (uint64_t i = 0; i < n; i++)
	{
		float *value = values + (size_t) order[i] * INPUTS + 2;
		float kept = *value;

		*value += 1;
		if (weights(family, &dataset, rows, after) != bytes || memcmp(before, after, bytes) != 0)
			*(i < rows || rows == 0 ? &inside : &outside) += 1;
		*value = kept;
	}
	is_int(inside, rows == 0 ? n : rows, "%s, %llu rows: each of them counts", family->name,
		   (unsigned long long) rows);
	is_int(outside, 0, "%s, %llu rows: no other does", family->name, (unsigned long long) rows);
	free(before);
	free(after);
	synthetic_free(&dataset);
}

int
main(void)
{
	static const uint64_t rows[] = {1, 16, 25, 59, 60, 0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		check(hb_family_find("mlp"), rows[i]);
		check(hb_family_find("linear"), rows[i]);
	}
	return tap_done();
}
