/*
 * arena.c - memory of one job, released all at once whatever happened
 */
#include "learn/network.h"

#include <string.h>

void
hb_arena_init(HbArena *arena, const HbHost *host)
{
	memset(arena, 0, sizeof *arena);
	arena->host = host;
}

static bool
arena_grow(HbArena *arena)
{
	size_t capacity = arena->capacity ? arena->capacity * 2 : 64;
	void **blocks = hb_alloc(arena->host, capacity * sizeof(void *));

	if (blocks == NULL)
		return false;
	if (arena->nblocks > 0)
		memcpy(blocks, arena->blocks, arena->nblocks * sizeof(void *));
	hb_release(arena->host, arena->blocks);
	arena->blocks = blocks;
	arena->capacity = capacity;
	return true;
}

void *
hb_arena_alloc(HbArena *arena, size_t count, size_t size, HbStatus *status)
{
	size_t bytes;
	void *block = NULL;

	if (!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX / 2 &&
		(arena->nblocks < arena->capacity || arena_grow(arena)))
		block = hb_alloc(arena->host, bytes > 0 ? bytes : 1);
	if (block == NULL)
	{
		hb_fail_memory(status, (unsigned long long) count * size);
		return NULL;
	}
	arena->blocks[arena->nblocks++] = block;
	return block;
}

void
hb_arena_free(HbArena *arena)
{
	for (size_t i = 0; i < arena->nblocks; i++)
		hb_release(arena->host, arena->blocks[i]);
	hb_release(arena->host, arena->blocks);
	hb_arena_init(arena, arena->host);
}
