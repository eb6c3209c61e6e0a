/*
 * encode_avx512.c - numbers and arrays of a record as inputs on processors with AVX-512
 */
#include "compute/encode.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include <immintrin.h>
#include <string.h>

#define OWN_FLOATS
#include "compute/encode.inc.h"

/* Eight numbers; operands are in the order that lets a NaN through to the last step, which makes it 0. */
static inline __m256
standardise_8(__m256 value, __m512d mean, __m512d scale, __m256 limit)
{
	__m256 z = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_sub_pd(_mm512_cvtps_pd(value), mean), scale));

	z = _mm256_min_ps(limit, z);
	z = _mm256_max_ps(_mm256_sub_ps(_mm256_setzero_ps(), limit), z);
	return _mm256_maskz_mov_ps(_mm256_cmp_ps_mask(z, z, _CMP_ORD_Q), z);
}

static inline __mmask8
mask_of(int32_t n)
{
	return n < 8 ? (__mmask8) ((1u << n) - 1) : 0xff;
}

/* The last vector is masked; a compiler would do what it holds one by one. */
static void
numbers(const unsigned char *restrict in, int32_t columns, const double *restrict mean,
		const double *restrict scale, const float *restrict limit, float *restrict out)
{
	for (int32_t i = 0; i < columns; i += 8)
	{
		__mmask8 mask = mask_of(columns - i);
		__m256 value = _mm256_maskz_loadu_ps(mask, in + (size_t) i * sizeof(float));

		_mm256_mask_storeu_ps(out + i, mask,
							  standardise_8(value, _mm512_maskz_loadu_pd(mask, mean + i),
											_mm512_maskz_loadu_pd(mask, scale + i),
											_mm256_maskz_loadu_ps(mask, limit + i)));
	}
}

static void
array_of_floats(const unsigned char *restrict in, int32_t length, double mean, double scale,
				float limit, float *restrict out)
{
	__m512d means = _mm512_set1_pd(mean), scales = _mm512_set1_pd(scale);
	__m256 limits = _mm256_set1_ps(limit);

	for (int32_t i = 0; i < length; i += 8)
	{
		__mmask8 mask = mask_of(length - i);
		__m256 value = _mm256_maskz_loadu_ps(mask, in + (size_t) i * sizeof(float));

		_mm256_mask_storeu_ps(out + i, mask, standardise_8(value, means, scales, limits));
	}
}

static bool
encode_available(void)
{
	return hb_provider_avx512.available();
}

extern const HbEncodeKernels hb_encode_kernels_avx512;
const HbEncodeKernels hb_encode_kernels_avx512 = {
	.name = "avx512",
	.available = encode_available,
	.bytes = array_of_bytes,
	.floats = array_of_floats,
	.numbers = numbers,
};

#else
typedef int hb_no_avx512_encode;
#endif
