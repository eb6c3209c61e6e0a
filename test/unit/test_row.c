/*
 * test_row.c - the kernels for one sample against plain loops in double, for every instruction set that this processor has
 */
#include "tap.h"
#include "compute/row.h"
#include "core/rng.h"

#define MOST 1024

static float x[MOST], bias[MOST], out[MOST], w[MOST * 256];

/* Largest error of a product, in units of sqrt(k). */
static double
product_error(const HbRowKernels *kernels, size_t k, size_t n, size_t stride)
{
	double worst = 0;

	for (size_t j = 0; j < n; j++)
		out[j] = NAN;
	kernels->product(x, k, w, stride, bias, out, n);
	for (size_t j = 0; j < n; j++)
	{
		double sum = bias[j];

		for (size_t l = 0; l < k; l++)
			sum += (double) x[l] * w[l * stride + j];
		if (!(fabs(sum - out[j]) / sqrt((double) k) <= worst))
			worst = isnan(out[j]) ? INFINITY : fabs(sum - out[j]) / sqrt((double) k);
	}
	return worst;
}

static void
check_products(const HbRowKernels *kernels)
{
	static const size_t inputs[] = {1, 2, 3, 4, 5, 30, 63, 784};
	double worst = 0;

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
		for (size_t n = HB_PAD; n <= 160; n += HB_PAD)
			worst = fmax(worst, product_error(kernels, inputs[i], n, n + HB_PAD * (i % 2)));
	ok(worst < 1e-5, "%s: products of one row (error %.1e)", kernels->name, worst);
	memset(out, 0, sizeof out);
	out[HB_PAD] = 17;
	kernels->product(x, 30, w, HB_PAD, bias, out, HB_PAD);
	ok(out[HB_PAD] == 17, "%s: nothing is written behind the units", kernels->name);
}

static void
check_dots(const HbRowKernels *kernels)
{
	double worst = 0;

	for (size_t n = HB_PAD; n <= MOST; n += HB_PAD)
	{
		double sum = 0;

		for (size_t l = 0; l < n; l++)
			sum += (double) x[l] * w[l];
		worst = fmax(worst, fabs(sum - kernels->dot(x, w, n)) / sqrt((double) n));
	}
	ok(worst < 1e-5, "%s: dot products (error %.1e)", kernels->name, worst);
	ok(kernels->dot(x, w, 0) == 0, "%s: the dot product of nothing is 0", kernels->name);
}

int
main(void)
{
	hb_random_normals(9, HB_STREAM_SPACE, 0, x, MOST);
	hb_random_normals(9, HB_STREAM_SPACE, 1, bias, MOST);
	hb_random_normals(9, HB_STREAM_SPACE, 2, w, MOST * 256);
	for (int i = 0; hb_row_kernel_list[i] != NULL; i++)
	{
		if (!hb_row_kernel_list[i]->available())
		{
			tap_skip("this processor cannot run the %s kernels of rows",
					 hb_row_kernel_list[i]->name);
			continue;
		}
		check_products(hb_row_kernel_list[i]);
		check_dots(hb_row_kernel_list[i]);
	}
	ok(hb_row_kernels()->available(), "the kernels chosen run on this processor");
	return tap_done();
}
