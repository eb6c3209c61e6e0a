/*
 * status.h - how code outside src/pg reports an error
 *
 * core, compute, learn and tune never exit, abort, print or longjmp.  A function that can fail
 * returns false and fills a caller-owned HbStatus; src/pg turns that into an ereport() with the
 * same SQLSTATE, message, detail and hint.  Messages follow PostgreSQL's style guide: the message
 * starts in lower case and has no full stop, detail and hint are sentences.
 */
#ifndef HB_STATUS_H
#define HB_STATUS_H

#include <stdbool.h>

#define HB_ERR_INVALID_PARAMETER "22023"
#define HB_ERR_OUT_OF_RANGE "22003"
#define HB_ERR_DATA "22000"
#define HB_ERR_NOT_SUPPORTED "0A000"
#define HB_ERR_LIMIT "54000"
#define HB_ERR_OUT_OF_MEMORY "53200"
#define HB_ERR_CORRUPTED "XX001"
#define HB_ERR_PROTOCOL "08P01"
#define HB_ERR_INTERNAL "XX000"

typedef struct HbStatus
{
	char sqlstate[6]; /* empty while all is well */
	char message[512];
	char detail[512];
	char hint[512];
} HbStatus;

#if defined(__GNUC__)
#define HB_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define HB_PRINTF(f, a)
#endif

/* Clears a status. */
extern void hb_status_init(HbStatus *status);

/* Records an error and returns false, so that callers can write "return hb_fail(...)". */
extern bool
hb_fail(HbStatus *status, const char *sqlstate, const char *format, ...) HB_PRINTF(3, 4);

/* Adds a detail or a hint to a recorded error; each returns false for the same reason. */
extern bool hb_fail_detail(HbStatus *status, const char *format, ...) HB_PRINTF(2, 3);
extern bool hb_fail_hint(HbStatus *status, const char *format, ...) HB_PRINTF(2, 3);

/* hb_fail for a failed allocation of size bytes. */
extern bool hb_fail_memory(HbStatus *status, unsigned long long size);

#endif /* HB_STATUS_H */
