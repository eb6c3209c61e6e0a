/*
 * fuzz_wire.c - libFuzzer target: payloads of the protocol between supervisor and trainer
 *
 * The first byte chooses the frame type, the rest is its payload.  What is unpacked is packed again and must give
 * the same bytes: a field that is read but not checked would show, as would one that is not carried along.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/job.h"

static const HbHost *host = &hb_host_malloc;

/* NaNs may change their payload on the way through a double, so only lengths are compared. */
static void
check_length(HbWriter *writer, size_t length)
{
	if (writer->failed || writer->length != sizeof(HbFrame) + length)
		abort();
	hb_writer_free(writer);
}

static void
fuzz_job(const uint8_t *payload, size_t length, HbWriter *writer)
{
	HbStatus status;
	HbJob job;

	hb_status_init(&status);
	if (!hb_unpack_job(host, payload, length, &job, &status))
		return;
	hb_pack_job(writer, &job);
	check_length(writer, length);
	hb_job_release(host, &job);
}

static void
fuzz_result(const uint8_t *payload, size_t length, HbWriter *writer)
{
	HbStatus status;
	HbJobResult result;

	hb_status_init(&status);
	if (!hb_unpack_result(host, payload, length, &result, &status))
		return;
	hb_pack_result(writer, &result);
	check_length(writer, length);
	hb_result_release(host, &result);
}

static void
fuzz_small(int type, const uint8_t *payload, size_t length)
{
	HbStatus status, failure;
	HbHello hello;
	HbCurvePoint point;
	uint64_t id;

	hb_status_init(&status);
	if (type == HB_FRAME_HELLO)
		(void) hb_unpack_hello(payload, length, &hello, &status);
	else if (type == HB_FRAME_CURVE)
		(void) hb_unpack_curve(payload, length, &point, &status);
	else if (type == HB_FRAME_FAILURE)
		(void) hb_unpack_failure(payload, length, &id, &failure, &status);
	else
		(void) hb_unpack_heartbeat(payload, length, &id, &status);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	HbWriter writer;
	HbStatus status;
	HbFrame frame;
	uint8_t *payload;
	int type;

	hb_status_init(&status);
	if (size >= sizeof frame)
	{
		memcpy(&frame, data, sizeof frame);
		(void) hb_frame_check(&frame, &status);
	}
	if (size == 0)
		return 0;
	type = 1 + data[0] % HB_FRAME_HEARTBEAT;
	/* memory of exactly its size, aligned as a received payload is */
	payload = malloc(size);
	memcpy(payload, data + 1, size - 1);
	hb_writer_init(&writer, host);
	if (type == HB_FRAME_JOB)
		fuzz_job(payload, size - 1, &writer);
	else if (type == HB_FRAME_RESULT)
		fuzz_result(payload, size - 1, &writer);
	else
		fuzz_small(type, payload, size - 1);
	free(payload);
	return 0;
}
