/*
 * wire.h - the protocol between the supervisor and a trainer
 *
 * Frames over a stream socket between two processes of one machine, in its own byte order:
 * HbFrame, then length bytes of payload.  A reader trusts nothing: magic, type, length and every field
 * are checked, and a frame that does not parse ends the connection (08P01).  The trainer sends HELLO once, then
 * waits for jobs; it answers each with any number of CURVE and HEARTBEAT frames and one RESULT or
 * FAILURE.  End of file on the socket ends the trainer.
 */
#ifndef HB_WIRE_H
#define HB_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/host.h"
#include "core/status.h"

#define HB_WIRE_MAGIC 0x48425731u /* "HBW1" */
#define HB_WIRE_VERSION 2
#define HB_WIRE_MAX_PAYLOAD ((uint64_t) 1 << 31)

/* Descriptors of a trainer process. */
#define HB_TRAINER_SOCKET_FD 3
#define HB_TRAINER_DATA_FD 4

typedef enum HbFrameType
{
	HB_FRAME_HELLO = 1,    /* trainer: HbHello */
	HB_FRAME_JOB = 2,      /* supervisor: HbJob */
	HB_FRAME_CURVE = 3,    /* trainer: HbCurvePoint */
	HB_FRAME_RESULT = 4,   /* trainer: HbJobResult */
	HB_FRAME_FAILURE = 5,  /* trainer: job id and HbStatus; the job is over */
	HB_FRAME_HEARTBEAT = 6 /* trainer: job id; at least every second while it works */
} HbFrameType;

typedef struct HbFrame
{
	uint32_t magic;
	uint32_t type;
	uint64_t length; /* of the payload */
} HbFrame;

/* A growing buffer to pack a frame into. failed stays set after an allocation failed. */
typedef struct HbWriter
{
	const HbHost *host;
	unsigned char *data;
	size_t length;
	size_t capacity;
	bool failed;
} HbWriter;

extern void hb_writer_init(HbWriter *writer, const HbHost *host);
extern void hb_writer_free(HbWriter *writer);
extern void hb_write_bytes(HbWriter *writer, const void *bytes, size_t length);
extern void hb_write_u32(HbWriter *writer, uint32_t value);
extern void hb_write_u64(HbWriter *writer, uint64_t value);
extern void hb_write_f64(HbWriter *writer, double value);
extern void hb_write_string(HbWriter *writer, const char *text); /* u32 length, bytes */
extern void
hb_write_blob(HbWriter *writer, const void *bytes, size_t length); /* u64 length, bytes */
/* Reserve a frame header / set its length when the payload is complete. */
extern void hb_frame_begin(HbWriter *writer, HbFrameType type);
extern void hb_frame_end(HbWriter *writer);

/* A cursor over a received payload. failed stays set after the first read past the end. */
typedef struct HbReader
{
	const unsigned char *data;
	size_t length;
	size_t position;
	bool failed;
} HbReader;

extern void hb_reader_init(HbReader *reader, const void *data, size_t length);
extern uint32_t hb_read_u32(HbReader *reader);
extern uint64_t hb_read_u64(HbReader *reader);
extern double hb_read_f64(HbReader *reader);
/* Copies into buffer, always terminated; longer text fails. */
extern void hb_read_string(HbReader *reader, char *buffer, size_t size);
/* A view into the payload. */
extern const void *hb_read_blob(HbReader *reader, size_t *length);
/* True when nothing failed and nothing is left. */
extern bool hb_reader_done(const HbReader *reader);

/* Checks a received header; 08P01 where it is none of ours. */
extern bool hb_frame_check(const HbFrame *frame, HbStatus *status);

#endif /* HB_WIRE_H */
