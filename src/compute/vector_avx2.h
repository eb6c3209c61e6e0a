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

#endif /* HB_VECTOR_AVX2_H */
