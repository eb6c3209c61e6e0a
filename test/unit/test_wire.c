/*
 * test_wire.c - frames: what is packed is unpacked, and nothing else is
 *
 * Every truncation and many random corruptions of every frame must be answered, never crash; build with
 * -fsanitize=address,undefined to see reads beyond the payload.
 */
#include "tap.h"

#include <limits.h>

#include "core/job.h"
#include "core/rng.h"

static const HbHost *host = &hb_host_malloc;
static HbWriter writer;

/* The payload of the last packed frame, in memory of exactly its size. */
static unsigned char *
payload_of(size_t *length)
{
	HbFrame frame;
	HbStatus status;
	unsigned char *copy;

	memcpy(&frame, writer.data, sizeof(frame));
	*length = frame.length;
	if (writer.failed || writer.length != sizeof(frame) + frame.length ||
		!hb_frame_check(&frame, &status))
		return NULL;
	copy = malloc(*length ? *length : 1);
	memcpy(copy, writer.data + sizeof(frame), *length);
	return copy;
}

static void
pack_hello(void)
{
	HbHello hello = {.version = HB_WIRE_VERSION,
					 .pid = 77,
					 .provider = "openblas",
					 .kernel = "avx2",
					 .blas = "OpenBLAS 0.3.21"};

	hb_pack_hello(&writer, &hello);
}

static void
pack_train(void)
{
	HbJobTrial trials[3] = {0};
	HbJob job = {.id = 9,
				 .kind = HB_JOB_TRAIN,
				 .family = "mlp",
				 .metric = HB_METRIC_AUC,
				 .seed = 1234567890123};

	job.nparams = 4;
	job.from_resource = 3;
	job.to_resource = 9;
	job.max_resource = 81;
	job.curve_points = 5;
	job.want_state = 1;
	job.rows = 5000000000;
	job.ntrials = 3;
	job.trials = trials;
	for (int i = 0; i < 3; i++)
	{
		trials[i].number = 10 + i;
		for (int p = 0; p < 4; p++)
			trials[i].params[p] = p == 2 ? NAN : i + p / 10.0;
		trials[i].state = "checkpoint";
		trials[i].state_bytes = 5 + i;
	}
	hb_pack_job(&writer, &job);
}

static void
pack_folds(void)
{
	HbJobTrial trial = {.number = 3};
	HbJob job = {.id = 11,
				 .kind = HB_JOB_TRAIN,
				 .family = "linear",
				 .to_resource = 10,
				 .max_resource = 10,
				 .folds = 5,
				 .first_fold = 2,
				 .last_fold = 4,
				 .ntrials = 1,
				 .trials = &trial};

	hb_pack_job(&writer, &job);
}

static void
pack_evaluate(void)
{
	static HbColumn columns[2];
	static uint16_t table[HB_MAX_LEVELS];
	static const uint16_t *remap[2] = {NULL, table};
	static const uint32_t classes[3] = {2, 0, 1};
	HbJob job = {.id = 10, .kind = HB_JOB_EVALUATE, .family = "linear", .metric = HB_METRIC_ERROR};

	memset(columns, 0, sizeof(columns));
	columns[0].kind = HB_COLUMN_DOUBLE;
	columns[0].length = 1;
	columns[0].input_width = 1;
	columns[0].scale = 2;
	columns[1].kind = HB_COLUMN_CATEGORY;
	columns[1].length = 1;
	columns[1].record_offset = 8;
	columns[1].input_offset = 1;
	columns[1].input_width = 4;
	columns[1].levels = 3;
	columns[1].null_input = 1;
	for (int i = 0; i < HB_MAX_LEVELS; i++)
		table[i] = i < 3 ? 2 - i : HB_CODE_OTHER;
	job.part = HB_PART_TEST;
	job.model = "weights";
	job.model_bytes = 7;
	job.encoder = (HbEncoder){2, 5, columns, remap};
	job.nclasses = 3;
	job.class_map = classes;
	job.target_mean = 1.5;
	job.target_scale = 2.5;
	hb_pack_job(&writer, &job);
}

static void
pack_curve(void)
{
	HbCurvePoint point = {9, 12, 27, 0.5, NAN, 0.25, 1.75};

	hb_pack_curve(&writer, &point);
}

