/*
 * fuzz_host.h - a host whose memory is all given back after each input
 *
 * Every allocation is one of malloc, so that AddressSanitizer sees its bounds and its release.
 */
#ifndef HB_FUZZ_HOST_H
#define HB_FUZZ_HOST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/host.h"

typedef struct FuzzBlock
{
	struct FuzzBlock *next, *previous;
	char padding[48];
} FuzzBlock;

#define FUZZ_MOST_BYTES ((size_t) 4 << 20) /* of one allocation: beyond it there is no memory */

static FuzzBlock fuzz_blocks;

static void *
fuzz_alloc(void *context, size_t size)
{
	FuzzBlock *block;

	if (size > FUZZ_MOST_BYTES)
		return NULL;
	block = aligned_alloc(64, (sizeof(FuzzBlock) + size + 63) / 64 * 64);
	memset(block, 0, (sizeof(FuzzBlock) + size + 63) / 64 * 64);
	block->next = fuzz_blocks.next;
	block->previous = &fuzz_blocks;
	if (block->next)
		block->next->previous = block;
	fuzz_blocks.next = block;
	return block + 1;
}

static void
fuzz_release(void *context, void *pointer)
{
	FuzzBlock *block = (FuzzBlock *) pointer - 1;

	block->previous->next = block->next;
	if (block->next)
		block->next->previous = block->previous;
	free(block);
}

static bool
fuzz_interrupted(void *context)
{
	return false;
}

static const HbHost fuzz_host = {fuzz_alloc, fuzz_release, fuzz_interrupted, NULL};

static inline void
fuzz_release_all(void)
{
	while (fuzz_blocks.next)
		fuzz_release(NULL, fuzz_blocks.next + 1);
}

#endif /* HB_FUZZ_HOST_H */
