/*
 * load_pages.c - large arrays that a load writes once and drops
 *
 * Every first touch of a 4 kB page is a fault, which on narrow tables costs more than what is written there:
 * these come straight from mmap(), aligned so that the kernel may use huge pages.
 */
#include "pg/load_internal.h"

#include <sys/mman.h>

#include "utils/memutils.h"

#define HUGE_BYTES ((size_t) 2 * 1024 * 1024)

typedef struct Pages
{
	MemoryContextCallback callback;
	void *reserved;
	size_t length;
} Pages;

/* Ahead of the array; keeps its alignment to a cache line. */
#define HEADER_BYTES 64

static void
unmap_pages(void *arg)
{
	Pages *pages = arg;

	if (pages->reserved != NULL)
		munmap(pages->reserved, pages->length);
	pages->reserved = NULL;
}

/* Not zeroed by promise; freed with context at the latest. */
void *
hb_pages_alloc(MemoryContext context, Size size)
{
	Pages *pages = MemoryContextAllocZero(context, sizeof(Pages));
	size_t length = TYPEALIGN64(HUGE_BYTES, size + HEADER_BYTES) + HUGE_BYTES;
	void *reserved = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned;

	if (reserved == MAP_FAILED)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Failed on request of size %zu.", length)));
	pages->reserved = reserved;
	pages->length = length;
	pages->callback.func = unmap_pages;
	pages->callback.arg = pages;
	MemoryContextRegisterResetCallback(context, &pages->callback);
	aligned = (char *) TYPEALIGN(HUGE_BYTES, reserved);
	if (size > HUGE_BYTES / 4)
		(void) madvise(aligned, TYPEALIGN64(HUGE_BYTES, size + HEADER_BYTES), MADV_HUGEPAGE);
	memcpy(aligned, &pages, sizeof(pages));
	return aligned + HEADER_BYTES;
}

void
hb_pages_free(void *array)
{
	Pages *pages;

	memcpy(&pages, (char *) array - HEADER_BYTES, sizeof(pages));
	unmap_pages(pages);
}

void
hb_pages_trim(void *array, Size size)
{
	Pages *pages;
	char *start = (char *) TYPEALIGN(HUGE_BYTES, (char *) array + size);
	char *end;

	memcpy(&pages, (char *) array - HEADER_BYTES, sizeof(pages));
	end = (char *) pages->reserved + pages->length;
	if (start < end)
		(void) madvise(start, end - start, MADV_DONTNEED);
}

void *
hb_pages_grow(MemoryContext context, void *array, Size old_size, Size size)
{
	void *grown = hb_pages_alloc(context, size);

	memcpy(grown, array, old_size);
	hb_pages_free(array);
	return grown;
}
