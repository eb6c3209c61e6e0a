/*
 * load_moments.c - sums over one row's array while it is in the cache
 *
 * Bytes are summed in integers, so every variant gives the same result; floats in eight partial sums in
 * double, whatever the instruction set.
 */
#include "pg/load_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

/*
 * Per 32 bytes (a last step may have 16): sums of absolute differences from 0, and products of 16-bit halves.  A 32-bit lane takes four
 * squares a step: HB_MAX_INPUTS bytes cannot overflow it.
 */
__attribute__((target("avx2"))) static int
copy_bytes_avx2(uint8 *out, const uint8 *bytes, int n, uint32 *sum, uint32 *squares)
{
	__m256i zero = _mm256_setzero_si256(), sums = zero, products = zero;
	uint64 s[4];
	uint32 q[8];
	int i;

	for (i = 0; i + 16 <= n; i += 32)
	{
		bool whole = i + 32 <= n;
		__m256i v, low, high;

		if (likely(whole))
		{
			v = _mm256_loadu_si256((const __m256i *) (bytes + i));
			_mm256_storeu_si256((__m256i *) (out + i), v);
		}
		else
		{
			__m128i half = _mm_loadu_si128((const __m128i *) (bytes + i));

			_mm_storeu_si128((__m128i *) (out + i), half);
			v = _mm256_zextsi128_si256(half);
		}
		low = _mm256_unpacklo_epi8(v, zero);
		high = _mm256_unpackhi_epi8(v, zero);
		sums = _mm256_add_epi64(sums, _mm256_sad_epu8(v, zero));
		products = _mm256_add_epi32(
			products, _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high)));
	}
	_mm256_storeu_si256((__m256i *) s, sums);
	_mm256_storeu_si256((__m256i *) q, products);
	*sum = (uint32) (s[0] + s[1] + s[2] + s[3]);
	*squares = q[0] + q[1] + q[2] + q[3] + q[4] + q[5] + q[6] + q[7];
	return n / 16 * 16;
}
#endif

/* Copies n bytes; their sum and sum of squares are exact: n is at most HB_MAX_INPUTS, so that both fit 32 bits. */
void
hb_copy_bytes(uint8 *out, const uint8 *bytes, int n, uint32 *sum, uint32 *squares)
{
	int i = 0;

	*sum = *squares = 0;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		i = copy_bytes_avx2(out, bytes, n, sum, squares);
#endif
	for (; i < n; i++)
	{
		out[i] = bytes[i];
		*sum += bytes[i];
		*squares += (uint32) bytes[i] * bytes[i];
	}
}

#if defined(__x86_64__)
/* The eight partial sums of the loops below, as two vectors: the same additions in the same order. */
__attribute__((target("avx2"))) static void
sum_floats_avx2(const float *values, int n, double *sum)
{
	__m256d low = _mm256_loadu_pd(sum), high = _mm256_loadu_pd(sum + 4);

	for (int i = 0; i + 8 <= n; i += 8)
	{
		low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm_loadu_ps(values + i)));
		high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm_loadu_ps(values + i + 4)));
	}
	_mm256_storeu_pd(sum, low);
	_mm256_storeu_pd(sum + 4, high);
}

__attribute__((target("avx2"))) static void
sum_deviations_avx2(const float *values, int n, double mean, double *squares)
{
	__m256d low = _mm256_loadu_pd(squares), high = _mm256_loadu_pd(squares + 4);
	__m256d center = _mm256_set1_pd(mean);

	for (int i = 0; i + 8 <= n; i += 8)
	{
		__m256d a = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(values + i)), center);
		__m256d b = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(values + i + 4)), center);

		low = _mm256_add_pd(low, _mm256_mul_pd(a, a));
		high = _mm256_add_pd(high, _mm256_mul_pd(b, b));
	}
	_mm256_storeu_pd(squares, low);
	_mm256_storeu_pd(squares + 4, high);
}
#endif

static void
sum_floats(const float *values, int n, double *sum)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
	{
		sum_floats_avx2(values, n, sum);
		return;
	}
#endif
	for (int i = 0; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
			sum[j] += values[i + j];
}

static void
sum_deviations(const float *values, int n, double mean, double *squares)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
	{
		sum_deviations_avx2(values, n, mean, squares);
		return;
	}
#endif
	for (int i = 0; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
		{
			double d = values[i + j] - mean;

			squares[j] += d * d;
		}
}

/* Mean, and sum of squared deviations from it. */
HbMoments
hb_float_moments(const float *values, int n)
{
	double sum[8] = {0}, squares[8] = {0}, mean = 0.0, total = 0.0;

	sum_floats(values, n, sum);
	for (int i = n / 8 * 8; i < n; i++)
		sum[0] += values[i];
	for (int j = 0; j < 8; j++)
		mean += sum[j];
	mean /= n;
	sum_deviations(values, n, mean, squares);
	for (int i = n / 8 * 8; i < n; i++)
		squares[0] += (values[i] - mean) * (values[i] - mean);
	for (int j = 0; j < 8; j++)
		total += squares[j];
	return (HbMoments){mean, total};
}
