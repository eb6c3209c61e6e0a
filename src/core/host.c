/*
 * host.c - the malloc-backed host of the trainer and the unit tests, and calls through any host
 */
#include "core/host.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One cache line, and the widest vector register. */
#define HOST_ALIGNMENT 64

static void *
malloc_alloc(void *context, size_t size)
{
	size_t rounded;
	void *pointer;

	if (size > PTRDIFF_MAX - HOST_ALIGNMENT)
		return NULL;
	rounded = (size + HOST_ALIGNMENT - 1) & ~(size_t) (HOST_ALIGNMENT - 1);
	if (rounded == 0)
		rounded = HOST_ALIGNMENT;
	pointer = aligned_alloc(HOST_ALIGNMENT, rounded);
	if (pointer)
		memset(pointer, 0, rounded);
	return pointer;
}

static void
malloc_release(void *context, void *pointer)
{
	free(pointer);
}

static bool
never_interrupted(void *context)
{
	return false;
}

const HbHost hb_host_malloc = {
	.alloc = malloc_alloc,
	.release = malloc_release,
	.interrupted = never_interrupted,
	.context = NULL,
};

void *
hb_alloc(const HbHost *host, size_t size)
{
	return host->alloc(host->context, size);
}

void
hb_release(const HbHost *host, void *pointer)
{
	if (pointer)
		host->release(host->context, pointer);
}

char *
hb_strdup(const HbHost *host, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = hb_alloc(host, size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