static void
pack_result(void)
{
	HbTrialResult trials[2] = {0};
	HbJobResult result = {.job_id = 9, .ntrials = 2, .trials = trials, .cpu_seconds = 3.5};

	trials[0] =
		(HbTrialResult){.number = 4, .outcome = HB_OUTCOME_TRAINED, .resource = 9, .loss = 0.125};
	trials[0].metrics.value[HB_METRIC_ERROR] = 0.125;
	trials[0].state = "state";
	trials[0].state_bytes = 5;
	trials[1] =
		(HbTrialResult){.number = 5, .outcome = HB_OUTCOME_DIVERGED, .resource = 3, .loss = NAN};
	hb_pack_result(&writer, &result);
}

static void
pack_failure(void)
{
	HbStatus failure;

	hb_fail(&failure, HB_ERR_DATA, "all is lost");
	hb_fail_detail(&failure, "Really.");
	hb_pack_failure(&writer, 11, &failure);
}

static void
pack_heartbeat(void)
{
	hb_pack_heartbeat(&writer, 12);
}

static bool
unpack_hello(const void *payload, size_t length, HbStatus *status)
{
	HbHello hello;

	return hb_unpack_hello(payload, length, &hello, status);
}

/* Reads every byte that an unpacked job points at. */
static bool
unpack_job(const void *payload, size_t length, HbStatus *status)
{
	HbJob job;
	unsigned long sum = 0;

	if (!hb_unpack_job(host, payload, length, &job, status))
		return false;
	for (uint32_t i = 0; i < job.ntrials; i++)
		for (uint64_t k = 0; k < job.trials[i].state_bytes; k++)
			sum += ((const unsigned char *) job.trials[i].state)[k];
	for (uint64_t k = 0; k < job.model_bytes; k++)
		sum += ((const unsigned char *) job.model)[k];
	for (uint32_t c = 0; job.encoder.remap && c < job.encoder.ncolumns; c++)
		for (int k = 0; job.encoder.remap[c] && k < HB_MAX_LEVELS; k++)
			sum += job.encoder.remap[c][k];
	for (uint32_t k = 0; k < job.nclasses; k++)
		sum += job.class_map[k];
	hb_job_release(host, &job);
	return sum != ULONG_MAX;
}

static bool
unpack_curve(const void *payload, size_t length, HbStatus *status)
{
	HbCurvePoint point;

	return hb_unpack_curve(payload, length, &point, status);
}

static bool
unpack_result(const void *payload, size_t length, HbStatus *status)
{
	HbJobResult result;
	unsigned long sum = 0;

	if (!hb_unpack_result(host, payload, length, &result, status))
		return false;
	for (uint32_t i = 0; i < result.ntrials; i++)
		for (uint64_t k = 0; k < result.trials[i].state_bytes; k++)
			sum += ((const unsigned char *) result.trials[i].state)[k];
	hb_result_release(host, &result);
	return sum != ULONG_MAX;
}

static bool
unpack_failure(const void *payload, size_t length, HbStatus *status)
{
	HbStatus failure;
	uint64_t id;

	return hb_unpack_failure(payload, length, &id, &failure, status);
}

static bool
unpack_heartbeat(const void *payload, size_t length, HbStatus *status)
{
	uint64_t id;

	return hb_unpack_heartbeat(payload, length, &id, status);
}

typedef struct Case
{
	const char *name;
	void (*pack)(void);
	bool (*unpack)(const void *payload, size_t length, HbStatus *status);
} Case;

static const Case cases[] = {
	{"hello", pack_hello, unpack_hello},       {"train", pack_train, unpack_job},
	{"folds", pack_folds, unpack_job},         {"evaluate", pack_evaluate, unpack_job},
	{"curve", pack_curve, unpack_curve},       {"result", pack_result, unpack_result},
	{"failure", pack_failure, unpack_failure}, {"heartbeat", pack_heartbeat, unpack_heartbeat},
};

