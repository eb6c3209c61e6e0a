/*
 * row_avx512.c - one sample at a time on processors with AVX-512
 */
#include "compute/row.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include <immintrin.h>

#define V __m512
#define LANES 16
#define LOAD(p) _mm512_loadu_ps(p)
#define STORE(p, x) _mm512_storeu_ps(p, x)
#define BROADCAST(p) _mm512_set1_ps(*(p))
#define FMA(x, y, z) _mm512_fmadd_ps(x, y, z)
#define ADD(x, y) _mm512_add_ps(x, y)
#define ZERO() _mm512_setzero_ps()
#define SUM(x) _mm512_reduce_add_ps(x)

#include "compute/row.inc.h"

static bool
row_available(void)
{
	return hb_provider_avx512.available();
}

extern const HbRowKernels hb_row_kernels_avx512;
const HbRowKernels hb_row_kernels_avx512 = {
	.name = "avx512",
	.available = row_available,
	.product = row_product,
	.dot = row_dot,
};

#else
typedef int hb_no_avx512_row;
#endif
