/*
 * load_count.c - sums over the training rows that means, deviations and the choice of levels need
 *
 * In row order, in double around each column's first value; an array column's are combined from its rows' by the
 * pairwise formula of Chan, Golub and LeVeque (1979), bytes from exact integer sums.  Neighbouring columns of one
 * type are summed side by side: each has its own sum, so the vectors give the bits of the plain loop.
 */
#include "pg/load_internal.h"

#include <math.h>

#include "miscadmin.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NULL_LEVEL UINT32_MAX

/* Neighbouring numbers of a record. */
typedef struct CountRun
{
	bool single;
	int count;
	int first; /* of the sums */
	uint32 offset;
} CountRun;

typedef struct Counting
{
	HbLoad *load;
	HbColumnStats *stats;
	CountRun *runs;
	int nruns;
	int nnumbers;
	int *columns;  /* by number: its column */
	double *shift; /* by number, and so on */
	double *sum;
	double *squares;
	int64 *missing;
	int *categories;
	int ncategories;
} Counting;

/* ---- numbers ---- */

#define DEFINE_COUNT(name, type)                                                                   \
	static void name(const char *fields, int start, int n, const double *restrict shift,           \
					 double *restrict sum, double *restrict squares, int64 *restrict missing)      \
	{                                                                                              \
		for (int i = start; i < n; i++)                                                            \
		{                                                                                          \
			type value;                                                                            \
			double d;                                                                              \
                                                                                                   \
			memcpy(&value, fields + i * sizeof(type), sizeof(type));                               \
			d = (double) value - shift[i];                                                         \
			missing[i] += d != d;                                                                  \
			d = d == d ? d : 0.0;                                                                  \
			sum[i] += d;                                                                           \
			squares[i] += d * d;                                                                   \
		}                                                                                          \
	}

DEFINE_COUNT(count_singles, float)
DEFINE_COUNT(count_doubles, double)

#if defined(__x86_64__)
/* The loops above, four columns a step (no fused multiply-add: the same roundings); returns how many are done. */
#define DEFINE_COUNT_AVX2(name, type, LOAD)                                                        \
	__attribute__((target("avx2"))) static int name(const char *fields, int n,                     \
													const double *shift, double *sum,              \
													double *squares, int64 *missing)               \
	{                                                                                              \
		int i = 0;                                                                                 \
                                                                                                   \
		for (; i + 4 <= n; i += 4)                                                                 \
		{                                                                                          \
			__m256d d = _mm256_sub_pd(LOAD((const type *) (const void *) fields + i),              \
									  _mm256_loadu_pd(shift + i));                                 \
			__m256d gone = _mm256_cmp_pd(d, d, _CMP_UNORD_Q);                                      \
			__m256i *m = (__m256i *) (missing + i);                                                \
                                                                                                   \
			_mm256_storeu_si256(                                                                   \
				m, _mm256_sub_epi64(_mm256_loadu_si256(m), _mm256_castpd_si256(gone)));            \
			d = _mm256_andnot_pd(gone, d);                                                         \
			_mm256_storeu_pd(sum + i, _mm256_add_pd(_mm256_loadu_pd(sum + i), d));                 \
			_mm256_storeu_pd(squares + i,                                                          \
							 _mm256_add_pd(_mm256_loadu_pd(squares + i), _mm256_mul_pd(d, d)));    \
		}                                                                                          \
		return i;                                                                                  \
	}

#define LOAD_SINGLES(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
DEFINE_COUNT_AVX2(count_singles_avx2, float, LOAD_SINGLES)
DEFINE_COUNT_AVX2(count_doubles_avx2, double, _mm256_loadu_pd)
#endif

static inline void
count_run(Counting *c, const CountRun *run, const char *record, bool vectors)
{
	const char *fields = record + run->offset;
	const double *shift = c->shift + run->first;
	double *sum = c->sum + run->first, *squares = c->squares + run->first;
	int64 *missing = c->missing + run->first;
	int done = 0;

#if defined(__x86_64__)
	if (vectors)
		done = (run->single ? count_singles_avx2 : count_doubles_avx2)(fields, run->count, shift,
																	   sum, squares, missing);
#endif
	(run->single ? count_singles : count_doubles)(fields, done, run->count, shift, sum, squares,
												  missing);
}

