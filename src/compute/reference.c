/*
 * reference.c - the provider in plain C: always there, and what every other one is tested against
 *
 * It is also the only one in double precision (HB_REAL_DOUBLE), where gradients are compared with
 * finite differences.
 */
#include "compute/provider.h"
#include "compute/kernels.h"
#include "compute/elementwise.inc.h"

static bool
reference_available(void)
{
	return true;
}

static const char *
reference_version(void)
{
	return "";
}

static void
reference_product(const HbProduct *p)
{
	for (size_t i = 0; i < p->m; i++)
		for (size_t j0 = 0; j0 < p->n; j0 += HB_PAD)
		{
			const hb_real *b = p->b + j0 / p->b_width * p->b_panel + j0 % p->b_width;
			const hb_real *a = p->a + i * p->a_row;
			hb_real sum[HB_PAD];

			for (int j = 0; j < HB_PAD; j++)
				sum[j] = p->bias ? p->bias[i] : 0;
			for (size_t l = 0; l < p->k; l++)
				for (int j = 0; j < HB_PAD; j++)
					sum[j] += a[l * p->a_col] * b[l * p->b_row + j];
			memcpy(p->c + i * p->c_row + j0, sum, sizeof sum);
		}
}

/* c[n] += x a[n] */
static void
add_scaled(hb_real x, const hb_real *a, size_t n, hb_real *c)
{
	for (size_t j = 0; j < n; j++)
		c[j] += x * a[j];
}

static void
reference_sparse_product(const HbSparseProduct *p)
{
	const HbSparse *x = p->x;

	for (size_t i = 0; i < p->m; i++)
	{
		hb_real *c = p->c + i * p->c_row;

		memcpy(c, p->bias, p->n * sizeof(hb_real));
		for (uint32_t l = x->begin[i]; l < x->begin[i + 1]; l++)
			add_scaled((hb_real) x->value[l], p->a + x->column[l] * p->a_row, p->n, c);
	}
}

static void
reference_sparse_gradient(const HbSparseProduct *p)
{
	const HbSparse *x = p->x;

	for (size_t l = 0; l < p->k; l++)
		memset(p->c + l * p->c_row, 0, p->n * sizeof(hb_real));
	for (size_t i = 0; i < p->m; i++)
		for (uint32_t l = x->begin[i]; l < x->begin[i + 1]; l++)
			add_scaled((hb_real) x->value[l], p->a + i * p->a_row, p->n,
					   p->c + x->column[l] * p->c_row);
}

void
hb_transpose_reference(const hb_real *from, size_t rows, size_t cols, size_t from_row, hb_real *to,
					   size_t to_row)
{
	size_t padded = hb_padded(rows);

	for (size_t j = 0; j < cols; j++)
	{
		for (size_t i = 0; i < rows; i++)
			to[j * to_row + i] = from[i * from_row + j];
		for (size_t i = rows; i < padded; i++)
			to[j * to_row + i] = 0;
	}
}

/* Philox4x32-10 (Salmon et al., SC 2011) on a group's counters at once: words[w] is word w of each block. */
static void
draw_group(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first,
		   uint32_t words[4][HB_MASK_BLOCKS])
{
	uint32_t *a = words[0], *b = words[1], *c = words[2], *d = words[3];
	uint32_t key0 = (uint32_t) seed, key1 = (uint32_t) (seed >> 32);

	for (uint32_t i = 0; i < HB_MASK_BLOCKS; i++)
	{
		a[i] = stream;
		b[i] = (uint32_t) detail;
		c[i] = (uint32_t) (detail >> 32);
		d[i] = first + i;
	}
	for (int round = 0; round < 10; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
		for (int i = 0; i < HB_MASK_BLOCKS; i++)
		{
			uint64_t x = (uint64_t) 0xD2511F53u * a[i], y = (uint64_t) 0xCD9E8D57u * c[i];

			a[i] = (uint32_t) (y >> 32) ^ b[i] ^ key0;
			c[i] = (uint32_t) (x >> 32) ^ d[i] ^ key1;
			b[i] = (uint32_t) y;
			d[i] = (uint32_t) x;
		}
}

static inline uint32_t
element_byte(uint32_t words[4][HB_MASK_BLOCKS], uint32_t e)
{
	return words[e / 64 % 4][e % 64 / 4] >> e % 4 * 8 & 255;
}

static void
reference_mask(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
			   uint32_t rate, uint16_t *kept)
{
	for (size_t group = 0; group < groups; group++, kept += HB_MASK_GROUP / 16)
	{
		uint32_t words[4][HB_MASK_BLOCKS];

		draw_group(seed, stream, detail, first + (uint32_t) group * HB_MASK_BLOCKS, words);
		memset(kept, 0, HB_MASK_GROUP / 8);
		for (uint32_t e = 0; e < HB_MASK_GROUP; e++)
		{
			uint32_t draw = element_byte(words, e) << 8 | element_byte(words, e + 64);

			kept[e / 16] |= (uint16_t) ((draw >= rate) << e % 16);
		}
	}
}

static void
reference_drop(const uint16_t *kept, hb_real scale, const hb_real *a, hb_real *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = kept[i / 16] >> i % 16 & 1 ? a[i] * scale : 0;
}

static void
reference_drop_relu(uint16_t *kept, hb_real scale, hb_real *z, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (z[i] <= 0)
			kept[i / 16] &= (uint16_t) ~(1u << i % 16);
	reference_drop(kept, scale, z, z, n);
}

const HbProvider hb_provider_reference = {
	.name = "reference",
	.kernel = "generic",
	.description = "plain C",
	.panel = HB_PANEL,
	.sparse_from = 4,
	.available = reference_available,
	.version = reference_version,
	.product = reference_product,
	.sparse_product = reference_sparse_product,
	.sparse_gradient = reference_sparse_gradient,
	.transpose = hb_transpose_reference,
	.row_sums = ew_row_sums,
	.activate = ew_activate,
	.activate_back = ew_activate_back,
	.mask = reference_mask,
	.drop = reference_drop,
	.drop_relu = reference_drop_relu,
	.softmax = ew_softmax,
	.cross_entropy = ew_cross_entropy,
	.hinge = ew_hinge,
	.squared = ew_squared,
	.errors = ew_errors,
	.update = ew_update,
};
