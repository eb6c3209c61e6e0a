/*
 * job.c - packing and unpacking of what the supervisor and a trainer tell each other
 *
 * Either end may be broken or hostile (a trainer whose memory was overwritten), so an unpacker compares every count
 * with the bytes that are left before it allocates anything, and refuses a payload that does not end where
 * its fields do.
 */
#include "core/job.h"

#include <math.h>
#include <string.h>

static bool
malformed(HbStatus *status, const char *frame)
{
	return hb_fail(status, HB_ERR_PROTOCOL, "malformed %s frame", frame);
}

/* Whether count elements of at least size bytes can still follow; marks the reader failed if not. */
static bool
plausible(HbReader *reader, uint64_t count, size_t size)
{
	if (reader->failed || count > (reader->length - reader->position) / size)
	{
		reader->failed = true;
		return false;
	}
	return true;
}

/* An empty blob reads as NULL. */
static const void *
read_optional_blob(HbReader *reader, uint64_t *length)
{
	size_t size;
	const void *bytes = hb_read_blob(reader, &size);

	*length = size;
	return size > 0 ? bytes : NULL;
}

bool
hb_curve_wants_validation(uint32_t resource, uint32_t to_resource, uint32_t max_resource,
						  uint32_t points)
{
	if (resource == to_resource)
		return true;
	if (points == 0 || max_resource == 0)
		return resource <= 9 || resource % 3 == 0;
	/* the points are spread over the horizon: one is due where their running count goes up */
	return (uint64_t) resource * points / max_resource >
		   ((uint64_t) resource - (resource > 0)) * points / max_resource;
}

void
hb_pack_hello(HbWriter *writer, const HbHello *hello)
{
	hb_frame_begin(writer, HB_FRAME_HELLO);
	hb_write_u32(writer, hello->version);
	hb_write_u32(writer, hello->pid);
	hb_write_string(writer, hello->provider);
	hb_write_string(writer, hello->kernel);
	hb_write_string(writer, hello->blas);
	hb_frame_end(writer);
}

bool
hb_unpack_hello(const void *payload, size_t length, HbHello *hello, HbStatus *status)
{
	HbReader reader;

	memset(hello, 0, sizeof(*hello));
	hb_reader_init(&reader, payload, length);
	hello->version = hb_read_u32(&reader);
	if (!reader.failed && hello->version != HB_WIRE_VERSION)
	{
		hb_fail(status, HB_ERR_PROTOCOL, "trainer speaks version %u of the protocol, expected %u",
				hello->version, HB_WIRE_VERSION);
		return hb_fail_hint(status, "Install the library and the trainer program together.");
	}
	hello->pid = hb_read_u32(&reader);
	hb_read_string(&reader, hello->provider, sizeof(hello->provider));
	hb_read_string(&reader, hello->kernel, sizeof(hello->kernel));
	hb_read_string(&reader, hello->blas, sizeof(hello->blas));
	return hb_reader_done(&reader) || malformed(status, "hello");
}

static void
pack_encoder(HbWriter *writer, const HbEncoder *encoder)
{
	hb_write_u32(writer, encoder->ncolumns);
	hb_write_u32(writer, encoder->inputs);
	hb_write_bytes(writer, encoder->columns, encoder->ncolumns * sizeof(HbColumn));
	hb_write_u32(writer, encoder->remap != NULL);
	for (uint32_t c = 0; encoder->remap && c < encoder->ncolumns; c++)
	{
		hb_write_u32(writer, encoder->remap[c] != NULL);
		if (encoder->remap[c])
			hb_write_bytes(writer, encoder->remap[c], HB_MAX_LEVELS * sizeof(uint16_t));
	}
}

void
hb_pack_job(HbWriter *writer, const HbJob *job)
{
	hb_frame_begin(writer, HB_FRAME_JOB);
	hb_write_u64(writer, job->id);
	hb_write_u32(writer, job->kind);
	hb_write_string(writer, job->family);
	hb_write_u32(writer, job->metric);
	hb_write_u64(writer, job->seed);
	hb_write_u32(writer, job->nparams);
	hb_write_u32(writer, job->from_resource);
	hb_write_u32(writer, job->to_resource);
	hb_write_u32(writer, job->max_resource);
	hb_write_u32(writer, job->curve_points);
	hb_write_u32(writer, job->want_state);
	hb_write_u64(writer, job->rows);
	hb_write_u32(writer, job->folds);
	hb_write_u32(writer, job->first_fold);
	hb_write_u32(writer, job->last_fold);
	hb_write_u32(writer, job->ntrials);
	for (uint32_t i = 0; i < job->ntrials; i++)
	{
		const HbJobTrial *trial = &job->trials[i];

		hb_write_u64(writer, trial->number);
		hb_write_bytes(writer, trial->params, job->nparams * sizeof(double));
		hb_write_blob(writer, trial->state, trial->state ? trial->state_bytes : 0);
	}
	hb_write_u32(writer, job->part);
	hb_write_blob(writer, job->model, job->model ? job->model_bytes : 0);
	pack_encoder(writer, &job->encoder);
	hb_write_u32(writer, job->class_map ? job->nclasses : 0);
	hb_write_bytes(writer, job->class_map,
				   job->class_map ? (size_t) job->nclasses * sizeof(uint32_t) : 0);
	hb_write_f64(writer, job->target_mean);
	hb_write_f64(writer, job->target_scale);
	hb_frame_end(writer);
}