static double
number_at(const char *field, bool single)
{
	float narrow;
	double number;

	if (!single)
	{
		memcpy(&number, field, sizeof(number));
		return number;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

/* Each column's shift is its first value that is there. */
static void
find_shifts(Counting *c, const uint32 *rows, uint64 n, const char *records)
{
	HbLoad *load = c->load;

	for (int k = 0; k < c->nnumbers; k++)
	{
		const HbLoadColumn *column = &load->columns[c->columns[k]];

		for (uint64 i = 0; i < n; i++)
		{
			double value = number_at(records + (Size) rows[i] * load->record_bytes + column->offset,
									 column->single);

			if ((i & 0xFFFF) == 0)
				CHECK_FOR_INTERRUPTS();
			if (value == value)
			{
				c->shift[k] = value;
				break;
			}
		}
	}
}

static void
add_number(Counting *c, int index)
{
	const HbLoadColumn *column = &c->load->columns[index];
	CountRun *last = c->nruns > 0 ? &c->runs[c->nruns - 1] : NULL;
	uint32 width = column->single ? sizeof(float) : sizeof(double);

	if (last != NULL && last->single == column->single &&
		last->offset + last->count * width == column->offset)
		last->count++;
	else
		c->runs[c->nruns++] = (CountRun){
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

	c->runs = palloc(sizeof(CountRun) * n);
	c->columns = palloc(sizeof(int) * n);
	c->categories = palloc(sizeof(int) * n);
	c->shift = palloc0(sizeof(double) * n);
	c->sum = palloc0(sizeof(double) * n);
	c->squares = palloc0(sizeof(double) * n);
	c->missing = palloc0(sizeof(int64) * n);
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
keep_sums(Counting *c, uint64 rows)
{
	for (int k = 0; k < c->nnumbers; k++)
		c->stats[c->columns[k]] = (HbColumnStats){.n = rows - c->missing[k],
												  .missing = c->missing[k],
												  .shift = c->shift[k],
												  .sum = c->sum[k],
												  .squares = c->squares[k]};
}

/* ---- categories and arrays ---- */

static inline void
count_level(HbColumnStats *stats, HbDict *dict, const char *field)
{
	uint32 level;

	memcpy(&level, field, sizeof(level));
	if (level == NULL_LEVEL)
		stats->missing++;
	else
		dict->levels[level].count++;
}

static inline void
count_moments(HbColumnStats *stats, const HbLoadColumn *column, const char *moments)
{
	HbMoments row;

	memcpy(&row, moments + column->moments, sizeof(row));
	if (isnan(row.mean))
	{
		stats->missing++;
		return;
	}
	if (column->op == HB_OP_BYTES)
	{
		/* exact: sums of integers below 2^53 */
		stats->sum += row.mean;
		stats->squares += row.squares;
	}
	else
	{
		double n = (double) stats->n, m = column->length, delta = row.mean - stats->sum;

		stats->sum += delta * m / (n + m);
		stats->squares += row.squares + delta * delta * n * m / (n + m);
	}
	stats->n += column->length;
}

/* Sums of bytes are exact in any order, so they are taken in the one that memory likes. */
static void
count_byte_columns(Counting *c)
{
	HbLoad *load = c->load;

	for (int i = 0; i < load->ncolumns; i++)
		if (load->columns[i].op == HB_OP_BYTES)
			for (uint64 row = 0; row < load->nrows; row++)
				if (hb_row_part(load, row) == HB_PART_TRAIN)
					count_moments(&c->stats[i], &load->columns[i],
								  load->moments + (Size) row * load->moment_bytes);
}

static void
count_float_columns(Counting *c, const uint32 *rows, uint64 n)
{
	HbLoad *load = c->load;

	for (int i = 0; i < load->ncolumns; i++)
		if (load->columns[i].op == HB_OP_FLOATS)
			for (uint64 k = 0; k < n; k++)
				count_moments(&c->stats[i], &load->columns[i],
							  load->moments + (Size) rows[k] * load->moment_bytes);
}

/* ---- all of it ---- */

static inline void
prefetch_record(const char *record, uint32 bytes)
{
	uint32 reach = Min(bytes, 512);

	for (uint32 line = 0; line < reach; line += 64)
		__builtin_prefetch(record + line);
	__builtin_prefetch(record + reach - 1);
}

static void
count_scalars(Counting *c, const uint32 *rows, uint64 n, const char *records)
{
	HbLoad *load = c->load;
	bool vectors = false;

#if defined(__x86_64__)
	vectors = __builtin_cpu_supports("avx2");
#endif
	for (uint64 i = 0; i < n; i++)
	{
		const char *record = records + (Size) rows[i] * load->record_bytes;

		if ((i & 0xFFFF) == 0)
			CHECK_FOR_INTERRUPTS();
		if (i + HB_ROWS_AHEAD < n)
			prefetch_record(records + (Size) rows[i + HB_ROWS_AHEAD] * load->record_bytes,
							load->record_bytes);
		for (int r = 0; r < c->nruns; r++)
			count_run(c, &c->runs[r], record, vectors);
		for (int k = 0; k < c->ncategories; k++)
		{
			const HbLoadColumn *column = &load->columns[c->categories[k]];

			count_level(&c->stats[c->categories[k]], column->dict, record + column->offset);
		}
	}
}

HbColumnStats *
hb_load_count(HbLoad *load, const uint32 *rows, uint64 n, const char *records)
{
	Counting c = {.load = load, .stats = palloc0(sizeof(HbColumnStats) * load->ncolumns)};

	find_runs(&c);
	count_byte_columns(&c);
	count_float_columns(&c, rows, n);
	if (c.nnumbers > 0)
		find_shifts(&c, rows, n, records);
	if (c.nnumbers + c.ncategories > 0)
		count_scalars(&c, rows, n, records);
	keep_sums(&c, n);
	return c.stats;
}
