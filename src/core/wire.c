/*
 * wire.c - frames, and the writer and reader that they are packed with
 */
#include "core/wire.h"

#include <string.h>

/* Length of a frame that is still being packed. */
#define OPEN_LENGTH UINT64_MAX

void
hb_writer_init(HbWriter *writer, const HbHost *host)
{
	memset(writer, 0, sizeof(*writer));
	writer->host = host;
}

void
hb_writer_free(HbWriter *writer)
{
	hb_release(writer->host, writer->data);
	writer->data = NULL;
	writer->length = writer->capacity = 0;
}

/* Makes room for more bytes, at least doubling. */
static bool
reserve(HbWriter *writer, size_t more)
{
	size_t needed;
	size_t capacity;
	unsigned char *data;

	if (writer->failed)
		return false;
	if (__builtin_add_overflow(writer->length, more, &needed))
	{
		writer->failed = true;
		return false;
	}
	if (needed <= writer->capacity)
		return true;
	capacity = writer->capacity < 256 ? 256 : writer->capacity;
	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	data = hb_alloc(writer->host, capacity);
	if (!data)
	{
		writer->failed = true;
		return false;
	}
	if (writer->length > 0)
		memcpy(data, writer->data, writer->length);
	hb_release(writer->host, writer->data);
	writer->data = data;
	writer->capacity = capacity;
	return true;
}

void
hb_write_bytes(HbWriter *writer, const void *bytes, size_t length)
{
	if (!reserve(writer, length))
		return;
	if (length > 0)
		memcpy(writer->data + writer->length, bytes, length);
	writer->length += length;
}

void
hb_write_u32(HbWriter *writer, uint32_t value)
{
	hb_write_bytes(writer, &value, sizeof(value));
}

void
hb_write_u64(HbWriter *writer, uint64_t value)
{
	hb_write_bytes(writer, &value, sizeof(value));
}

void
hb_write_f64(HbWriter *writer, double value)
{
	hb_write_bytes(writer, &value, sizeof(value));
}

void
hb_write_string(HbWriter *writer, const char *text)
{
	size_t length = strlen(text);

	if (length > UINT32_MAX)
	{
		writer->failed = true;
		return;
	}
	hb_write_u32(writer, (uint32_t) length);
	hb_write_bytes(writer, text, length);
}

void
hb_write_blob(HbWriter *writer, const void *bytes, size_t length)
{
	hb_write_u64(writer, length);
	hb_write_bytes(writer, bytes, length);
}

void
hb_frame_begin(HbWriter *writer, HbFrameType type)
{
	HbFrame frame = {.magic = HB_WIRE_MAGIC, .type = type, .length = OPEN_LENGTH};

	hb_write_bytes(writer, &frame, sizeof(frame));
}

/* Finds the open frame behind the complete ones and fills in its length. */
void
hb_frame_end(HbWriter *writer)
{
	size_t position = 0;

	while (!writer->failed && writer->length - position >= sizeof(HbFrame))
	{
		HbFrame frame;

		memcpy(&frame, writer->data + position, sizeof(frame));
		if (frame.length == OPEN_LENGTH)
		{
			frame.length = writer->length - position - sizeof(frame);
			if (frame.length > HB_WIRE_MAX_PAYLOAD)
				break;
			memcpy(writer->data + position, &frame, sizeof(frame));
			return;
		}
		position += sizeof(frame) + frame.length;
	}
	writer->failed = true;
}

void
hb_reader_init(HbReader *reader, const void *data, size_t length)
{
	reader->data = data;
	reader->length = length;
	reader->position = 0;
	reader->failed = false;
}

/* The next bytes of the payload, NULL past its end. */
static const unsigned char *
take(HbReader *reader, uint64_t length)
{
	const unsigned char *bytes;

	if (reader->failed || length > reader->length - reader->position)
	{
		reader->failed = true;
		return NULL;
	}
	bytes = reader->data + reader->position;
	reader->position += length;
	return bytes;
}

uint32_t
hb_read_u32(HbReader *reader)
{
	const unsigned char *bytes = take(reader, sizeof(uint32_t));
	uint32_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

uint64_t
hb_read_u64(HbReader *reader)
{
	const unsigned char *bytes = take(reader, sizeof(uint64_t));
	uint64_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

double
hb_read_f64(HbReader *reader)
{
	const unsigned char *bytes = take(reader, sizeof(double));
	double value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

void
hb_read_string(HbReader *reader, char *buffer, size_t size)
{
	uint32_t length = hb_read_u32(reader);
	const unsigned char *bytes = NULL;

	buffer[0] = '\0';
	if (length >= size)
		reader->failed = true;
	else
		bytes = take(reader, length);
	if (!bytes)
		return;
	/* a text with a zero byte would be read back shorter than it came */
	if (length > 0 && memchr(bytes, 0, length) != NULL)
	{
		reader->failed = true;
		return;
	}
	memcpy(buffer, bytes, length);
	buffer[length] = '\0';
}

const void *
hb_read_blob(HbReader *reader, size_t *length)
{
	uint64_t size = hb_read_u64(reader);
	const unsigned char *bytes = take(reader, size);

	*length = bytes ? size : 0;
	return bytes;
}

bool
hb_reader_done(const HbReader *reader)
{
	return !reader->failed && reader->position == reader->length;
}

bool
hb_frame_check(const HbFrame *frame, HbStatus *status)
{
	if (frame->magic != HB_WIRE_MAGIC)
		return hb_fail(status, HB_ERR_PROTOCOL,
					   "trainer sent a frame that is not of this protocol");
	if (frame->type < HB_FRAME_HELLO || frame->type > HB_FRAME_HEARTBEAT)
		return hb_fail(status, HB_ERR_PROTOCOL, "unrecognized frame type %u", frame->type);
	if (frame->length > HB_WIRE_MAX_PAYLOAD)
		return hb_fail(status, HB_ERR_PROTOCOL, "frame of %llu bytes is too long",
					   (unsigned long long) frame->length);
	return true;
}
