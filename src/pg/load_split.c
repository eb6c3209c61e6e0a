/*
 * load_split.c - which rows train, validate and test
 *
 * A row validates where its digest lies below a threshold, so that equal rows of features never stand on
 * both sides and a row keeps its side when the table grows.  Where a class (or, in a regression, any row)
 * is missing on one side, whole groups of equal features move there in order of digest; where only one
 * group has the class, its rows are split by their number of occurrence.
 */
#include "pg/load_internal.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define PURPOSE_TEST 0x74657374

typedef struct Split
{
	HbLoad *load;
	uint32 *count[2];        /* [HB_PART_TRAIN or _VALIDATION][class] */
	uint64 *class_start;     /* by class: its first entry in class_positions */
	uint32 *class_positions; /* positions in order, ascending within a class */
	uint64 moved_groups;
	uint64 split_classes;
	uint64 single_classes;
} Split;

HbPart
hb_load_part(const HbLoad *load, HbHash128 hash)
{
	if (load->request->test > 0.0 &&
		hb_hash128_again(hash, load->request->split_seed, PURPOSE_TEST) < load->test.high)
		return HB_PART_TEST;
	return hb_hash128_compare(hash, load->validation) < 0 ? HB_PART_VALIDATION : HB_PART_TRAIN;
}

static inline uint32
class_at(const HbLoad *load, uint64 position)
{
	return load->task == HB_TASK_CLASSIFICATION ? load->rows[load->order[position]].target.level
												: 0;
}

static inline HbPart
part_at(const HbLoad *load, uint64 position)
{
	return hb_row_part(load, load->order[position]);
}

static inline bool
same_group(const HbLoad *load, uint64 a, uint64 b)
{
	return hb_rows_compare(load, load->order[a], load->order[b]) == 0;
}

/* Counts of each class on each side; true where some class misses a side. */
static bool
count_classes(Split *split)
{
	HbLoad *load = split->load;

	for (int part = HB_PART_TRAIN; part <= HB_PART_VALIDATION; part++)
		split->count[part] = palloc0(sizeof(uint32) * load->nclasses);
	for (uint64 i = 0; i < load->nrows; i++)
	{
		HbPart part = hb_row_part(load, i);

		if (part != HB_PART_TEST)
			split->count[part]
						[load->task == HB_TASK_CLASSIFICATION ? load->rows[i].target.level : 0]++;
	}
	for (uint32 c = 0; c < load->nclasses; c++)
		if (split->count[HB_PART_TRAIN][c] == 0 || split->count[HB_PART_VALIDATION][c] == 0)
			return true;
	return false;
}

/* Where each class's rows stand in the order: a counting sort. */
static void
index_classes(Split *split)
{
	HbLoad *load = split->load;
	uint64 *next;

	split->class_start = palloc0(sizeof(uint64) * ((Size) load->nclasses + 1));
	split->class_positions = palloc_extended(sizeof(uint32) * Max(load->nrows, 1), MCXT_ALLOC_HUGE);
	for (uint64 i = 0; i < load->nrows; i++)
		split->class_start[class_at(load, i) + 1]++;
	for (uint32 c = 0; c < load->nclasses; c++)
		split->class_start[c + 1] += split->class_start[c];
	next = palloc(sizeof(uint64) * load->nclasses);
	memcpy(next, split->class_start, sizeof(uint64) * load->nclasses);
	for (uint64 i = 0; i < load->nrows; i++)
		split->class_positions[next[class_at(load, i)]++] = (uint32) i;
	pfree(next);
}

static void
find_group(const HbLoad *load, uint64 position, uint64 *first, uint64 *end)
{
	*first = position;
	*end = position + 1;
	while (*first > 0 && same_group(load, *first - 1, position))
		--*first;
	while (*end < load->nrows && same_group(load, *end, position))
		++*end;
}

/* Whether every class keeps a row on its side when the group first..end-1 leaves it; spared need not. */
static bool
can_leave(const Split *split, uint64 first, uint64 end, HbPart from, int64 spared)
{
	for (uint64 i = first; i < end;)
	{
		uint32 class = class_at(split->load, i);
		uint32 n = 0;

		/* Within a group rows are in order of class. */
		for (; i < end && class_at(split->load, i) == class; i++)
			n += part_at(split->load, i) == from;
		if (n > 0 && split->count[from][class] <= n && class != spared)
			return false;
	}
	return true;
}

static void
move_row(Split *split, uint64 position, HbPart from, HbPart to)
{
	uint32 class = class_at(split->load, position);
	uint32 *tail = &split->load->tails[split->load->order[position]];

	if (part_at(split->load, position) != from)
		return;
	*tail = *tail >> HB_PART_BITS << HB_PART_BITS | (uint32) to;
	split->count[from][class]--;
	split->count[to][class]++;
	split->load->count[from]--;
	split->load->count[to]++;
}

static bool
move_group(Split *split, uint32 class, HbPart from, HbPart to, int64 spared)
{
	HbLoad *load = split->load;
	uint64 first, end = 0;

	for (uint64 i = split->class_start[class]; i < split->class_start[class + 1]; i++)
	{
		uint64 position = split->class_positions[i];

		if (position < end || part_at(load, position) != from)
			continue;
		find_group(load, position, &first, &end);
		if (!can_leave(split, first, end, from, spared))
			continue;
		for (uint64 j = first; j < end; j++)
			move_row(split, j, from, to);
		split->moved_groups++;
		return true;
	}
	return false;
}