static void
test_truncations(const Case *c, const unsigned char *payload, size_t length)
{
	int accepted = 0;
	int unexplained = 0;

	for (size_t cut = 0; cut <= length + 1; cut++)
	{
		unsigned char *part = malloc(cut ? cut : 1);
		HbStatus status;

		memset(part, 0, cut ? cut : 1);
		memcpy(part, payload, cut < length ? cut : length);
		hb_status_init(&status);
		if (c->unpack(part, cut, &status))
			accepted++;
		else
			unexplained += strcmp(status.sqlstate, "08P01") != 0;
		free(part);
	}
	is_int(accepted, 1, "%s: only the whole payload is accepted, nothing shorter or longer",
		   c->name);
	is_int(unexplained, 0, "%s: every refusal is a protocol violation", c->name);
}

static void
test_corruptions(const Case *c, const unsigned char *payload, size_t length)
{
	static const uint32_t extremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000};
	unsigned char *bytes = malloc(length);
	int refused = 0;

	for (uint32_t round = 0; round < 10000; round++)
	{
		uint32_t words[4];
		HbStatus status;

		memcpy(bytes, payload, length);
		hb_random4(7, HB_STREAM_SAMPLE, length, round, words);
		for (uint32_t k = 0; k <= words[3] % 3; k++)
		{
			size_t at = (words[0] + k * words[2]) % length;

			if (round % 2 == 0 || at + 4 > length)
				bytes[at] ^= (unsigned char) (1 + words[1] % 255);
			else
				memcpy(bytes + at, &extremes[words[1] % 6], 4);
		}
		refused += !c->unpack(bytes, length, &status);
	}
	ok(1, "%s: 10,000 corruptions answered, %d of them refused", c->name, refused);
	free(bytes);
}

static void
test_frames(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t length;
		unsigned char *payload;

		hb_writer_init(&writer, host);
		cases[i].pack();
		payload = payload_of(&length);
		ok(payload != NULL, "%s: packed into one whole frame", cases[i].name);
		test_truncations(&cases[i], payload, length);
		test_corruptions(&cases[i], payload, length);
		free(payload);
		hb_writer_free(&writer);
	}
}

static void
test_train_fields(void)
{
	size_t length;
	unsigned char *payload;
	HbJob job;
	HbStatus status;

	hb_writer_init(&writer, host);
	pack_train();
	payload = payload_of(&length);
	ok(hb_unpack_job(host, payload, length, &job, &status), "a training job");
	ok(job.id == 9 && job.kind == HB_JOB_TRAIN && job.metric == HB_METRIC_AUC &&
		   job.seed == 1234567890123 && job.nparams == 4 && job.from_resource == 3 &&
		   job.to_resource == 9 && job.max_resource == 81 && job.curve_points == 5 &&
		   job.want_state == 1 && job.rows == 5000000000 && job.folds == 0 && job.ntrials == 3,
	   "its numbers");
	is_str(job.family, "mlp", "its family");
	ok(job.trials[2].number == 12 && job.trials[2].params[1] == 2.1 &&
		   isnan(job.trials[2].params[2]) && isnan(job.trials[2].params[31]),
	   "its trials; parameters beyond the family's are inactive");
	ok(job.trials[2].state_bytes == 7 && memcmp(job.trials[2].state, "checkpoint", 7) == 0,
	   "their checkpoints");
	hb_job_release(host, &job);
	free(payload);
	hb_writer_free(&writer);
}

static void
test_fold_fields(void)
{
	size_t length;
	unsigned char *payload;
	HbJob job;
	HbStatus status;

	hb_writer_init(&writer, host);
	pack_folds();
	payload = payload_of(&length);
	ok(hb_unpack_job(host, payload, length, &job, &status) && job.folds == 5 &&
		   job.first_fold == 2 && job.last_fold == 4 && job.rows == 0,
	   "two folds of five");
	hb_job_release(host, &job);
	free(payload);
	hb_writer_free(&writer);
}

static void
test_evaluate_fields(void)
{
	size_t length;
	unsigned char *payload;
	HbJob job;
	HbStatus status;

	hb_writer_init(&writer, host);
	pack_evaluate();
	payload = payload_of(&length);
	ok(hb_unpack_job(host, payload, length, &job, &status), "an evaluation");
	ok(job.part == HB_PART_TEST && job.model_bytes == 7 && memcmp(job.model, "weights", 7) == 0,
	   "its model");
	ok(job.encoder.ncolumns == 2 && job.encoder.inputs == 5 && job.encoder.columns[1].levels == 3,
	   "its encoder");
	ok(job.encoder.remap && !job.encoder.remap[0] && job.encoder.remap[1][0] == 2 &&
		   job.encoder.remap[1][254] == HB_CODE_OTHER,
	   "its tables of categories");
	ok(job.nclasses == 3 && job.class_map[0] == 2 && job.class_map[2] == 1, "its classes");
	ok(job.target_mean == 1.5 && job.target_scale == 2.5, "its unit");
	hb_job_release(host, &job);
	free(payload);
	hb_writer_free(&writer);
}

