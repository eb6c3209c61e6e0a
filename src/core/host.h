/*
 * host.h - what code outside src/pg asks of the program it runs in
 *
 * The server hands out memory from a memory context and answers interrupts; the trainer and the
 * unit tests use malloc.  alloc returns zeroed memory aligned to 64 bytes, or NULL when there is
 * none: callers turn NULL into a status with hb_fail_memory().  In the server everything may be
 * released at once by resetting the context, so callers need not free on an error path there;
 * they do free what a long-lived trainer would otherwise leak.
 */
#ifndef HB_HOST_H
#define HB_HOST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct HbHost
{
	void *(*alloc)(void *context, size_t size);
	void (*release)(void *context, void *pointer);
	/* true when the caller should stop soon; asked about every millisecond of work */
	bool (*interrupted)(void *context);
	void *context;
} HbHost;

/* malloc-backed host that is never interrupted. */
extern const HbHost hb_host_malloc;

extern void *hb_alloc(const HbHost *host, size_t size);    /* zeroed; NULL when out of memory */
extern void hb_release(const HbHost *host, void *pointer); /* NULL is allowed */
extern char *hb_strdup(const HbHost *host, const char *text);

#endif /* HB_HOST_H */
