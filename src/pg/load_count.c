/*
 * load_count.c - sums over the training rows that means, deviations and the choice of levels need
 *
 * Rows are visited as they lie, which is what memory likes, and the sums do not show in which order that is (core/sums.h).
 * An array column's are combined from its rows': the squared deviations within the rows, and those of the rows' means.
 */
#include "pg/load_internal.h"

#include <math.h>

#include "core/sums.h"
#include "miscadmin.h"

/* Rows that are summed together: their numbers stay in the first-level cache unless they are many. */
#define BLOCK_ROWS 64
#define BYTES_AHEAD 8192 /* rows are asked for: left alone, the hardware begins anew in each page */

typedef struct Counting
{
	HbLoad *load;
	HbColumnStats *stats;
	HbNumberRun *runs;
	int nruns;
	int nnumbers;
	int *columns; /* by number: its column */
	int *categories;
	int ncategories;
	HbSums sums;
} Counting;

typedef void (*VisitBlock)(Counting *c, const char *const *rows, int n);

/* Every training row, which are width bytes apart from base. */
static void
visit_blocks(Counting *c, const char *base, size_t width, VisitBlock visit)
{
	const HbLoad *load = c->load;
	const char *block[BLOCK_ROWS];
	int n = 0;

	for (uint64 row = 0; row < load->nrows; row++)
	{
		if ((row & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		if (hb_row_part(load, row) != HB_PART_TRAIN)
			continue;
		block[n++] = base + row * width;
		for (size_t line = 0; line < width; line += 64)
			__builtin_prefetch(base + row * width + BYTES_AHEAD + line);
		if (n == BLOCK_ROWS)
		{
			visit(c, block, n);
			n = 0;
		}
	}
	visit(c, block, n);
}

static inline void
count_level(HbColumnStats *stats, HbDict *dict, const char *field)
{
	uint32 level;

	memcpy(&level, field, sizeof(level));
	if (level == HB_NULL_LEVEL)
		stats->missing++;
	else
		dict->levels[level].count++;
}

static void
count_categories(Counting *c, const char *const *rows, int n)
{
	for (int r = 0; r < n; r++)
		for (int k = 0; k < c->ncategories; k++)
		{
			const HbLoadColumn *column = &c->load->columns[c->categories[k]];

			count_level(&c->stats[c->categories[k]], column->dict, rows[r] + column->offset);
		}
}

/* The first of two visits. */
static void
visit_ranges(Counting *c, const char *const *rows, int n)
{
	for (int i = 0; i < c->nruns; i++)
		hb_sums_range(&c->sums, &c->runs[i], rows, n);
	count_categories(c, rows, n);
}

static void
visit_sums(Counting *c, const char *const *rows, int n)
{
	hb_sums_add(&c->sums, c->runs, c->nruns, rows, n);
}

static void
sum_numbers(Counting *c, const char *base, size_t width)
{
	hb_sums_init(&c->sums, c->nnumbers, palloc(hb_sums_bytes(c->nnumbers)));
	visit_blocks(c, base, width, visit_ranges);
	hb_sums_scale(&c->sums);
	if (c->nnumbers > 0)
		visit_blocks(c, base, width, visit_sums);
}

/* ---- numbers and categories, in the records ---- */

static void
add_number(Counting *c, int index)
{
	const HbLoadColumn *column = &c->load->columns[index];
	HbNumberRun *last = c->nruns > 0 ? &c->runs[c->nruns - 1] : NULL;
	size_t width = column->single ? sizeof(float) : sizeof(double);

	if (last != NULL && last->single == column->single &&
		last->offset + last->count * width == column->offset)
		last->count++;
	else
		c->runs[c->nruns++] = (HbNumberRun){
			.single = column->single, .count = 1, .first = c->nnumbers, .offset = column->offset};
	c->columns[c->nnumbers++] = index;
}

static int
compare_offsets(const void *a, const void *b, void *arg)
{
	const HbLoadColumn *columns = arg;
	uint32 x = columns[*(const int *) a].offset, y = columns[*(const int *) b].offset;

	return x < y ? -1 : x > y;
}

static void
find_runs(Counting *c)
{
	HbLoad *load = c->load;
	int n = load->ncolumns;
	int *by_offset = palloc(sizeof(int) * n);

	c->runs = palloc(sizeof(HbNumberRun) * n);
	c->columns = palloc(sizeof(int) * n);
	c->categories = palloc(sizeof(int) * n);
	for (int i = 0; i < n; i++)
		by_offset[i] = i;
	qsort_arg(by_offset, n, sizeof(int), compare_offsets, load->columns);
	for (int i = 0; i < n; i++)
	{
		const HbLoadColumn *column = &load->columns[by_offset[i]];

		if (column->dict != NULL)
			c->categories[c->ncategories++] = by_offset[i];
		else if (!column->flagged)
			add_number(c, by_offset[i]);
	}
}

static void
count_scalars(Counting *c, const char *records)
{
	HbLoad *load = c->load;

	find_runs(c);
	if (c->nnumbers + c->ncategories == 0)
		return;
	sum_numbers(c, records, load->record_bytes);
	for (int k = 0; k < c->nnumbers; k++)
	{
		HbSum sum = hb_sums_result(&c->sums, k);

		c->stats[c->columns[k]] = (HbColumnStats){.n = load->count[HB_PART_TRAIN] - sum.missing,
												  .missing = sum.missing,
												  .shift = sum.shift,
												  .sum = sum.sum,
												  .squares = sum.squares};
	}
}

/* ---- arrays, of each row HbMoments ---- */

/* Sum over the rows that have one. */
static double
total(HbSum sum, uint64 present)
{
	return sum.shift * present + sum.sum;
}

static void
combine_rows(HbColumnStats *stats, const HbLoadColumn *column, uint64 rows, HbSum means,
			 HbSum squares)
{
	uint64 present = rows - means.missing;
	double length = column->length;

	stats->missing = means.missing;
	stats->n = present * column->length;
	if (present == 0)
		return;
	if (column->op == HB_OP_BYTES)
	{
		/* of sums, and of squares; exact: integers below 2^53 */
		stats->sum = total(means, present);
		stats->squares = total(squares, present);
	}
	else
	{
		stats->sum = total(means, present) / present;
		stats->squares =
			total(squares, present) + length * hb_sum_spread(means.sum, means.squares, present);
	}
}

static void
count_arrays(Counting *c)
{
	HbLoad *load = c->load;
	HbNumberRun run = {.count = load->moment_bytes / sizeof(double)};

	c->runs = &run;
	c->nruns = 1;
	c->nnumbers = run.count;
	c->ncategories = 0;
	sum_numbers(c, load->moments, load->moment_bytes);
	for (int i = 0; i < load->ncolumns; i++)
	{
		const HbLoadColumn *column = &load->columns[i];
		int first = column->moments / sizeof(double);

		if (column->flagged)
			combine_rows(&c->stats[i], column, load->count[HB_PART_TRAIN],
						 hb_sums_result(&c->sums, first), hb_sums_result(&c->sums, first + 1));
	}
}

HbColumnStats *
hb_load_count(HbLoad *load, const char *records)
{
	Counting scalars = {.load = load, .stats = palloc0(sizeof(HbColumnStats) * load->ncolumns)};
	Counting arrays = {.load = load, .stats = scalars.stats};

	count_scalars(&scalars, records);
	if (load->moment_bytes > 0)
		count_arrays(&arrays);
	return scalars.stats;
}
