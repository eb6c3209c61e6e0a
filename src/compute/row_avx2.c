/*
 * row_avx2.c - one sample at a time on processors with AVX2 and FMA
 */
#include "compute/row.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include "compute/vector_avx2.h"

#define ADD(x, y) _mm256_add_ps(x, y)
#define SUM(x) sum_of_elements(x)

static inline float
sum_of_elements(__m256 x)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#include "compute/row.inc.h"

static bool
row_available(void)
{
	return hb_provider_avx2.available();
}

extern const HbRowKernels hb_row_kernels_avx2;
const HbRowKernels hb_row_kernels_avx2 = {
	.name = "avx2",
	.available = row_available,
	.product = row_product,
	.dot = row_dot,
};

#else
typedef int hb_no_avx2_row;
#endif