static void
test_other_fields(void)
{
	size_t length;
	unsigned char *payload;
	HbJobResult result;
	HbStatus failure;
	HbStatus status;
	uint64_t id;

	hb_writer_init(&writer, host);
	pack_result();
	payload = payload_of(&length);
	ok(hb_unpack_result(host, payload, length, &result, &status) && result.ntrials == 2 &&
		   result.trials[0].loss == 0.125 &&
		   result.trials[0].metrics.value[HB_METRIC_ERROR] == 0.125 &&
		   memcmp(result.trials[0].state, "state", 5) == 0 && result.trials[1].state == NULL &&
		   isnan(result.trials[1].loss) && result.cpu_seconds == 3.5,
	   "a result");
	hb_result_release(host, &result);
	free(payload);
	hb_writer_free(&writer);

	hb_writer_init(&writer, host);
	pack_failure();
	payload = payload_of(&length);
	ok(hb_unpack_failure(payload, length, &id, &failure, &status) && id == 11, "a failure");
	is_str(failure.sqlstate, "22000", "its SQLSTATE");
	is_str(failure.message, "all is lost", "its message");
	is_str(failure.detail, "Really.", "its detail");
	free(payload);
	hb_writer_free(&writer);
}

static void
test_several_frames(void)
{
	HbFrame frame;
	HbStatus status;
	size_t at = 0;
	int frames = 0;

	hb_writer_init(&writer, host);
	pack_curve();
	pack_heartbeat();
	pack_result();
	while (at < writer.length)
	{
		memcpy(&frame, writer.data + at, sizeof(frame));
		if (!hb_frame_check(&frame, &status))
			break;
		at += sizeof(frame) + frame.length;
		frames++;
	}
	ok(frames == 3 && at == writer.length, "frames follow one another in a buffer");
	hb_writer_free(&writer);
	frame.magic++;
	ok(!hb_frame_check(&frame, &status), "another magic number is refused");
	frame.magic--;
	frame.type = 99;
	ok(!hb_frame_check(&frame, &status), "another type is refused");
	frame.type = HB_FRAME_JOB;
	frame.length = HB_WIRE_MAX_PAYLOAD + 1;
	ok(!hb_frame_check(&frame, &status), "too long a frame is refused");
}

static void *
little_memory(void *context, size_t size)
{
	return size > 256 ? NULL : hb_host_malloc.alloc(NULL, size);
}

static void
test_out_of_memory(void)
{
	HbHost poor = {little_memory, hb_host_malloc.release, NULL, NULL};
	char large[1000] = {0};

	hb_writer_init(&writer, &poor);
	hb_write_blob(&writer, large, sizeof(large));
	ok(writer.failed, "a writer without memory fails");
	hb_frame_begin(&writer, HB_FRAME_RESULT);
	hb_frame_end(&writer);
	ok(writer.failed, "and stays failed");
	hb_writer_free(&writer);
}

static int
points(uint32_t max, uint32_t wanted)
{
	int count = 0;

	for (uint32_t r = 1; r <= max; r++)
		count += hb_curve_wants_validation(r, max, max, wanted);
	return count;
}

int
main(void)
{
	test_frames();
	test_train_fields();
	test_fold_fields();
	test_evaluate_fields();
	test_other_fields();
	test_several_frames();
	test_out_of_memory();
	is_int(points(81, 0), 9 + 24, "curve: every epoch to 9, then every third");
	is_int(points(81, 10), 10, "curve: ten points");
	is_int(points(81, 81), 81, "curve: every epoch");
	is_int(points(81, 1000), 81, "curve: no more than there are");
	is_int(points(81, 1), 1, "curve: the end");
	ok(hb_curve_wants_validation(10, 10, 81, 0), "curve: the end of a job");
	ok(!hb_curve_wants_validation(10, 27, 81, 0), "curve: not in between");
	return tap_done();
}
