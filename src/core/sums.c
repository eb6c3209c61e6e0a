/*
 * sums.c - means and deviations of columns that come out the same in whatever order the rows come: see sums.h
 *
 * A number to be rounded to an integer is added to 1.5 * 2^52: the sum's bits, as an integer, are then those of that constant
 * and the integer, and can be added as they are.  Vectors give the bits of the plain loops.
 */
#include "core/sums.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define ROUNDER 6755399441055744.0 /* 1.5 * 2^52 */
#define ROUNDER_BITS 0x4338000000000000ULL

/* |deviation * scale| is at most 2^25: so are deviations 2^50 quanta at most, squares, too, and HB_SUMS_ROWS of them 2^62. */
#define HALF_BITS 25
#define HALF ((double) (1 << HALF_BITS))

#define SUMS_ARRAYS 11

size_t
hb_sums_bytes(int n)
{
	return (size_t) n * SUMS_ARRAYS * sizeof(double);
}

void
hb_sums_init(HbSums *sums, int n, void *memory)
{
	double *numbers = memory;
	int64_t *integers;

	memset(memory, 0, hb_sums_bytes(n));
	sums->n = n;
	sums->pending = 0;
	sums->least = numbers;
	sums->largest = numbers + n;
	sums->shift = numbers + 2 * (size_t) n;
	sums->scale = numbers + 3 * (size_t) n;
	integers = (int64_t *) (numbers + 4 * (size_t) n);
	sums->missing = integers;
	sums->sum = (uint64_t *) (integers + (size_t) n);
	sums->squares = (uint64_t *) (integers + 2 * (size_t) n);
	sums->sum_high = integers + 3 * (size_t) n;
	sums->sum_low = integers + 4 * (size_t) n;
	sums->squares_high = integers + 5 * (size_t) n;
	sums->squares_low = integers + 6 * (size_t) n;
	for (int k = 0; k < n; k++)
	{
		sums->least[k] = INFINITY;
		sums->largest[k] = -INFINITY;
	}
}

static inline uint64_t
rounded_bits(double value)
{
	double moved = value + ROUNDER;
	uint64_t bits;

	memcpy(&bits, &moved, sizeof(bits));
	return bits;
}

/* Columns start.. of the run. */
#define DEFINE_PLAIN(suffix, type)                                                                 \
	static void range_##suffix(HbSums *sums, const HbNumberRun *run, int start,                    \
							   const char *const *records, int n)                                  \
	{                                                                                              \
		for (int i = start; i < run->count; i++)                                                   \
		{                                                                                          \
			int k = run->first + i;                                                                \
			double least = sums->least[k], largest = sums->largest[k];                             \
			int64_t missing = 0;                                                                   \
                                                                                                   \
			for (int r = 0; r < n; r++)                                                            \
			{                                                                                      \
				type value;                                                                        \
                                                                                                   \
				memcpy(&value, records[r] + run->offset + i * sizeof(type), sizeof(type));         \
				least = (double) value < least ? (double) value : least;                           \
				largest = (double) value > largest ? (double) value : largest;                     \
				missing += value != value;                                                         \
			}                                                                                      \
			sums->least[k] = least;                                                                \
			sums->largest[k] = largest;                                                            \
			sums->missing[k] += missing;                                                           \
		}                                                                                          \
	}                                                                                              \
                                                                                                   \
	static void add_##suffix(HbSums *sums, const HbNumberRun *run, int start,                      \
							 const char *const *records, int n)                                    \
	{                                                                                              \
		for (int i = start; i < run->count; i++)                                                   \
		{                                                                                          \
			int k = run->first + i;                                                                \
			double shift = sums->shift[k], scale = sums->scale[k];                                 \
			uint64_t sum = 0, squares = 0;                                                         \
                                                                                                   \
			for (int r = 0; r < n; r++)                                                            \
			{                                                                                      \
				type value;                                                                        \
				double d;                                                                          \
                                                                                                   \
				memcpy(&value, records[r] + run->offset + i * sizeof(type), sizeof(type));         \
				d = ((double) value - shift) * scale;                                              \
				d = d == d ? d : 0.0;                                                              \
				sum += rounded_bits(d * HALF);                                                     \
				squares += rounded_bits(d * d);                                                    \
			}                                                                                      \
			sums->sum[k] += sum;                                                                   \
			sums->squares[k] += squares;                                                           \
		}                                                                                          \
	}

