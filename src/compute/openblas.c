/*
 * openblas.c - products by OpenBLAS's sgemm, everything else by the kernels of this processor
 *
 * Linked into the trainer only, on one thread.  The choice on processors without a hand-written
 * kernel; where there is one it wins (test/bench shows both).
 */
#ifndef HB_REAL_DOUBLE

#include <cblas.h>

#include "compute/kernels.h"

static bool
openblas_available(void)
{
	openblas_set_num_threads(1);
	return true;
}

static const char *
openblas_version(void)
{
	return openblas_get_config();
}

static const char *
openblas_kernel_name(void)
{
	return openblas_get_corename();
}

static void
fill_bias(const HbProduct *p)
{
	for (size_t i = 0; i < p->m; i++)
		for (size_t j = 0; j < p->n; j++)
			p->c[i * p->c_row + j] = p->bias[i];
}

static void
openblas_product(const HbProduct *p)
{
	bool transposed = p->a_col != 1;

	if (p->bias != NULL)
		fill_bias(p);
	for (size_t j = 0; j < p->n; j += p->b_width)
	{
		size_t n = p->n - j < p->b_width ? p->n - j : p->b_width;

		cblas_sgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans, p->m, n,
					p->k, 1.0f, p->a, transposed ? p->a_col : p->a_row,
					p->b + j / p->b_width * p->b_panel, p->b_row, p->bias ? 1.0f : 0.0f, p->c + j,
					p->c_row);
	}
}

static void
openblas_transpose(const hb_real *from, size_t rows, size_t cols, size_t from_row, hb_real *to,
				   size_t to_row)
{
	hb_provider_kernels()->transpose(from, rows, cols, from_row, to, to_row);
}

static void
openblas_row_sums(const hb_real *d, size_t rows, size_t n, size_t ld, hb_real *out)
{
	hb_provider_kernels()->row_sums(d, rows, n, ld, out);
}

static void
openblas_activate(HbActivation f, hb_real *z, hb_real *a, size_t n)
{
	hb_provider_kernels()->activate(f, z, a, n);
}

static void
openblas_activate_back(HbActivation f, const hb_real *z, const hb_real *a, hb_real *d, size_t n)
{
	hb_provider_kernels()->activate_back(f, z, a, d, n);
}

static void
openblas_mask(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
			  uint32_t rate, uint16_t *kept)
{
	hb_provider_kernels()->mask(seed, stream, detail, first, groups, rate, kept);
}

static void
openblas_drop(const uint16_t *kept, hb_real scale, const hb_real *a, hb_real *out, size_t n)
{
	hb_provider_kernels()->drop(kept, scale, a, out, n);
}

static void
openblas_drop_relu(uint16_t *kept, hb_real scale, hb_real *z, size_t n)
{
	hb_provider_kernels()->drop_relu(kept, scale, z, n);
}

static void
openblas_softmax(hb_real *z, size_t outputs, size_t n, size_t ld, hb_real *scratch)
{
	hb_provider_kernels()->softmax(z, outputs, n, ld, scratch);
}

static double
openblas_cross_entropy(const HbScores *scores)
{
	return hb_provider_kernels()->cross_entropy(scores);
}

static double
openblas_hinge(const HbScores *scores)
{
	return hb_provider_kernels()->hinge(scores);
}

static double
openblas_squared(const HbScores *scores)
{
	return hb_provider_kernels()->squared(scores);
}

static size_t
openblas_errors(const HbScores *scores)
{
	return hb_provider_kernels()->errors(scores);
}

static void
openblas_update(const HbUpdate *update)
{
	hb_provider_kernels()->update(update);
}

const HbProvider hb_provider_openblas = {
	.name = "openblas",
	.description = "products by OpenBLAS",
	.panel = 0,
	.available = openblas_available,
	.version = openblas_version,
	.kernel_name = openblas_kernel_name,
	.product = openblas_product,
	.transpose = openblas_transpose,
	.row_sums = openblas_row_sums,
	.activate = openblas_activate,
	.activate_back = openblas_activate_back,
	.mask = openblas_mask,
	.drop = openblas_drop,
	.drop_relu = openblas_drop_relu,
	.softmax = openblas_softmax,
	.cross_entropy = openblas_cross_entropy,
	.hinge = openblas_hinge,
	.squared = openblas_squared,
	.errors = openblas_errors,
	.update = openblas_update,
};

#else
typedef int hb_no_openblas;
#endif
