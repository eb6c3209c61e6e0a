/*
 * pack.c - laying out matrices for products, and the floating-point mode of training
 *
 * A mini-batch is packed once and then read by every trial of a chunk: by columns of inputs for
 * the gradient, by columns of samples for the forward product (Goto and van de Geijn, TOMS 2008,
 * for why panels).
 */
#include "compute/provider.h"

#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

size_t
hb_stride(size_t n)
{
	size_t padded = hb_padded(n);

	return padded % 256 == 0 ? padded + HB_PAD : padded;
}

/* Columns of a panel. */
static size_t
panel_width(const HbProvider *provider, size_t n)
{
	return provider->panel ? provider->panel : hb_padded(n);
}

/* Elements that k terms of a column take. */
static size_t
packed_depth(const HbProvider *provider, size_t k)
{
	size_t depth = provider->depth ? provider->depth : 1, terms = provider->terms;

	return (k + depth - 1) / depth * depth / (terms ? terms : 1);
}

size_t
hb_packed_size(const HbProvider *provider, size_t k, size_t n)
{
	size_t width = panel_width(provider, n);

	return (n + width - 1) / width * width * packed_depth(provider, k);
}

void
hb_product_packed(const HbProvider *provider, const hb_real *packed, size_t k, size_t n,
				  size_t first, HbProduct *product)
{
	size_t width = panel_width(provider, n);

	product->packed = provider->pack != NULL;
	product->b = packed + first * packed_depth(provider, k);
	product->b_row = product->b_width = width;
	product->b_panel = width * k;
}

/* Whole rows of a panel by instructions of that length. */
static inline void
copy_row(const float *restrict x, size_t count, hb_real *restrict out)
{
	if (count == HB_PANEL)
		for (size_t c = 0; c < HB_PANEL; c++)
			out[c] = x[c];
	else
		for (size_t c = 0; c < count; c++)
			out[c] = x[c];
}

void
hb_pack_gradient(const HbProvider *provider, const float *x, size_t n, size_t inputs, size_t stride,
				 hb_real *out)
{
	size_t width = panel_width(provider, inputs);

	if (provider->pack != NULL)
	{
		provider->pack(x, stride, 1, n, inputs, out);
		return;
	}
	for (size_t j = 0; j < inputs; j += width)
	{
		size_t count = inputs - j < width ? inputs - j : width;

		for (size_t i = 0; i < n; i++)
			copy_row(x + i * stride + j, count, out + j * n + i * width);
	}
}

#ifdef HB_REAL_DOUBLE
static void
pack_transposed(const HbProvider *provider, const float *x, size_t n, size_t inputs, size_t stride,
				hb_real *out, size_t width)
{
	for (size_t l = 0; l < inputs; l++)
		for (size_t s = 0; s < width; s++)
			out[l * width + s] = s < n ? x[s * stride + l] : 0;
}
#else
static void
pack_transposed(const HbProvider *provider, const float *x, size_t n, size_t inputs, size_t stride,
				hb_real *out, size_t width)
{
	provider->transpose(x, n, inputs, stride, out, width);
}
#endif

void
hb_pack_forward(const HbProvider *provider, const float *x, size_t n, size_t inputs, size_t stride,
				hb_real *out)
{
	size_t width = panel_width(provider, n);

	if (provider->pack != NULL)
	{
		provider->pack(x, 1, stride, inputs, n, out);
		return;
	}
	for (size_t s = 0; s < n; s += width)
	{
		size_t count = n - s < width ? n - s : width;

		pack_transposed(provider, x + s * stride, count, inputs, stride, out + s * inputs, width);
	}
}

unsigned
hb_flush_subnormals(void)
{
#if defined(__x86_64__)
	unsigned saved = _mm_getcsr();

	_mm_setcsr(saved | 0x8040); /* FTZ and DAZ */
	return saved;
#elif defined(__aarch64__)
	uint64_t saved;

	__asm__ volatile("mrs %0, fpcr" : "=r"(saved));
	__asm__ volatile("msr fpcr, %0" : : "r"(saved | ((uint64_t) 1 << 24)));
	return (unsigned) saved;
#else
	return 0;
#endif
}

void
hb_restore_subnormals(unsigned saved)
{
#if defined(__x86_64__)
	_mm_setcsr(saved);
#elif defined(__aarch64__)
	__asm__ volatile("msr fpcr, %0" : : "r"((uint64_t) saved));
#else
	(void) saved;
#endif
}