static bool
unpack_trials(const HbHost *host, HbReader *reader, HbJob *job, HbStatus *status)
{
	size_t least = 2 * sizeof(uint64_t) + job->nparams * sizeof(double);

	if (!plausible(reader, job->ntrials, least))
		return malformed(status, "job");
	job->trials = hb_alloc(host, job->ntrials * sizeof(HbJobTrial));
	if (!job->trials)
		return hb_fail_memory(status, job->ntrials * sizeof(HbJobTrial));
	for (uint32_t i = 0; i < job->ntrials; i++)
	{
		HbJobTrial *trial = &job->trials[i];

		trial->number = hb_read_u64(reader);
		for (uint32_t p = 0; p < HB_MAX_PARAMS; p++)
			trial->params[p] = p < job->nparams ? hb_read_f64(reader) : NAN;
		trial->state = read_optional_blob(reader, &trial->state_bytes);
		/* what goes on needs something to go on from */
		if (reader->failed || (job->from_resource > 0) != (trial->state != NULL))
			return malformed(status, "job");
	}
	return true;
}

/* The tables lie behind their pointers in one allocation. */
static bool
unpack_remap(const HbHost *host, HbReader *reader, HbEncoder *encoder, HbStatus *status)
{
	size_t size = encoder->ncolumns * (sizeof(uint16_t *) + HB_MAX_LEVELS * sizeof(uint16_t));
	const uint16_t **remap;
	uint16_t *tables;

	remap = hb_alloc(host, size);
	if (!remap)
		return hb_fail_memory(status, size);
	encoder->remap = remap;
	tables = (uint16_t *) (remap + encoder->ncolumns);
	for (uint32_t c = 0; c < encoder->ncolumns; c++, tables += HB_MAX_LEVELS)
	{
		if (hb_read_u32(reader) == 0)
			continue;
		if (!plausible(reader, HB_MAX_LEVELS, sizeof(uint16_t)))
			return malformed(status, "job");
		memcpy(tables, reader->data + reader->position, HB_MAX_LEVELS * sizeof(uint16_t));
		reader->position += HB_MAX_LEVELS * sizeof(uint16_t);
		remap[c] = tables;
	}
	return true;
}

static bool
unpack_encoder(const HbHost *host, HbReader *reader, HbEncoder *encoder, HbStatus *status)
{
	HbColumn *columns;
	size_t size;

	encoder->ncolumns = hb_read_u32(reader);
	encoder->inputs = hb_read_u32(reader);
	if (!plausible(reader, encoder->ncolumns, sizeof(HbColumn)))
	{
		encoder->ncolumns = 0;
		return malformed(status, "job");
	}
	if (encoder->ncolumns > 0)
	{
		size = encoder->ncolumns * sizeof(HbColumn);
		columns = hb_alloc(host, size);
		if (!columns)
			return hb_fail_memory(status, size);
		encoder->columns = columns;
		memcpy(columns, reader->data + reader->position, size);
		reader->position += size;
		if (!hb_columns_check(columns, encoder->ncolumns, encoder->inputs, UINT32_MAX, status))
			return false;
	}
	if (hb_read_u32(reader) != 0)
		return unpack_remap(host, reader, encoder, status);
	return true;
}

static bool
unpack_class_map(const HbHost *host, HbReader *reader, HbJob *job, HbStatus *status)
{
	uint32_t *map;

	job->nclasses = hb_read_u32(reader);
	if (!plausible(reader, job->nclasses, sizeof(uint32_t)))
		return malformed(status, "job");
	if (job->nclasses == 0)
		return true;
	map = hb_alloc(host, job->nclasses * sizeof(uint32_t));
	if (!map)
		return hb_fail_memory(status, job->nclasses * sizeof(uint32_t));
	job->class_map = map;
	for (uint32_t i = 0; i < job->nclasses; i++)
		map[i] = hb_read_u32(reader);
	return true;
}

