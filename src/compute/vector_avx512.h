/*
 * vector_avx512.h - the vectors of AVX-512, as tile.inc.h and row.inc.h name them
 */
#ifndef HB_VECTOR_AVX512_H
#define HB_VECTOR_AVX512_H

#include <immintrin.h>
#include <stddef.h>

#define V __m512
#define LANES 16
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(x, y, z) _mm512_fmadd_ps(x, y, z)
#define ZERO() _mm512_setzero_ps()

/* A mask of the first n elements of a vector, or of all. */
static inline __mmask16
first_of(size_t n)
{
	return n < LANES ? (__mmask16) ((1u << n) - 1) : 0xffff;
}

#endif /* HB_VECTOR_AVX512_H */
