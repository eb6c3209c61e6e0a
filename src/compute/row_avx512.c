/*
 * row_avx512.c - one sample at a time on processors with AVX-512
 */
#include "compute/row.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include "compute/vector_avx512.h"

#define ADD(x, y) _mm512_add_ps(x, y)
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
