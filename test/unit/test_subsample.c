/*
 * test_subsample.c - the parts of the data set that a trainer trains on, and what it answers without memory
 *
 * A job on r rows trains on the first r of the training order and on no other, so that the rows of a lower rung are among
 * those of a higher one.  Folds keep equal rows together.  The trainer cuts the data set, hence its files.
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
		float *value = values + order[i] * SYNTHETIC_STRIDE(INPUTS) + 2;
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

/* Whether a training row has the features of a validation row. */
static bool
leaks(const HbDataset *view)
{
	const float *values = (const float *) view->records;

	for (uint64_t i = 0; i < view->header->rows_train; i++)
		for (uint64_t j = 0; j < view->header->rows_validation; j++)
			if (memcmp(values + view->train[i] * SYNTHETIC_STRIDE(INPUTS),
					   values + view->validation[j] * SYNTHETIC_STRIDE(INPUTS),
					   INPUTS * sizeof(float)) == 0)
				return true;
	return false;
}

/* Four folds of 60 training rows, of which always so many follow each other that are equal. */
static void
check_folds(uint32_t equal)
{
	HbDataset dataset = synthetic_dataset(ROWS, INPUTS, 3, 4);
	HbServer server = {.fd = -1, .dataset = &dataset, .host = hb_host_malloc};
	HbJob job = {.folds = 4};
	FoldView view = {.rows = NULL};
	uint32_t n = (uint32_t) dataset.header->rows_train;
	float *values = (float *) dataset.records;
	int held[ROWS] = {0}, leaking = 0, ascending = 0, once = 0;
	uint64_t least = n, most = 0;
	HbStatus status;

	for (uint32_t i = 0; i < n; i++)
		memcpy(values + i * SYNTHETIC_STRIDE(INPUTS),
			   values + (i - i % equal) * SYNTHETIC_STRIDE(INPUTS), INPUTS * sizeof(float));
	hb_status_init(&status);
	ok(open_view(&server, &job, &view, &status), "%u equal rows: there are folds", equal);
	for (uint32_t fold = 0; fold < job.folds; fold++)
	{
		uint64_t rows;

		set_fold(&view, &dataset, job.folds, fold);
		rows = view.header.rows_validation;
		least = rows < least ? rows : least;
		most = rows > most ? rows : most;
		leaking += leaks(&view.dataset);
		for (uint64_t i = 0; i < rows; i++)
			held[view.dataset.validation[i]]++;
		for (uint64_t i = 1; i < rows; i++)
			ascending += view.dataset.validation[i - 1] < view.dataset.validation[i];
		ok(view.header.rows_train + rows == n, "%u equal rows: all others train", equal);
	}
	for (uint32_t i = 0; i < n; i++)
		once += held[i] == 1;
	is_int(once, n, "%u equal rows: each validates once", equal);
	is_int(ascending, n - job.folds, "%u equal rows: in their order", equal);
	if (equal < n)
	{
		is_int(leaking, 0, "%u equal rows: none is on both sides", equal);
		ok(most - least <= equal, "%u equal rows: folds of one size but for one of these", equal);
	}
	else
		ok(most - least <= 1, "all rows are equal: folds of one size");
	hb_release(&server.host, view.rows);
	synthetic_free(&dataset);
}

static int allocations;
static int failing; /* the number of the allocation that fails; 0: none */

static void *
count_allocation(void *context, size_t size)
{
	return ++allocations == failing ? NULL : hb_host_malloc.alloc(hb_host_malloc.context, size);
}

/* The kind of frame that ends a trainer's answer, and the SQLSTATE of a failure. */
static uint32_t
answered(const HbDataset *dataset, char *sqlstate)
{
	const HbFamily *family = hb_family_find("mlp");
	FILE *file = tmpfile();
	HbServer server = {.fd = fileno(file),
					   .dataset = dataset,
					   .provider = hb_provider_best(HB_HIGH),
					   .host = hb_host_malloc,
					   .last_beat = now()};
	HbJobTrial trials[2] = {{.number = 1}, {.number = 2}};
	HbJob job = {.id = 5,
				 .kind = HB_JOB_TRAIN,
				 .to_resource = 1,
				 .max_resource = 1,
				 .want_state = 1,
				 .ntrials = 2,
				 .trials = trials};
	unsigned char payload[4096];
	HbFrame frame;
	HbStatus failure, status;
	uint64_t id = 0;

	strcpy(job.family, "mlp");
	for (int i = 0; i < 2; i++)
		set_params(family, dataset, trials[i].params, "units", 200.0, NULL);
	server.host.alloc = count_allocation;
	allocations = 0;
	answer(&server, &job);
	rewind(file);
	frame.type = 0;
	while (fread(&frame, sizeof(frame), 1, file) == 1 && frame.type == HB_FRAME_CURVE)
		fseek(file, (long) frame.length, SEEK_CUR);
	hb_status_init(&failure);
	hb_status_init(&status);
	if (frame.type == HB_FRAME_FAILURE && frame.length <= sizeof(payload) &&
		fread(payload, frame.length, 1, file) == 1)
		(void) hb_unpack_failure(payload, frame.length, &id, &failure, &status);
	strcpy(sqlstate, failure.sqlstate);
	fclose(file);
	return frame.type;
}

/* The last allocation makes room for the answer: a trainer that cannot answer must say why, not end. */
static void
check_answer_without_memory(void)
{
	HbDataset dataset = synthetic_dataset(ROWS, INPUTS, 3, 4);
	char sqlstate[6];

	failing = 0;
	is_int(answered(&dataset, sqlstate), HB_FRAME_RESULT, "with memory the answer is a result");
	failing = allocations;
	is_int(answered(&dataset, sqlstate), HB_FRAME_FAILURE, "without memory for it, a failure");
	is_str(sqlstate, "53200", "out of memory");
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
	check_folds(1);
	check_folds(3);
	check_folds(60);
	check_answer_without_memory();
	return tap_done();
}
