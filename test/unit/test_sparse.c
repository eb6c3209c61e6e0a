/*
 * test_sparse.c - every provider's products with sparse matrices against plain sums in double, and against its own
 * dense products bit for bit
 */
#include "tap.h"
#include "random_floats.h"
#include "compute/provider.h"

/* rows x columns, a tenth of it not 0, one row wholly 0, and a few zeros among what it holds; dense gets the same. */
static HbSparse
random_sparse(size_t rows, size_t columns, float *dense)
{
	HbSparse x = {.begin = calloc(rows + 1, sizeof(uint32_t)),
				  .column = calloc(rows * columns, sizeof(uint32_t)),
				  .value = calloc(rows * columns, sizeof(float))};
	uint32_t at = 0;

	for (size_t i = 0; i < rows; i++)
	{
		for (size_t j = 0; j < columns; j++)
		{
			double draw = hb_random_uniform(9, HB_STREAM_SAMPLE, i, (uint32_t) j);
			bool held = i != 3 && draw < 0.1;

			if (!held || draw < 0.01)
				dense[i * columns + j] = 0;
			if (!held)
				continue;
			x.column[at] = (uint32_t) j;
			x.value[at++] = dense[i * columns + j];
		}
		x.begin[i + 1] = at;
	}
	return x;
}

/* Elements of X A, or of X^T A, that are not as near to the plain sum as float32 is. */
static int
sparse_wrong(const HbSparseProduct *p, const float *x, size_t n, bool gradient)
{
	size_t rows = gradient ? p->k : p->m, terms = gradient ? p->m : p->k;
	int wrong = 0;

	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < n; j++)
		{
			double sum = gradient ? 0 : p->bias[j];

			for (size_t l = 0; l < terms; l++)
				sum += (double) x[gradient ? l * p->k + i : i * p->k + l] * p->a[l * p->a_row + j];
			wrong += !(fabs(sum - p->c[i * p->c_row + j]) < 1e-5);
		}
	return wrong;
}

/* The dense product of the same matrices with other, where nothing is added: elements that have other bits. */
static int
sparse_apart(const HbProvider *provider, const HbProvider *other, const float *x, bool gradient,
			 HbSparseProduct p)
{
	size_t rows = gradient ? p.k : p.m;
	float *zeros = calloc(p.n, sizeof(float)), *d = random_floats(rows * p.c_row);
	HbProduct q = {.m = rows,
				   .n = p.n,
				   .k = gradient ? p.m : p.k,
				   .a = x,
				   .a_row = gradient ? 1 : p.k,
				   .a_col = gradient ? p.k : 1,
				   .b = p.a,
				   .b_row = p.a_row,
				   .b_width = p.n,
				   .c = d,
				   .c_row = p.c_row};
	int apart = 0;

	p.bias = zeros;
	(gradient ? provider->sparse_gradient : provider->sparse_product)(&p);
	other->product(&q);
	for (size_t i = 0; i < rows; i++)
		apart += memcmp(p.c + i * p.c_row, d + i * p.c_row, p.n * sizeof(float)) != 0;
	free(zeros);
	free(d);
	return apart;
}

static void
check_sparse_product(const HbProvider *provider, size_t m, size_t k, size_t n, bool gradient,
					 int *wrong, int *apart)
{
	size_t columns = hb_padded(n), row = columns + HB_PAD;
	float *x = random_floats(m * k), *a = random_floats((gradient ? m : k) * row);
	size_t rows = gradient ? k : m;
	float *bias = random_floats(columns), *c = random_floats(rows * row);
	float *before = malloc(rows * row * sizeof(float));
	HbSparse sparse = random_sparse(m, k, x);
	HbSparseProduct p = {.x = &sparse,
						 .m = m,
						 .k = k,
						 .n = columns,
						 .a = a,
						 .a_row = row,
						 .bias = bias,
						 .c = c,
						 .c_row = row};

	memcpy(before, c, rows * row * sizeof(float));
	(gradient ? provider->sparse_gradient : provider->sparse_product)(&p);
	*wrong += sparse_wrong(&p, x, n, gradient);
	for (size_t i = 0; i < rows; i++)
		*wrong +=
			memcmp(c + i * row + columns, before + i * row + columns, HB_PAD * sizeof(float)) != 0;
	*apart += sparse_apart(provider, provider->precision > HB_HIGHEST ? provider->narrow : provider,
						   x, gradient, p);
	free(sparse.begin);
	free(sparse.column);
	free(sparse.value);
	free(x);
	free(a);
	free(bias);
	free(c);
	free(before);
}

static void
check_sparse_products(const HbProvider *provider)
{
	int wrong = 0, apart = 0;

	for (int gradient = 0; gradient <= 1; gradient++)
	{
		for (size_t n = 16; n <= 272; n += 16)
			check_sparse_product(provider, 40, 60, n, gradient, &wrong, &apart);
		check_sparse_product(provider, 1, 1, 1, gradient, &wrong, &apart);
		check_sparse_product(provider, 5, 30, 17, gradient, &wrong, &apart);
		check_sparse_product(provider, 128, 300, 81, gradient, &wrong, &apart);
	}
	is_int(wrong, 0, "%s: products with sparse matrices", provider->name);
	is_int(apart, 0, "%s: have the bits of float32's dense products", provider->name);
}

int
main(void)
{
	for (int i = 0; i < hb_nproviders; i++)
		if (hb_providers[i] != NULL && hb_providers[i]->available() &&
			hb_providers[i]->sparse_from > 0)
			check_sparse_products(hb_providers[i]);
	return tap_done();
}
