/*
 * load_order.c - the target's classes, and the order of the rows
 *
 * Both are functions of the values alone: classes come in their type's order, rows in order of
 * (digest, target), so that the physical order of the table never shows.
 */
#include "pg/load_internal.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#define BUCKET_ROWS 1024
#define MOST_ROWS 8192 /* of a bucket that is sorted beside itself */
#define MOST_BITS 20   /* of the buckets */
#define DIGIT_BITS 11
#define FEW 32 /* items are sorted by insertion */

static void
check_class_count(HbLoad *load, uint64 n)
{
	load->nclasses = (uint32) n;
	if (n < 2)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("label column \"%s\" has only one class", load->plan->target.name)));
}

static float
enum_position(Oid type, const char *label)
{
	HeapTuple tuple =
		SearchSysCache2(ENUMTYPOIDNAME, ObjectIdGetDatum(type), CStringGetDatum(label));
	float position;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input value for enum %s: \"%s\"", format_type_be(type), label)));
	position = ((Form_pg_enum) GETSTRUCT(tuple))->enumsortorder;
	ReleaseSysCache(tuple);
	return position;
}

static int
compare_positions(const void *a, const void *b, void *arg)
{
	const float *positions = arg;
	float x = positions[*(const uint32 *) a], y = positions[*(const uint32 *) b];

	return x < y ? -1 : x > y;
}

static void
sort_enum_levels(HbLoad *load, uint32 *sorted)
{
	const HbDict *dict = load->target.dict;
	float *positions = palloc(sizeof(float) * dict->nlevels);

	for (uint32 i = 0; i < dict->nlevels; i++)
		positions[i] = enum_position(load->plan->target.type, dict->levels[i].label);
	qsort_arg(sorted, dict->nlevels, sizeof(uint32), compare_positions, positions);
}

/* Classes that the rows have: a sample may have lost some. */
static void
label_classes(HbLoad *load)
{
	HbDict *dict = load->target.dict;
	uint32 *sorted = hb_dict_sorted(dict);
	uint32 *codes = palloc_extended(sizeof(uint32) * Max((Size) dict->nlevels, 1), MCXT_ALLOC_HUGE);
	uint32 n = 0;

	if (load->target.op == HB_OP_ENUM)
		sort_enum_levels(load, sorted);
	for (uint64 i = 0; i < load->nrows; i++)
		dict->levels[load->rows[i].target.level].count++;
	load->labels = palloc0(sizeof(char *) * ((Size) dict->nlevels + 1));
	for (uint32 i = 0; i < dict->nlevels; i++)
	{
		const HbLevel *level = &dict->levels[sorted[i]];

		if (level->count == 0)
			continue;
		load->labels[n] = unconstify(char *, level->label);
		codes[sorted[i]] = n++;
	}
	check_class_count(load, n);
	for (uint64 i = 0; i < load->nrows; i++)
		load->rows[i].target.level = codes[load->rows[i].target.level];
}

static void
integer_classes(HbLoad *load)
{
	bool few = load->integers->n <= HB_AUTO_CLASSES;
	HbIntegers *set = hb_integers_create(few ? HB_AUTO_CLASSES : HB_MAX_CLASSES);

	for (uint64 i = 0; i < load->nrows; i++)
		hb_integers_add(set, load->rows[i].target.integer);
	if (set->n > HB_MAX_CLASSES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("label column \"%s\" has more than %d classes",
							   load->plan->target.name, HB_MAX_CLASSES)));
	check_class_count(load, set->n);
	hb_integers_sort(set);
	load->labels = palloc0(sizeof(char *) * ((Size) set->n + 1));
	for (uint32 i = 0; i < set->n; i++)
		load->labels[i] = psprintf(INT64_FORMAT, set->values[i]);
	for (uint64 i = 0; i < load->nrows; i++)
	{
		uint32 code = hb_integers_code(set, load->rows[i].target.integer);

		load->rows[i].target.integer = 0;
		load->rows[i].target.level = code;
	}
}

/* Decides the task, and turns the targets of a classification into class codes. */
void
hb_load_classes(HbLoad *load)
{
	HbLoadPlan *plan = load->plan;

	if (plan->task >= 0)
		load->task = (HbTask) plan->task;
	else if (plan->target_kind == HB_TARGET_LABEL)
		load->task = HB_TASK_CLASSIFICATION;
	else if (plan->target_kind == HB_TARGET_INTEGER && load->integers->n <= HB_AUTO_CLASSES)
		load->task = HB_TASK_CLASSIFICATION;
	else
		load->task = HB_TASK_REGRESSION;
	load->nclasses = 1;
	if (load->task == HB_TASK_REGRESSION)
		return;
	if (plan->target_kind == HB_TARGET_LABEL)
		label_classes(load);
	else
		integer_classes(load);
}