DEFINE_PLAIN(singles, float)
DEFINE_PLAIN(doubles, double)

#if defined(__x86_64__)
/* The loops above, four columns at a time; return how many columns are done. */
#define DEFINE_AVX2(suffix, type, LOAD)                                                            \
	__attribute__((target("avx2"))) static int range_##suffix##_avx2(                              \
		HbSums *sums, const HbNumberRun *run, const char *const *records, int n)                   \
	{                                                                                              \
		int i = 0;                                                                                 \
                                                                                                   \
		for (; i + 4 <= run->count; i += 4)                                                        \
		{                                                                                          \
			int k = run->first + i;                                                                \
			size_t at = run->offset + i * sizeof(type);                                            \
			__m256d least = _mm256_loadu_pd(sums->least + k);                                      \
			__m256d largest = _mm256_loadu_pd(sums->largest + k);                                  \
			__m256i *gaps = (__m256i *) (sums->missing + k), missing = _mm256_loadu_si256(gaps);   \
                                                                                                   \
			for (int r = 0; r < n; r++)                                                            \
			{                                                                                      \
				__m256d value = LOAD((const type *) (const void *) (records[r] + at));             \
				__m256d gone = _mm256_cmp_pd(value, value, _CMP_UNORD_Q);                          \
                                                                                                   \
				/* of a NaN and a number: the second */                                            \
				least = _mm256_min_pd(value, least);                                               \
				largest = _mm256_max_pd(value, largest);                                           \
				missing = _mm256_sub_epi64(missing, _mm256_castpd_si256(gone));                    \
			}                                                                                      \
			_mm256_storeu_pd(sums->least + k, least);                                              \
			_mm256_storeu_pd(sums->largest + k, largest);                                          \
			_mm256_storeu_si256(gaps, missing);                                                    \
		}                                                                                          \
		return i;                                                                                  \
	}                                                                                              \
                                                                                                   \
	__attribute__((target("avx2"))) static int add_##suffix##_avx2(                                \
		HbSums *sums, const HbNumberRun *run, const char *const *records, int n)                   \
	{                                                                                              \
		__m256d rounder = _mm256_set1_pd(ROUNDER), half = _mm256_set1_pd(HALF);                    \
		int i = 0;                                                                                 \
                                                                                                   \
		for (; i + 4 <= run->count; i += 4)                                                        \
		{                                                                                          \
			int k = run->first + i;                                                                \
			size_t at = run->offset + i * sizeof(type);                                            \
			__m256d shift = _mm256_loadu_pd(sums->shift + k);                                      \
			__m256d scale = _mm256_loadu_pd(sums->scale + k);                                      \
			__m256i *sum_at = (__m256i *) (sums->sum + k), sum = _mm256_loadu_si256(sum_at);       \
			__m256i *squares_at = (__m256i *) (sums->squares + k);                                 \
			__m256i squares = _mm256_loadu_si256(squares_at);                                      \
                                                                                                   \
			for (int r = 0; r < n; r++)                                                            \
			{                                                                                      \
				__m256d value = LOAD((const type *) (const void *) (records[r] + at)), d, q, s;    \
                                                                                                   \
				d = _mm256_mul_pd(_mm256_sub_pd(value, shift), scale);                             \
				d = _mm256_and_pd(_mm256_cmp_pd(d, d, _CMP_ORD_Q), d);                             \
				q = _mm256_add_pd(_mm256_mul_pd(d, half), rounder);                                \
				s = _mm256_add_pd(_mm256_mul_pd(d, d), rounder);                                   \
				sum = _mm256_add_epi64(sum, _mm256_castpd_si256(q));                               \
				squares = _mm256_add_epi64(squares, _mm256_castpd_si256(s));                       \
			}                                                                                      \
			_mm256_storeu_si256(sum_at, sum);                                                      \
			_mm256_storeu_si256(squares_at, squares);                                              \
		}                                                                                          \
		return i;                                                                                  \
	}

