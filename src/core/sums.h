/*
 * sums.h - means and deviations of columns that come out the same in whatever order the rows come
 *
 * Rounded addition depends on its order.  So each deviation, and its square, is first rounded to a multiple of a quantum that
 * its column's range decides, and these are added as integers, which is exact: the idea of Demmel and Nguyen, Fast
 * Reproducible Floating-Point Summation (ARITH 2013), with one bin.  A deviation is kept within 2^-50 of half the column's range, a
 * square within 2^-50 of that one's square.
 *
 * Two passes over the rows in blocks: hb_sums_range() for all, hb_sums_scale(), hb_sums_add() for all.  NaN is a gap.
 */
#ifndef HB_SUMS_H
#define HB_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Neighbouring numbers of a record: floats where single, else doubles, from offset; the first is column first. */
typedef struct HbNumberRun
{
	bool single;
	int count;
	int first;
	size_t offset;
} HbNumberRun;

/* Arrays of one element a column. */
typedef struct HbSums
{
	int n;
	uint32_t pending; /* rows since the integers were last carried over */
	double *least;    /* of none: infinity */
	double *largest;  /* of none: -infinity */
	int64_t *missing; /* gaps */
	double *shift;    /* the middle of the range */
	double *scale;    /* a power of two; 0: no two values differ */
	uint64_t *sum;    /* of the pending rows, modulo 2^64 */
	uint64_t *squares;
	int64_t *sum_high; /* of those before: high * 2^32 + low */
	int64_t *sum_low;
	int64_t *squares_high;
	int64_t *squares_low;
} HbSums;

/* Deviations are from shift. */
typedef struct HbSum
{
	int64_t missing;
	double shift;
	double sum;
	double squares;
} HbSum;

/* What n columns take; the memory is the caller's. */
extern size_t hb_sums_bytes(int n);
extern void hb_sums_init(HbSums *sums, int n, void *memory);

/* records: n records, of each the run's numbers. */
extern void hb_sums_range(HbSums *sums, const HbNumberRun *run, const char *const *records, int n);
extern void hb_sums_scale(HbSums *sums);

/* All runs of these records at once.  n is at most HB_SUMS_ROWS. */
#define HB_SUMS_ROWS 4096
extern void
hb_sums_add(HbSums *sums, const HbNumberRun *runs, int nruns, const char *const *records, int n);

extern HbSum hb_sums_result(HbSums *sums, int column);

/* Of n values, from the sums of deviations from anything: the squared ones from their mean. */
static inline double
hb_sum_spread(double sum, double squares, double n)
{
	return squares - sum * (sum / n);
}

#endif /* HB_SUMS_H */
