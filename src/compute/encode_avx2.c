/*
 * encode_avx2.c - numbers and arrays of a record as inputs on processors with AVX2
 */
#include "compute/encode.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include <string.h>

#include "compute/encode.inc.h"

static bool
encode_available(void)
{
	return hb_provider_avx2.available();
}

extern const HbEncodeKernels hb_encode_kernels_avx2;
const HbEncodeKernels hb_encode_kernels_avx2 = {
	.name = "avx2",
	.available = encode_available,
	.bytes = array_of_bytes,
	.floats = array_of_floats,
	.numbers = numbers,
};

#else
typedef int hb_no_avx2_encode;
#endif