/* Fields that a trainer indexes with or counts by. */
static bool
job_plausible(const HbJob *job)
{
	if (job->metric >= HB_METRIC_COUNT || job->nparams > HB_MAX_PARAMS || job->part > HB_PART_TEST)
		return false;
	/* a fold's model is thrown away: there is nothing to go on from */
	if (job->folds > 0 && (job->folds < 2 || job->first_fold >= job->last_fold ||
						   job->last_fold > job->folds || job->from_resource > 0))
		return false;
	if (job->kind == HB_JOB_TRAIN)
		return job->ntrials > 0 && job->from_resource < job->to_resource &&
			   (job->max_resource == 0 || job->to_resource <= job->max_resource);
	return job->kind == HB_JOB_EVALUATE && job->ntrials == 0;
}

static bool
unpack_job_fields(const HbHost *host, HbReader *reader, HbJob *job, HbStatus *status)
{
	job->id = hb_read_u64(reader);
	job->kind = hb_read_u32(reader);
	hb_read_string(reader, job->family, sizeof(job->family));
	job->metric = hb_read_u32(reader);
	job->seed = hb_read_u64(reader);
	job->nparams = hb_read_u32(reader);
	job->from_resource = hb_read_u32(reader);
	job->to_resource = hb_read_u32(reader);
	job->max_resource = hb_read_u32(reader);
	job->curve_points = hb_read_u32(reader);
	job->want_state = hb_read_u32(reader);
	job->rows = hb_read_u64(reader);
	job->folds = hb_read_u32(reader);
	job->first_fold = hb_read_u32(reader);
	job->last_fold = hb_read_u32(reader);
	job->ntrials = hb_read_u32(reader);
	if (reader->failed || !job_plausible(job))
		return malformed(status, "job");
	if (job->ntrials > 0 && !unpack_trials(host, reader, job, status))
		return false;
	job->part = hb_read_u32(reader);
	job->model = read_optional_blob(reader, &job->model_bytes);
	if (!unpack_encoder(host, reader, &job->encoder, status) ||
		!unpack_class_map(host, reader, job, status))
		return false;
	job->target_mean = hb_read_f64(reader);
	job->target_scale = hb_read_f64(reader);
	if (!hb_reader_done(reader) || !job_plausible(job) ||
		(job->kind == HB_JOB_EVALUATE && job->model == NULL))
		return malformed(status, "job");
	return true;
}

bool
hb_unpack_job(const HbHost *host, const void *payload, size_t length, HbJob *job, HbStatus *status)
{
	HbReader reader;

	memset(job, 0, sizeof(*job));
	hb_reader_init(&reader, payload, length);
	if (unpack_job_fields(host, &reader, job, status))
		return true;
	hb_job_release(host, job);
	return false;
}

void
hb_job_release(const HbHost *host, HbJob *job)
{
	hb_release(host, job->trials);
	hb_release(host, (void *) job->encoder.columns);
	hb_release(host, (void *) job->encoder.remap);
	hb_release(host, (void *) job->class_map);
	memset(job, 0, sizeof(*job));
}

void
hb_pack_curve(HbWriter *writer, const HbCurvePoint *point)
{
	hb_frame_begin(writer, HB_FRAME_CURVE);
	hb_write_u64(writer, point->job_id);
	hb_write_u64(writer, point->trial);
	hb_write_u32(writer, point->resource);
	hb_write_f64(writer, point->train_loss);
	hb_write_f64(writer, point->validation_loss);
	hb_write_f64(writer, point->metric_value);
	hb_write_f64(writer, point->elapsed);
	hb_frame_end(writer);
}

bool
hb_unpack_curve(const void *payload, size_t length, HbCurvePoint *point, HbStatus *status)
{
	HbReader reader;

	memset(point, 0, sizeof(*point));
	hb_reader_init(&reader, payload, length);
	point->job_id = hb_read_u64(&reader);
	point->trial = hb_read_u64(&reader);
	point->resource = hb_read_u32(&reader);
	point->train_loss = hb_read_f64(&reader);
	point->validation_loss = hb_read_f64(&reader);
	point->metric_value = hb_read_f64(&reader);
	point->elapsed = hb_read_f64(&reader);
	return hb_reader_done(&reader) || malformed(status, "curve");
}

void
hb_pack_result(HbWriter *writer, const HbJobResult *result)
{
	hb_frame_begin(writer, HB_FRAME_RESULT);
	hb_write_u64(writer, result->job_id);
	hb_write_f64(writer, result->cpu_seconds);
	hb_write_u32(writer, result->ntrials);
	for (uint32_t i = 0; i < result->ntrials; i++)
	{
		const HbTrialResult *trial = &result->trials[i];

		hb_write_u64(writer, trial->number);
		hb_write_u32(writer, trial->outcome);
		hb_write_u32(writer, trial->resource);
		hb_write_f64(writer, trial->loss);
		hb_write_f64(writer, trial->train_loss);
		hb_write_f64(writer, trial->validation_loss);
		hb_write_f64(writer, trial->seconds);
		hb_write_bytes(writer, trial->metrics.value, sizeof(trial->metrics.value));
		hb_write_blob(writer, trial->state, trial->state ? trial->state_bytes : 0);
	}
	hb_frame_end(writer);
}