#define LOAD_SINGLES(p) _mm256_cvtps_pd(_mm_loadu_ps(p))
DEFINE_AVX2(singles, float, LOAD_SINGLES)
DEFINE_AVX2(doubles, double, _mm256_loadu_pd)
#endif

void
hb_sums_range(HbSums *sums, const HbNumberRun *run, const char *const *records, int n)
{
	int done = 0;

#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		done = (run->single ? range_singles_avx2 : range_doubles_avx2)(sums, run, records, n);
#endif
	(run->single ? range_singles : range_doubles)(sums, run, done, records, n);
}

static double
column_scale(double least, double largest, double shift)
{
	double reach = largest - shift > shift - least ? largest - shift : shift - least;
	int exponent;

	if (!(reach > 0.0))
		return 0.0;
	frexp(reach, &exponent);
	return ldexp(1.0, HALF_BITS - exponent < 1023 ? HALF_BITS - exponent : 1023);
}

void
hb_sums_scale(HbSums *sums)
{
	for (int k = 0; k < sums->n; k++)
	{
		bool any = sums->least[k] <= sums->largest[k];

		/* + 0.0: not -0, which sorts as 0 does */
		sums->shift[k] = any ? 0.5 * sums->least[k] + 0.5 * sums->largest[k] + 0.0 : 0.0;
		sums->scale[k] = any ? column_scale(sums->least[k], sums->largest[k], sums->shift[k]) : 0.0;
	}
}

static inline void
carry(uint64_t *bits, uint64_t rounders, int64_t *high, int64_t *low)
{
	int64_t quanta = (int64_t) (*bits - rounders);

	*high += quanta >> 32;
	*low += quanta & 0xFFFFFFFF;
	*bits = 0;
}

static void
carry_all(HbSums *sums)
{
	uint64_t rounders = sums->pending * ROUNDER_BITS;

	for (int k = 0; k < sums->n; k++)
	{
		carry(&sums->sum[k], rounders, &sums->sum_high[k], &sums->sum_low[k]);
		carry(&sums->squares[k], rounders, &sums->squares_high[k], &sums->squares_low[k]);
	}
	sums->pending = 0;
}

void
hb_sums_add(HbSums *sums, const HbNumberRun *runs, int nruns, const char *const *records, int n)
{
	if (sums->pending + (uint32_t) n > HB_SUMS_ROWS)
		carry_all(sums);
	for (int i = 0; i < nruns; i++)
	{
		const HbNumberRun *run = &runs[i];
		int done = 0;

#if defined(__x86_64__)
		if (__builtin_cpu_supports("avx2"))
			done = (run->single ? add_singles_avx2 : add_doubles_avx2)(sums, run, records, n);
#endif
		(run->single ? add_singles : add_doubles)(sums, run, done, records, n);
	}
	sums->pending += (uint32_t) n;
}

/* How the integer is split depends on when it was carried over: not what it is. */
static double
integer_value(int64_t high, int64_t low)
{
	high += low >> 32;
	return ldexp((double) high, 32) + (double) (low & 0xFFFFFFFF);
}

HbSum
hb_sums_result(HbSums *sums, int column)
{
	HbSum result = {.missing = sums->missing[column], .shift = sums->shift[column]};
	double scale = sums->scale[column];

	if (sums->pending > 0)
		carry_all(sums);
	if (scale == 0.0)
		return result;
	result.sum = integer_value(sums->sum_high[column], sums->sum_low[column]) / HALF / scale;
	/* one after the other: the square of the scale may be too large */
	result.squares =
		integer_value(sums->squares_high[column], sums->squares_low[column]) / scale / scale;
	return result;
}
