/*
 * load_dict.c - the distinct values of a column while it is read
 *
 * Labels are numbered as they come, which depends on the physical order of the rows; load_order.c
 * and load_finish.c turn these numbers into codes that do not.  Open addressing, linear probing.
 */
#include "pg/load_internal.h"

#include "miscadmin.h"

#define FIRST_SLOTS 256

HbDict *
hb_dict_create(MemoryContext context)
{
	MemoryContext before = MemoryContextSwitchTo(context);
	HbDict *dict = palloc0(sizeof(HbDict));

	dict->context = context;
	dict->capacity = FIRST_SLOTS / 2;
	dict->levels = palloc(sizeof(HbLevel) * dict->capacity);
	dict->slots = palloc0(sizeof(uint32) * FIRST_SLOTS);
	dict->mask = FIRST_SLOTS - 1;
	MemoryContextSwitchTo(before);
	return dict;
}

static void
dict_grow(HbDict *dict)
{
	Size nslots = 2 * ((Size) dict->mask + 1);

	dict->capacity *= 2;
	dict->levels = repalloc_huge(dict->levels, sizeof(HbLevel) * dict->capacity);
	pfree(dict->slots);
	dict->slots = MemoryContextAllocExtended(dict->context, sizeof(uint32) * nslots,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	dict->mask = (uint32) (nslots - 1);
	for (uint32 i = 0; i < dict->nlevels; i++)
	{
		uint32 slot = (uint32) dict->levels[i].hash.low & dict->mask;

		while (dict->slots[slot] != 0)
			slot = (slot + 1) & dict->mask;
		dict->slots[slot] = i + 1;
	}
}

static uint32
dict_insert(HbDict *dict, uint32 slot, const char *label, size_t length, HbHash128 hash)
{
	HbLevel *level = &dict->levels[dict->nlevels];
	char *copy = MemoryContextAlloc(dict->context, length + 1);

	memcpy(copy, label, length);
	copy[length] = '\0';
	level->label = copy;
	level->length = (uint32) length;
	level->count = 0;
	level->hash = hash;
	dict->bytes += length + 1 + sizeof(HbLevel) + 2 * sizeof(uint32);
	dict->slots[slot] = ++dict->nlevels;
	if (dict->nlevels == dict->capacity)
		dict_grow(dict);
	return dict->nlevels - 1;
}

uint32
hb_dict_add(HbDict *dict, const char *label, size_t length, HbHash128 hash)
{
	uint32 slot = (uint32) hash.low & dict->mask;

	while (dict->slots[slot] != 0)
	{
		const HbLevel *level = &dict->levels[dict->slots[slot] - 1];

		if (level->hash.low == hash.low && level->hash.high == hash.high &&
			level->length == length && memcmp(level->label, label, length) == 0)
			return dict->slots[slot] - 1;
		slot = (slot + 1) & dict->mask;
	}
	return dict_insert(dict, slot, label, length, hash);
}

static int
compare_labels(const void *a, const void *b, void *arg)
{
	const HbDict *dict = arg;

	return strcmp(dict->levels[*(const uint32 *) a].label, dict->levels[*(const uint32 *) b].label);
}

uint32 *
hb_dict_sorted(const HbDict *dict)
{
	uint32 *sorted =
		MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * Max((Size) dict->nlevels, 1));

	for (uint32 i = 0; i < dict->nlevels; i++)
		sorted[i] = i;
	qsort_arg(sorted, dict->nlevels, sizeof(uint32), compare_labels, unconstify(HbDict *, dict));
	return sorted;
}

static uint32
integers_slot(const HbIntegers *set, int64 value)
{
	uint64 mixed = (uint64) value * UINT64CONST(0x9E3779B97F4A7C15);
	uint32 slot = (uint32) (mixed >> 32) & set->mask;

	while (set->slots[slot] != 0 && set->values[set->slots[slot] - 1] != value)
		slot = (slot + 1) & set->mask;
	return slot;
}

HbIntegers *
hb_integers_create(uint32 limit)
{
	HbIntegers *set = palloc0(sizeof(HbIntegers));
	uint32 nslots = 64;

	while (nslots < 2 * (limit + 1))
		nslots *= 2;
	set->limit = limit;
	set->values = palloc(sizeof(int64) * (limit + 1));
	set->slots = palloc0(sizeof(uint32) * nslots);
	set->mask = nslots - 1;
	return set;
}

void
hb_integers_add(HbIntegers *set, int64 value)
{
	uint32 slot;

	if ((uint64) value < lengthof(set->small))
	{
		if (likely(set->small[value]))
			return;
		set->small[value] = 1;
	}
	if (set->n > set->limit)
		return;
	slot = integers_slot(set, value);
	if (set->slots[slot] != 0)
		return;
	set->values[set->n++] = value;
	set->slots[slot] = set->n;
}

static int
compare_integers(const void *a, const void *b)
{
	int64 x = *(const int64 *) a, y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

void
hb_integers_sort(HbIntegers *set)
{
	qsort(set->values, set->n, sizeof(int64), compare_integers);
	memset(set->slots, 0, sizeof(uint32) * ((Size) set->mask + 1));
	for (uint32 i = 0; i < set->n; i++)
		set->slots[integers_slot(set, set->values[i])] = i + 1;
}

uint32
hb_integers_code(const HbIntegers *set, int64 value)
{
	return set->slots[integers_slot(set, value)] - 1;
}
