/*
 * load_sample.c - max_rows: a uniform sample in one pass, whatever the physical order
 *
 * A bottom-k sketch with counts (Cohen, J. Comput. Syst. Sci. 1997): of the distinct rows the k with the
 * smallest seeded hash are kept, each with the number of times it came; a row once dropped never returns, since the
 * bound only falls, so the counts are exact.  At the end each occurrence of a kept row draws a hash of
 * its own and the k smallest are the sample.  A table of few distinct rows is thus sampled
 * occurrence by occurrence, one of many row by row.  Memory is bounded by k rows: the records lie in blocks, each of which
 * is given back as soon as the file has what the sample takes of it.
 */
#include "pg/load_internal.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define PURPOSE_ROW 1
#define PURPOSE_OCCURRENCE 2

#define BLOCK_BYTES ((Size) 8 * 1024 * 1024)

typedef struct SampleSlot
{
	uint64 count;
	HbHash128 whole; /* digest with the target: equal rows have equal ones */
	HbRowMeta meta;
} SampleSlot;

/* Slots by digest, which lies in the slot alone; private_data is the sample. */
typedef struct SampleEntry
{
	uint32 slot;
	char status;
} SampleEntry;

#define SH_PREFIX samplehash
#define SH_ELEMENT_TYPE SampleEntry
#define SH_KEY_TYPE uint32
#define SH_SCOPE static inline
#define SH_DECLARE
#include "lib/simplehash.h"

typedef struct HeapItem
{
	uint64 key;
	uint32 slot;
} HeapItem;

/* A max-heap of at most limit items, the largest key on top. */
typedef struct Heap
{
	const struct HbSample *sample;
	HeapItem *items;
	uint64 n;
	uint64 capacity;
} Heap;

typedef struct HbSample
{
	uint64 limit;
	SampleSlot *slots; /* and one more, of the row that is looked for */
	uint64 capacity;
	/* records, each with its moments behind it, by slot */
	char **blocks;
	uint64 nblocks;
	uint64 blocks_capacity;
	Size stride;
	uint64 per_block;
	samplehash_hash *by_digest;
	Heap heap;
} HbSample;

static inline HbHash128
digest_of(const void *sample, uint32 slot)
{
	return ((const HbSample *) sample)->slots[slot].whole;
}

#define SH_PREFIX samplehash
#define SH_ELEMENT_TYPE SampleEntry
#define SH_KEY_TYPE uint32
#define SH_KEY slot
#define SH_HASH_KEY(tb, key) ((uint32) digest_of((tb)->private_data, (key)).low)
#define SH_EQUAL(tb, a, b)                                                                         \
	((a) == (b) || hb_hash128_compare(digest_of((tb)->private_data, (a)),                          \
									  digest_of((tb)->private_data, (b))) == 0)
#define SH_SCOPE static inline
#define SH_DEFINE
#include "lib/simplehash.h"

/* Equal keys of different rows are told apart by their digests, never by their place. */
static inline bool
item_less(const Heap *heap, HeapItem a, HeapItem b)
{
	if (a.key != b.key)
		return a.key < b.key;
	return hb_hash128_compare(heap->sample->slots[a.slot].whole,
							  heap->sample->slots[b.slot].whole) < 0;
}

static void
heap_sift_down(Heap *heap)
{
	HeapItem item = heap->items[0];
	uint64 i = 0;

	for (;;)
	{
		uint64 child = 2 * i + 1;

		if (child >= heap->n)
			break;
		if (child + 1 < heap->n && item_less(heap, heap->items[child], heap->items[child + 1]))
			child++;
		if (!item_less(heap, item, heap->items[child]))
			break;
		heap->items[i] = heap->items[child];
		i = child;
	}
	heap->items[i] = item;
}

