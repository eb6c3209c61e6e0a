/*
 * serve.c - the trainer's loop: one job at a time over a blocking socket
 *
 * Nothing here waits for the supervisor but the socket.  A frame that does not parse or a socket that fails
 * ends the process; the supervisor notices the end of file and retries the job elsewhere.
 */
#include "trainer/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "learn/family.h"

#define BEAT_SECONDS 0.5

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void
read_exactly(int fd, void *buffer, size_t length)
{
	unsigned char *p = buffer;

	while (length > 0)
	{
		ssize_t n = read(fd, p, length);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			_exit(0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(1);
		p += n;
		length -= (size_t) n;
	}
}

/* Sends what the writer holds and frees it. */
static void
send_frame(HbServer *server, HbWriter *writer)
{
	size_t done = 0;

	if (writer->failed)
		_exit(1);
	while (done < writer->length)
	{
		ssize_t n = write(server->fd, writer->data + done, writer->length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(errno == EPIPE || errno == ECONNRESET ? 0 : 1);
		done += (size_t) n;
	}
	hb_writer_free(writer);
	server->last_beat = now();
}

void
hb_server_init(HbServer *server, int fd, const HbProvider *provider, const HbDataset *dataset)
{
	memset(server, 0, sizeof(*server));
	server->fd = fd;
	server->provider = provider;
	server->dataset = dataset;
	server->host = hb_host_malloc;
}

void
hb_server_hello(HbServer *server)
{
	HbHello hello;
	HbWriter writer;
	const char *version = server->provider->version ? server->provider->version() : "";

	memset(&hello, 0, sizeof(hello));
	hello.version = HB_WIRE_VERSION;
	hello.pid = (uint32_t) getpid();
	strncpy(hello.provider, server->provider->name, sizeof(hello.provider) - 1);
	strncpy(hello.kernel, hb_provider_kernel_name(server->provider), sizeof(hello.kernel) - 1);
	strncpy(hello.blas, version, sizeof(hello.blas) - 1);
	hb_writer_init(&writer, &server->host);
	hb_pack_hello(&writer, &hello);
	send_frame(server, &writer);
}

bool
hb_server_tick(void *context)
{
	HbServer *server = context;
	HbWriter writer;

	if (now() - server->last_beat < BEAT_SECONDS)
		return true;
	hb_writer_init(&writer, &server->host);
	hb_pack_heartbeat(&writer, server->job_id);
	send_frame(server, &writer);
	return true;
}

static bool
send_curve(void *context, const HbCurvePoint *point)
{
	HbServer *server = context;
	HbWriter writer;

	hb_writer_init(&writer, &server->host);
	hb_pack_curve(&writer, point);
	send_frame(server, &writer);
	return true;
}

/* On the data set's rows as the job says. */
static bool
train(HbServer *server, const HbFamily *family, HbTrainContext *context, const HbJob *job,
	  HbJobResult *result, HbStatus *status)
{
	HbDatasetHeader header = *server->dataset->header;
	HbDataset first = *server->dataset;

	if (job->folds > 0)
		return hb_train_folds(server, family, context, job, result, status);
	if (job->rows > 0)
	{
		if (job->rows < header.rows_train)
			header.rows_train = job->rows;
		first.header = &header;
		context->dataset = &first;
	}
	return family->train(family, context, job, result, status);
}

static bool
run_job(HbServer *server, const HbJob *job, HbJobResult *result, HbStatus *status)
{
	const HbFamily *family = hb_family_find(job->family);
	HbTrainContext context = {.host = &server->host,
							  .provider = server->provider,
							  .dataset = server->dataset,
							  .callback_context = server,
							  .curve = send_curve,
							  .tick = hb_server_tick};

	if (!family)
		return hb_fail(status, HB_ERR_PROTOCOL, "job names an unknown model family");
	if (job->kind == HB_JOB_EVALUATE)
		return hb_evaluate(server, job, result, status);
	return train(server, family, &context, job, result, status);
}

static void
release_result(HbServer *server, HbJobResult *result)
{
	for (uint32_t i = 0; result->trials && i < result->ntrials; i++)
		hb_release(&server->host, (void *) result->trials[i].state);
	hb_release(&server->host, result->trials);
}

/* Instead of a result that is too large for the memory that is left: the job would end no better in another trainer. */
static void
pack_out_of_memory(HbServer *server, HbWriter *writer, const HbJobResult *result)
{
	size_t bytes = 0;
	HbStatus status;

	for (uint32_t i = 0; i < result->ntrials; i++)
		bytes += result->trials[i].state_bytes;
	hb_writer_free(writer);
	hb_writer_init(writer, &server->host);
	hb_status_init(&status);
	(void) hb_fail_memory(&status, bytes);
	hb_pack_failure(writer, server->job_id, &status);
}

/* Each job's answer: RESULT, or FAILURE with why. */
static void
answer(HbServer *server, const HbJob *job)
{
	HbJobResult result;
	HbStatus status;
	HbWriter writer;
	double began = cpu_now();

	memset(&result, 0, sizeof(result));
	hb_status_init(&status);
	server->job_id = job->id;
	hb_writer_init(&writer, &server->host);
	if (run_job(server, job, &result, &status))
	{
		result.job_id = job->id;
		result.cpu_seconds = cpu_now() - began;
		hb_pack_result(&writer, &result);
		if (writer.failed)
			pack_out_of_memory(server, &writer, &result);
	}
	else
		hb_pack_failure(&writer, job->id, &status);
	send_frame(server, &writer);
	release_result(server, &result);
}

void
hb_server_turn(HbServer *server)
{
	HbFrame frame;
	HbStatus status;
	HbJob job;
	void *payload;

	read_exactly(server->fd, &frame, sizeof(frame));
	hb_status_init(&status);
	if (!hb_frame_check(&frame, &status) || frame.type != HB_FRAME_JOB)
		_exit(1);
	payload = malloc(frame.length > 0 ? frame.length : 1);
	if (!payload)
		_exit(1);
	read_exactly(server->fd, payload, frame.length);
	if (!hb_unpack_job(&server->host, payload, frame.length, &job, &status))
		_exit(1);
	answer(server, &job);
	hb_job_release(&server->host, &job);
	free(payload);
}