static int
compare_rows(const HbLoad *load, uint32 a, uint32 b)
{
	int order = hb_rows_compare(load, a, b);

	/* Rows that still compare as equal are equal in features and target: any order of them is the same. */
	if (order != 0)
		return order;
	if (load->task == HB_TASK_CLASSIFICATION)
	{
		uint32 x = load->rows[a].target.level, y = load->rows[b].target.level;

		return x < y ? -1 : x > y;
	}
	else
	{
		double x = hb_target_number(load, a), y = hb_target_number(load, b);

		return x < y ? -1 : x > y;
	}
}

/* A row's number below, and above it the 32 bits of its digest that follow those of its bucket. */
static int
compare_items(uint64 a, uint64 b, const HbLoad *load)
{
	if (a >> 32 != b >> 32)
		return a < b ? -1 : 1;
	return compare_rows(load, (uint32) a, (uint32) b);
}

static int
compare_item_pointers(const void *a, const void *b, void *arg)
{
	return compare_items(*(const uint64 *) a, *(const uint64 *) b, arg);
}

/* By insertion: no item is more than a few places from its own. */
static void
sort_nearly_sorted(const HbLoad *load, uint64 *items, uint32 n)
{
	for (uint32 i = 1; i < n; i++)
	{
		uint64 item = items[i];
		uint32 j = i;

		for (; j > 0 && compare_items(item, items[j - 1], load) < 0; j--)
			items[j] = items[j - 1];
		items[j] = item;
	}
}

/* Distributes n items by their leading bits; false, with the items as they were, where many of them share these. */
static bool
spread_items(const uint64 *items, uint32 n, uint64 *spread)
{
	uint32 start[1 << DIGIT_BITS] = {0}, total = 0, most = 0;

	for (uint32 i = 0; i < n; i++)
		start[items[i] >> (64 - DIGIT_BITS)]++;
	for (int digit = 0; digit < 1 << DIGIT_BITS; digit++)
	{
		uint32 count = start[digit];

		start[digit] = total;
		total += count;
		most = Max(most, count);
	}
	if (most > FEW)
		return false;
	for (uint32 i = 0; i < n; i++)
		spread[start[items[i] >> (64 - DIGIT_BITS)]++] = items[i];
	return true;
}

/* Digests are uniform, so these are about BUCKET_ROWS, but for tables of few distinct rows. */
static void
sort_bucket(HbLoad *load, uint64 *items, uint64 n, uint32 *order)
{
	uint64 spread[MOST_ROWS];
	const uint64 *sorted = items;

	if (n <= MOST_ROWS && spread_items(items, (uint32) n, spread))
	{
		sort_nearly_sorted(load, spread, (uint32) n);
		sorted = spread;
	}
	else
		qsort_arg(items, n, sizeof(uint64), compare_item_pointers, load);
	for (uint64 i = 0; i < n; i++)
		order[i] = (uint32) sorted[i];
}

/*
 * Rows are distributed into buckets by the leading bits of their digests, and each bucket, which the first-level cache holds,
 * by those that follow: linear time, and memory is passed over in order.
 */
void
hb_load_order(HbLoad *load)
{
	uint64 n = load->nrows, start = 0, *items = hb_pages_alloc(load->context, sizeof(uint64) * n);
	int bits = 1;
	uint32 *ends;

	while (bits < MOST_BITS && ((uint64) BUCKET_ROWS << bits) < n)
		bits++;
	ends = palloc0(sizeof(uint32) * (((Size) 1 << bits) + 1));
	for (uint64 i = 0; i < n; i++)
		ends[(load->rows[i].hash >> (64 - bits)) + 1]++;
	for (uint64 b = 1; b <= (uint64) 1 << bits; b++)
		ends[b] += ends[b - 1];
	for (uint64 i = 0; i < n; i++)
	{
		uint64 hash = load->rows[i].hash;

		items[ends[hash >> (64 - bits)]++] = (hash << bits >> 32 << 32) | i;
	}
	load->order = hb_pages_alloc(load->context, sizeof(uint32) * n);
	/* Filling has moved each bucket's start to its end. */
	for (uint64 b = 0; b < (uint64) 1 << bits; b++)
	{
		CHECK_FOR_INTERRUPTS();
		sort_bucket(load, items + start, ends[b] - start, load->order + start);
		start = ends[b];
	}
	hb_pages_free(items);
	pfree(ends);
}