/* Splits the rows of a class that only one group has. */
static void
split_occurrences(Split *split, uint32 class, HbPart from, HbPart to)
{
	double fraction = split->load->request->validation;
	int64 n = split->count[from][class];
	int64 moving;

	if (to == HB_PART_TRAIN)
		fraction = 1.0 - fraction;
	moving = (int64) rint(fraction * n);
	moving = Max(1, Min(moving, n - 1));
	for (uint64 i = split->class_start[class]; moving > 0; i++)
	{
		uint64 position = split->class_positions[i];

		if (part_at(split->load, position) != from)
			continue;
		move_row(split, position, from, to);
		moving--;
	}
	split->split_classes++;
}

static void
repair_class(Split *split, uint32 class)
{
	uint32 train = split->count[HB_PART_TRAIN][class];
	uint32 validation = split->count[HB_PART_VALIDATION][class];
	HbPart from = train == 0 ? HB_PART_VALIDATION : HB_PART_TRAIN;
	HbPart to = train == 0 ? HB_PART_TRAIN : HB_PART_VALIDATION;

	if ((train > 0 && validation > 0) || train + validation == 0)
		return;
	if (train + validation == 1)
	{
		/* One row cannot be on both sides; it serves training, if that does not strip another class. */
		split->single_classes++;
		if (train == 0)
			(void) move_group(split, class, from, to, class);
		return;
	}
	if (!move_group(split, class, from, to, -1))
		split_occurrences(split, class, from, to);
}

/* A class that lacks a side gets some of its rows there; its only row trains. */
static void
repair_by_occurrence(Split *split, uint32 class)
{
	uint32 train = split->count[HB_PART_TRAIN][class];
	uint32 validation = split->count[HB_PART_VALIDATION][class];

	if (train + validation == 1 && train == 0)
		for (uint64 i = split->class_start[class]; i < split->class_start[class + 1]; i++)
			move_row(split, split->class_positions[i], HB_PART_VALIDATION, HB_PART_TRAIN);
	else if (train + validation > 1 && train == 0)
		split_occurrences(split, class, HB_PART_VALIDATION, HB_PART_TRAIN);
	else if (train + validation > 1 && validation == 0)
		split_occurrences(split, class, HB_PART_TRAIN, HB_PART_VALIDATION);
}

static void
repair_classes(Split *split, void (*repair)(Split *split, uint32 class))
{
	if (split->class_start == NULL)
		index_classes(split);
	for (uint32 c = 0; c < split->load->nclasses; c++)
	{
		if ((c & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		repair(split, c);
	}
}

/*
 * Where only one distinct row is left to train on while validation has others, no feature varies any more: each
 * group is split by number of occurrence instead.  false: not so.
 */
static bool
split_groups(Split *split)
{
	HbLoad *load = split->load;
	uint64 training = 0, end;

	for (uint64 first = 0; first < load->nrows && training < 2; first = end)
	{
		end = first + 1;
		while (end < load->nrows && same_group(load, first, end))
			end++;
		for (uint64 i = first; i < end; i++)
			if (part_at(load, i) == HB_PART_TRAIN)
			{
				training++;
				break;
			}
	}
	if (training >= 2)
		return false;
	for (uint64 first = 0; first < load->nrows; first = end)
	{
		int64 n, validating;

		end = first + 1;
		while (end < load->nrows && same_group(load, first, end))
			end++;
		n = (int64) (end - first);
		if (n < 2 || part_at(load, first) == HB_PART_TEST)
			continue;
		validating = (int64) rint(load->request->validation * n);
		validating = Max(1, Min(validating, n - 1));
		/* evenly: within a group rows are in order of their target */
		for (int64 i = 0; i < n; i++)
		{
			bool validates = (i + 1) * validating / n > i * validating / n;
			HbPart to = validates ? HB_PART_VALIDATION : HB_PART_TRAIN;

			move_row(split, first + i, to == HB_PART_TRAIN ? HB_PART_VALIDATION : HB_PART_TRAIN,
					 to);
		}
		split->split_classes++;
	}
	return true;
}

static void
note_repairs(Split *split)
{
	HbLoad *load = split->load;

	if (split->moved_groups > 0)
		hb_load_note(load,
					 "groups of equal rows moved between training and validation, so that neither "
					 "lacks a class: " UINT64_FORMAT,
					 split->moved_groups);
	if (split->split_classes > 0)
		hb_load_note(load,
					 "rows of equal features are in both training and validation, since there are "
					 "too few distinct rows");
	if (split->single_classes > 0)
		hb_load_note(load, "classes of column \"%s\" that have a single row: " UINT64_FORMAT,
					 load->plan->target.name, split->single_classes);
}

void
hb_load_split(HbLoad *load)
{
	Split split = {.load = load};
	uint64 usable;

	usable = load->count[HB_PART_TRAIN] + load->count[HB_PART_VALIDATION];
	if (usable < HB_MIN_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("not enough rows to train"),
				 errdetail("Found " UINT64_FORMAT ", need at least %d.", usable, HB_MIN_ROWS)));
	if (count_classes(&split))
		repair_classes(&split, repair_class);
	/* after that, since a repair may leave one distinct row to train on; then groups are split already */
	if (split_groups(&split) && count_classes(&split))
		repair_classes(&split, repair_by_occurrence);
	if (load->count[HB_PART_VALIDATION] == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("not enough rows to validate"),
				 errdetail("Classes of column \"%s\" that have a single row: " UINT64_FORMAT ".",
						   load->plan->target.name, split.single_classes)));
	note_repairs(&split);
}
