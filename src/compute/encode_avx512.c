/*
 * encode_avx512.c - numbers and arrays of a record as inputs on processors with AVX-512
 */
#include "compute/encode.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include <string.h>

#include "compute/encode.inc.h"

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
