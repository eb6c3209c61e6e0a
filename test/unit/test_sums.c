/*
 * test_sums.c - sums that do not depend on the order of the rows, beside a long double's
 */
#include "core/rng.h"
#include "core/sums.h"

#include "tap.h"

#define COLUMNS 11 /* seven floats, four doubles: vectors and what is left of them */
#define FLOATS 7
#define ROWS 10007 /* more than are added before the integers are carried over */
#define WIDTH (FLOATS * sizeof(float) + 4 + 4 * sizeof(double))

static char rows[ROWS][WIDTH];
static const char *order[ROWS];
static const HbNumberRun runs[2] = {
	{.single = true, .count = FLOATS, .first = 0, .offset = 0},
	{.single = false, .count = 4, .first = FLOATS, .offset = FLOATS * sizeof(float) + 4}};

static double
number(const char *row, int k)
{
	float narrow;
	double wide;

	if (k < FLOATS)
	{
		memcpy(&narrow, row + k * sizeof(float), sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, row + runs[1].offset + (k - FLOATS) * sizeof(double), sizeof(wide));
	return wide;
}

static void
set_number(char *row, int k, double value)
{
	float narrow = (float) value;

	if (k < FLOATS)
		memcpy(row + k * sizeof(float), &narrow, sizeof(narrow));
	else
		memcpy(row + runs[1].offset + (k - FLOATS) * sizeof(double), &value, sizeof(value));
}

static double
uniform(uint32_t row, uint32_t k)
{
	return hb_random_uniform(1, HB_STREAM_SIMULATE, k, row);
}

/* Columns of all kinds: far from zero, tiny, huge, with gaps, constant, with one value far away. */
static void
make_rows(void)
{
	for (int r = 0; r < ROWS; r++)
	{
		order[r] = rows[r];
		for (int k = 0; k < COLUMNS; k++)
		{
			double u = uniform(r, k), value = u;

			switch (k)
			{
				case 1:
				case 8:
					value = 1e6 + u;
					break;
				case 2:
					value = u * 1e-38;
					break;
				case 3:
					value = (u - 0.5) * 3e38;
					break;
				case 4:
				case 9:
					value = u < 0.25 ? NAN : u;
					break;
				case 5:
					value = 42;
					break;
				case 6:
					value = r == 17 ? 1e9 : u;
					break;
				case 10:
					value = u * 1e-150;
					break;
			}
			set_number(rows[r], k, value);
		}
	}
}

static HbSums
sums_of(const char **in_order, int block, void *memory)
{
	HbSums sums;

	hb_sums_init(&sums, COLUMNS, memory);
	for (int at = 0; at < ROWS; at += block)
		for (int run = 0; run < 2; run++)
			hb_sums_range(&sums, &runs[run], in_order + at, ROWS - at < block ? ROWS - at : block);
	hb_sums_scale(&sums);
	for (int at = 0; at < ROWS; at += block)
		hb_sums_add(&sums, runs, 2, in_order + at, ROWS - at < block ? ROWS - at : block);
	return sums;
}

static void
test_values(void)
{
	void *memory = malloc(hb_sums_bytes(COLUMNS));
	HbSums sums = sums_of(order, 64, memory);

	for (int k = 0; k < COLUMNS; k++)
	{
		HbSum sum = hb_sums_result(&sums, k);
		long double total = 0, squares = 0;
		long n = 0;

		for (int r = 0; r < ROWS; r++)
		{
			long double d = (long double) number(rows[r], k) - sum.shift;

			if (isnan(number(rows[r], k)))
				continue;
			total += d;
			squares += d * d;
			n++;
		}
		is_int(sum.missing, ROWS - n, "column %d: gaps are counted", k);
		ok(fabsl(sum.sum - total) <= 1e-12L * sqrtl(squares * n),
		   "column %d: the sum of deviations, %.17g", k, sum.sum);
		ok(fabsl(sum.squares - squares) <= 1e-12L * squares,
		   "column %d: the sum of their squares, %.17g", k, sum.squares);
	}
	free(memory);
}

/* The same bits whatever the order, and however many rows come at once. */
static void
test_order(void)
{
	static const int blocks[] = {1, 3, 64, 1000, HB_SUMS_ROWS};
	static const char *other[ROWS];
	void *memory = malloc(hb_sums_bytes(COLUMNS)), *again = malloc(hb_sums_bytes(COLUMNS));
	HbSums sums = sums_of(order, 64, memory);

	for (int b = 0; b < 5; b++)
	{
		HbSums moved;
		int same = 1;

		for (int r = 0; r < ROWS; r++)
			other[r] = rows[(int) ((long) r * 4999 + 77 * b) % ROWS];
		moved = sums_of(other, blocks[b], again);
		for (int k = 0; k < COLUMNS; k++)
		{
			HbSum x = hb_sums_result(&sums, k), y = hb_sums_result(&moved, k);

			same &= memcmp(&x, &y, sizeof(x)) == 0;
		}
		ok(same, "another order, %d rows at a time: the same bits", blocks[b]);
	}
	free(memory);
	free(again);
}

/* Integers come out exactly. */
static void
test_exact(void)
{
	double values[300];
	const char *places[300];
	HbNumberRun run = {.count = 1};
	long long total = 0, squares = 0;
	char memory[11 * sizeof(double)];
	HbSums sums;
	HbSum sum;

	for (int i = 0; i < 300; i++)
	{
		values[i] = (i * 7919) % 199920;
		places[i] = (const char *) &values[i];
		total += (long long) values[i];
		squares += (long long) values[i] * (long long) values[i];
	}
	hb_sums_init(&sums, 1, memory);
	hb_sums_range(&sums, &run, places, 300);
	hb_sums_scale(&sums);
	hb_sums_add(&sums, &run, 1, places, 300);
	sum = hb_sums_result(&sums, 0);
	is_int(sum.shift * 300 + sum.sum, total, "a sum of integers is exact");
	is_near(sum.squares + 2 * sum.shift * sum.sum + 300 * sum.shift * sum.shift, (double) squares,
			1e-3, "and that of their squares but for the last bits");
}

static void
test_none(void)
{
	char memory[11 * sizeof(double)];
	double gap = NAN, zero = -0.0;
	const char *gaps[2] = {(const char *) &gap, (const char *) &gap};
	const char *zeros[2] = {(const char *) &zero, (const char *) &zero};
	HbNumberRun run = {.count = 1};
	HbSums sums;
	HbSum sum;

	hb_sums_init(&sums, 1, memory);
	hb_sums_range(&sums, &run, gaps, 2);
	hb_sums_scale(&sums);
	hb_sums_add(&sums, &run, 1, gaps, 2);
	sum = hb_sums_result(&sums, 0);
	ok(sum.missing == 2 && sum.shift == 0 && sum.sum == 0 && sum.squares == 0,
	   "a column of gaps has no range and no sums");
	hb_sums_init(&sums, 1, memory);
	hb_sums_range(&sums, &run, zeros, 2);
	hb_sums_scale(&sums);
	hb_sums_add(&sums, &run, 1, zeros, 2);
	sum = hb_sums_result(&sums, 0);
	ok(!signbit(sum.shift) && sum.sum == 0 && sum.squares == 0, "minus zero is zero");
}

int
main(void)
{
	make_rows();
	test_values();
	test_order();
	test_exact();
	test_none();
	return tap_done();
}