static void
heap_push(Heap *heap, HeapItem item)
{
	uint64 i = heap->n++;

	if (heap->n > heap->capacity)
	{
		heap->capacity *= 2;
		heap->items = repalloc_huge(heap->items, sizeof(HeapItem) * heap->capacity);
	}
	while (i > 0 && item_less(heap, heap->items[(i - 1) / 2], item))
	{
		heap->items[i] = heap->items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap->items[i] = item;
}

static void
heap_replace_top(Heap *heap, HeapItem item)
{
	heap->items[0] = item;
	heap_sift_down(heap);
}

static void
heap_init(Heap *heap, const HbSample *sample)
{
	heap->sample = sample;
	heap->n = 0;
	heap->capacity = 1024;
	heap->items = palloc(sizeof(HeapItem) * heap->capacity);
}

HbSample *
hb_sample_create(HbLoad *load, uint64 limit)
{
	HbSample *sample = palloc0(sizeof(HbSample));

	sample->limit = Min(limit, (uint64) UINT32_MAX - 1);
	sample->capacity = 1024;
	sample->slots = palloc(sizeof(SampleSlot) * (sample->capacity + 1));
	sample->stride = MAXALIGN(load->record_bytes) + load->moment_bytes;
	sample->per_block = Max(BLOCK_BYTES / sample->stride, 1);
	sample->blocks_capacity = 64;
	sample->blocks = palloc(sizeof(char *) * sample->blocks_capacity);
	sample->by_digest = samplehash_create(load->context, 1024, sample);
	heap_init(&sample->heap, sample);
	return sample;
}

static char *
record_of(const HbSample *sample, uint64 slot)
{
	return sample->blocks[slot / sample->per_block] + slot % sample->per_block * sample->stride;
}

/* Room for a slot more, one behind those that are there. */
static void
reserve_slot(HbLoad *load, HbSample *sample)
{
	uint64 block = sample->heap.n / sample->per_block;

	if (sample->heap.n == sample->capacity)
	{
		sample->capacity = Min(sample->capacity * 2, sample->limit);
		sample->slots = repalloc_huge(sample->slots, sizeof(SampleSlot) * (sample->capacity + 1));
	}
	if (block < sample->nblocks)
		return;
	if (block == sample->blocks_capacity)
	{
		sample->blocks_capacity *= 2;
		sample->blocks = repalloc_huge(sample->blocks, sizeof(char *) * sample->blocks_capacity);
	}
	sample->blocks[sample->nblocks++] =
		hb_pages_alloc(load->context, Min(sample->per_block, sample->limit) * sample->stride);
}

static void
fill_slot(HbLoad *load, HbSample *sample, uint32 slot, HbHash128 whole, const HbRowMeta *meta,
		  const char *record, const char *moments)
{
	SampleSlot *own = &sample->slots[slot];
	char *own_record = record_of(sample, slot);
	bool found;

	own->count = 1;
	own->whole = whole;
	own->meta = *meta;
	memcpy(own_record, record, load->record_bytes);
	if (load->moment_bytes > 0)
		memcpy(own_record + MAXALIGN(load->record_bytes), moments, load->moment_bytes);
	(void) samplehash_insert(sample->by_digest, slot, &found);
}

void
hb_sample_row(HbLoad *load, HbHash128 whole, const HbRowMeta *meta, const char *record,
			  const char *moments)
{
	HbSample *sample = load->sample;
	Heap *heap = &sample->heap;
	uint64 key = hb_hash128_again(whole, load->request->sample_seed, PURPOSE_ROW);
	bool full = heap->n == sample->limit;
	SampleEntry *entry;
	uint32 slot;

	if (full && key > heap->items[0].key)
		return;
	sample->slots[sample->capacity].whole = whole;
	entry = samplehash_lookup(sample->by_digest, (uint32) sample->capacity);
	if (entry != NULL)
	{
		sample->slots[entry->slot].count++;
		return;
	}
	if (!full)
	{
		slot = (uint32) heap->n;
		reserve_slot(load, sample);
		fill_slot(load, sample, slot, whole, meta, record, moments);
		heap_push(heap, (HeapItem){key, slot});
		if ((slot & 1023) == 1023)
			hb_read_check_memory(load, heap->n);
		return;
	}
	slot = heap->items[0].slot;
	if (key == heap->items[0].key && hb_hash128_compare(whole, sample->slots[slot].whole) > 0)
		return;
	(void) samplehash_delete(sample->by_digest, slot);
	fill_slot(load, sample, slot, whole, meta, record, moments);
	heap_replace_top(heap, (HeapItem){key, slot});
}

/* Of all occurrences of the kept rows the limit smallest by a hash of their own. */
static void
choose_occurrences(HbLoad *load, HbSample *sample, uint64 nslots, Heap *chosen)
{
	uint64 done = 0;

	heap_init(chosen, sample);
	for (uint64 i = 0; i < nslots; i++)
		for (uint64 k = 0; k < sample->slots[i].count; k++)
		{
			HeapItem item = {hb_hash128_again(sample->slots[i].whole, load->request->sample_seed,
											  PURPOSE_OCCURRENCE + k),
							 (uint32) i};

			if ((++done & 0xFFFF) == 0)
				CHECK_FOR_INTERRUPTS();
			if (chosen->n < sample->limit)
				heap_push(chosen, item);
			else if (item_less(chosen, item, chosen->items[0]))
				heap_replace_top(chosen, item);
		}
}

static int
compare_slots(const void *a, const void *b)
{
	uint32 x = ((const HeapItem *) a)->slot;
	uint32 y = ((const HeapItem *) b)->slot;

	return x < y ? -1 : x > y;
}

/* Writes the chosen ones to the file, ascending by slot. */
static void
write_chosen(HbLoad *load, HbSample *sample, const Heap *chosen)
{
	uint64 freed = 0; /* blocks */

	for (uint64 i = 0; i < chosen->n; i++)
	{
		uint32 slot = chosen->items[i].slot;
		const char *record = record_of(sample, slot);

		while (freed < slot / sample->per_block)
			hb_pages_free(sample->blocks[freed++]);
		memcpy(hb_file_next(&load->file), record, load->record_bytes);
		hb_read_keep(load, &sample->slots[slot].meta,
					 load->moment_bytes > 0 ? record + MAXALIGN(load->record_bytes) : NULL);
	}
	while (freed < sample->nblocks)
		hb_pages_free(sample->blocks[freed++]);
}

/* Writes the sample to the file. */
void
hb_sample_finish(HbLoad *load)
{
	HbSample *sample = load->sample;
	Heap chosen;

	samplehash_destroy(sample->by_digest);
	choose_occurrences(load, sample, sample->heap.n, &chosen);
	pfree(sample->heap.items);
	qsort(chosen.items, chosen.n, sizeof(HeapItem), compare_slots);
	write_chosen(load, sample, &chosen);
	if (load->nrows < load->read)
		hb_load_note(load, "training uses " UINT64_FORMAT " of " UINT64_FORMAT " rows", load->nrows,
					 load->read);
	pfree(sample->slots);
	pfree(sample->blocks);
	pfree(chosen.items);
	load->sample = NULL;
}
