/*
 * row.h - one sample through one layer: vectors instead of matrices
 *
 * Prediction from SQL sees one row at a time.  Wide layers keep their weights inputs-major, so that the accumulators
 * are the units; layers of a few units are better served by one dot product a unit.  Chosen at run time
 * for the processor; results of the choices differ by rounding only (the order of the sums, fused multiply-add).
 */
#ifndef HB_ROW_H
#define HB_ROW_H

#include "compute/provider.h"

typedef struct HbRowKernels
{
	const char *name;
	bool (*available)(void);
	/* out[j] = bias[j] + sum over l < k of x[l] w[l * stride + j], j < n; n is a multiple of HB_PAD */
	void (*product)(const hb_real *x, size_t k, const hb_real *w, size_t stride,
					const hb_real *bias, hb_real *out, size_t n);
	/* sum over l < n of x[l] w[l]; n is a multiple of HB_PAD */
	hb_real (*dot)(const hb_real *x, const hb_real *w, size_t n);
} HbRowKernels;

extern const HbRowKernels hb_row_kernels_reference;

/* The fastest for this processor. */
extern const HbRowKernels *hb_row_kernels(void);
/* All that are compiled in, NULL-terminated; some may not be available. */
extern const HbRowKernels *const hb_row_kernel_list[];

#endif /* HB_ROW_H */
