/*
 * kernels.h - the providers that are compiled in, for the registry and for each other
 */
#ifndef HB_KERNELS_H
#define HB_KERNELS_H

#include "compute/provider.h"

#if defined(__x86_64__) && !defined(HB_REAL_DOUBLE)
#define HB_HAVE_X86_KERNELS 1
#endif

extern const HbProvider hb_provider_reference;
#ifdef HB_HAVE_X86_KERNELS
extern const HbProvider hb_provider_avx2;
extern const HbProvider hb_provider_avx512;
extern const HbProvider hb_provider_bf16;
extern const HbProvider hb_provider_amx;

/* product_amx.c */
#define HB_AMX_DEPTH 32
#define HB_AMX_ROWS 32
extern bool hb_amx_available(void);
extern void hb_amx_product(const HbProduct *product);
extern void hb_amx_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out);

/* product_bf16.c */
#define HB_BF16_DEPTH 16
#define HB_BF16_TERMS 2
extern bool hb_bf16_available(void);
extern void hb_bf16_product(const HbProduct *product);
extern void hb_bf16_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out);
#endif

static inline size_t
hb_at_most(size_t n, size_t most)
{
	return n < most ? n : most;
}

extern void hb_transpose_reference(const hb_real *from, size_t rows, size_t cols, size_t from_row,
								   hb_real *to, size_t to_row);

#endif /* HB_KERNELS_H */
