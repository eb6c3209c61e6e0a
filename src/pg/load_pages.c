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
	char *aligned; /* a pointer to this, and the array */
} Pages;

/* Ahead of the array; keeps its alignment to a cache line. */
#define HEADER_BYTES 64

static size_t
whole_pages(Size size)
{
	return TYPEALIGN64(HUGE_BYTES, size + HEADER_BYTES);
}

static void
unmap_pages(void *arg)
{
	Pages *pages = arg;

	if (pages->reserved != NULL)
		munmap(pages->reserved, pages->length);
	pages->reserved = NULL;
}

static void
out_of_memory(size_t length)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("Failed on request of size %zu.", length)));
}

/* Room for whole_pages(size) at an aligned address. */
static Pages
reserve(Size size, int protection)
{
	Pages pages = {.length = whole_pages(size) + HUGE_BYTES};

	pages.reserved = mmap(NULL, pages.length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages.reserved == MAP_FAILED)
		out_of_memory(pages.length);
	pages.aligned = (char *) TYPEALIGN(HUGE_BYTES, pages.reserved);
	return pages;
}

static void
ask_for_huge(const Pages *pages, Size size)
{
	if (size > HUGE_BYTES / 4)
		(void) madvise(pages->aligned, whole_pages(size), MADV_HUGEPAGE);
}

static Pages *
pages_of(void *array)
{
	Pages *pages;

	memcpy(&pages, (char *) array - HEADER_BYTES, sizeof(pages));
	return pages;
}

/* Not zeroed by promise; freed with context at the latest. */
void *
hb_pages_alloc(MemoryContext context, Size size)
{
	Pages *pages = MemoryContextAllocZero(context, sizeof(Pages));

	*pages = reserve(size, PROT_READ | PROT_WRITE);
	pages->callback.func = unmap_pages;
	pages->callback.arg = pages;
	MemoryContextRegisterResetCallback(context, &pages->callback);
	ask_for_huge(pages, size);
	memcpy(pages->aligned, &pages, sizeof(pages));
	return pages->aligned + HEADER_BYTES;
}

void
hb_pages_free(void *array)
{
	unmap_pages(pages_of(array));
}

void
hb_pages_trim(void *array, Size size)
{
	Pages *pages = pages_of(array);
	char *start = (char *) TYPEALIGN(HUGE_BYTES, (char *) array + size);
	char *end = (char *) pages->reserved + pages->length;

	if (start < end)
		(void) madvise(start, end - start, MADV_DONTNEED);
}

/* The array with room for size: its pages move, not its bytes. */
void *
hb_pages_grow(void *array, Size size)
{
	Pages *pages = pages_of(array);
	Pages grown = reserve(size, PROT_NONE);

	if (mremap(pages->aligned, pages->length - HUGE_BYTES, whole_pages(size),
			   MREMAP_MAYMOVE | MREMAP_FIXED, grown.aligned) == MAP_FAILED)
	{
		munmap(grown.reserved, grown.length);
		out_of_memory(grown.length);
	}
	munmap(pages->reserved, pages->length);
	pages->reserved = grown.reserved;
	pages->length = grown.length;
	pages->aligned = grown.aligned;
	ask_for_huge(pages, size);
	return pages->aligned + HEADER_BYTES;
}
