/*
 * row_avx2.c - one sample at a time on processors with AVX2 and FMA
 */
#include "compute/row.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include "compute/vector_avx2.h"

#define ADD(x, y) _mm256_add_ps(x, y)
#define SUM(x) vector_total(x)

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
