/*
 * vector_avx2.h - the vectors of AVX2 and FMA, as tile.inc.h and row.inc.h name them
 */
#ifndef HB_VECTOR_AVX2_H
#define HB_VECTOR_AVX2_H

#include <immintrin.h>

#define V __m256
#define LANES 8
#define LOAD(p) _mm256_loadu_ps(p)
#define STORE(p, x) _mm256_storeu_ps(p, x)
#define BROADCAST(p) _mm256_broadcast_ss(p)
#define FMA(x, y, z) _mm256_fmadd_ps(x, y, z)
#define ZERO() _mm256_setzero_ps()

/* The sum of a vector's elements. */
static inline float
vector_total(__m256 x)
{
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

	four = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

#endif /* HB_VECTOR_AVX2_H */
