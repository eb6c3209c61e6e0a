/*
 * row.c - the kernels for one sample in plain C, and the choice among all of them
 */
#include "compute/row.h"

#include <string.h>

#include "compute/kernels.h"

static void
reference_product(const hb_real *x, size_t k, const hb_real *w, size_t stride, const hb_real *bias,
				  hb_real *out, size_t n)
{
	for (size_t j0 = 0; j0 < n; j0 += HB_PAD)
	{
		hb_real sum[HB_PAD];

		memcpy(sum, bias + j0, sizeof sum);
		for (size_t l = 0; l < k; l++)
			for (size_t j = 0; j < HB_PAD; j++)
				sum[j] += x[l] * w[l * stride + j0 + j];
		memcpy(out + j0, sum, sizeof sum);
	}
}

/* Sixteen partial sums, so that the compiler can vectorise without reordering. */
static hb_real
reference_dot(const hb_real *x, const hb_real *w, size_t n)
{
	hb_real part[HB_PAD] = {0};

	for (size_t i = 0; i < n; i += HB_PAD)
		for (int j = 0; j < HB_PAD; j++)
			part[j] += w[i + j] * x[i + j];
	for (int width = HB_PAD / 2; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			part[j] += part[j + width];
	return part[0];
}

static bool
reference_available(void)
{
	return true;
}

const HbRowKernels hb_row_kernels_reference = {
	.name = "reference",
	.available = reference_available,
	.product = reference_product,
	.dot = reference_dot,
};

#ifdef HB_HAVE_X86_KERNELS
extern const HbRowKernels hb_row_kernels_avx2;
extern const HbRowKernels hb_row_kernels_avx512;
#endif

const HbRowKernels *const hb_row_kernel_list[] = {
#ifdef HB_HAVE_X86_KERNELS
	&hb_row_kernels_avx512, &hb_row_kernels_avx2,
#endif
	&hb_row_kernels_reference, NULL};

const HbRowKernels *
hb_row_kernels(void)
{
	int i = 0;

	while (!hb_row_kernel_list[i]->available())
		i++;
	return hb_row_kernel_list[i];
}