static bool
unpack_trial_result(HbReader *reader, HbTrialResult *trial)
{
	trial->number = hb_read_u64(reader);
	trial->outcome = hb_read_u32(reader);
	trial->resource = hb_read_u32(reader);
	trial->loss = hb_read_f64(reader);
	trial->train_loss = hb_read_f64(reader);
	trial->validation_loss = hb_read_f64(reader);
	trial->seconds = hb_read_f64(reader);
	for (int m = 0; m < HB_METRIC_COUNT; m++)
		trial->metrics.value[m] = hb_read_f64(reader);
	trial->state = read_optional_blob(reader, &trial->state_bytes);
	return !reader->failed &&
		   (trial->outcome == HB_OUTCOME_TRAINED || trial->outcome == HB_OUTCOME_DIVERGED);
}

static bool
unpack_result_fields(const HbHost *host, HbReader *reader, HbJobResult *result, HbStatus *status)
{
	size_t least = 3 * sizeof(uint64_t) + (4 + HB_METRIC_COUNT) * sizeof(double);

	result->job_id = hb_read_u64(reader);
	result->cpu_seconds = hb_read_f64(reader);
	result->ntrials = hb_read_u32(reader);
	if (!plausible(reader, result->ntrials, least) || result->ntrials == 0)
		return malformed(status, "result");
	result->trials = hb_alloc(host, result->ntrials * sizeof(HbTrialResult));
	if (!result->trials)
		return hb_fail_memory(status, result->ntrials * sizeof(HbTrialResult));
	for (uint32_t i = 0; i < result->ntrials; i++)
		if (!unpack_trial_result(reader, &result->trials[i]))
			return malformed(status, "result");
	return hb_reader_done(reader) || malformed(status, "result");
}

bool
hb_unpack_result(const HbHost *host, const void *payload, size_t length, HbJobResult *result,
				 HbStatus *status)
{
	HbReader reader;

	memset(result, 0, sizeof(*result));
	hb_reader_init(&reader, payload, length);
	if (unpack_result_fields(host, &reader, result, status))
		return true;
	hb_result_release(host, result);
	return false;
}

void
hb_result_release(const HbHost *host, HbJobResult *result)
{
	hb_release(host, result->trials);
	memset(result, 0, sizeof(*result));
}

void
hb_pack_failure(HbWriter *writer, uint64_t job_id, const HbStatus *failure)
{
	hb_frame_begin(writer, HB_FRAME_FAILURE);
	hb_write_u64(writer, job_id);
	hb_write_string(writer, failure->sqlstate);
	hb_write_string(writer, failure->message);
	hb_write_string(writer, failure->detail);
	hb_write_string(writer, failure->hint);
	hb_frame_end(writer);
}

/* Five digits or upper-case letters that do not mean success. */
static bool
is_sqlstate(const char *text)
{
	return strlen(text) == 5 && strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		   strncmp(text, "00", 2) != 0;
}

bool
hb_unpack_failure(const void *payload, size_t length, uint64_t *job_id, HbStatus *failure,
				  HbStatus *status)
{
	HbReader reader;

	hb_status_init(failure);
	hb_reader_init(&reader, payload, length);
	*job_id = hb_read_u64(&reader);
	hb_read_string(&reader, failure->sqlstate, sizeof(failure->sqlstate));
	hb_read_string(&reader, failure->message, sizeof(failure->message));
	hb_read_string(&reader, failure->detail, sizeof(failure->detail));
	hb_read_string(&reader, failure->hint, sizeof(failure->hint));
	if (hb_reader_done(&reader) && is_sqlstate(failure->sqlstate))
		return true;
	hb_status_init(failure);
	return malformed(status, "failure");
}

void
hb_pack_heartbeat(HbWriter *writer, uint64_t job_id)
{
	hb_frame_begin(writer, HB_FRAME_HEARTBEAT);
	hb_write_u64(writer, job_id);
	hb_frame_end(writer);
}

bool
hb_unpack_heartbeat(const void *payload, size_t length, uint64_t *job_id, HbStatus *status)
{
	HbReader reader;

	hb_reader_init(&reader, payload, length);
	*job_id = hb_read_u64(&reader);
	return hb_reader_done(&reader) || malformed(status, "heartbeat");
}
