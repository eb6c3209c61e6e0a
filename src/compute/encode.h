/*
 * encode.h - records of a data set as the inputs of a model
 */
#ifndef HB_ENCODE_H
#define HB_ENCODE_H

#include "compute/provider.h"
#include "core/dataset.h"

/*
 * Arrays of length elements, which need not be aligned: standardised, cut to ±limit; NaN becomes 0.  numbers: floats of
 * so many columns, each with its own mean, scale and limit.
 */
typedef struct HbEncodeKernels
{
	const char *name;
	bool (*available)(void);
	void (*bytes)(const unsigned char *in, int32_t length, double mean, double scale, float limit,
				  float *out);
	void (*floats)(const unsigned char *in, int32_t length, double mean, double scale, float limit,
				   float *out);
	void (*numbers)(const unsigned char *in, int32_t columns, const double *mean,
					const double *scale, const float *limit, float *out);
} HbEncodeKernels;

/* What each byte of an array becomes: byte p of its float, at plane[p]. */
typedef struct HbByteValues
{
	unsigned char plane[sizeof(float)][256];
} HbByteValues;

/* As bytes of the kernels, of values that were made for many rows; the same bits. */
typedef struct HbByteLookup
{
	const char *name;
	bool (*available)(void);
	void (*look_up)(const unsigned char *in, int32_t length, const HbByteValues *values,
					float *out);
} HbByteLookup;

/* All that are compiled in, NULL-terminated. */
extern const HbByteLookup *const hb_byte_lookup_list[];

extern void hb_byte_values(double mean, double scale, float limit, HbByteValues *values);

/* All that are compiled in, the fastest first, NULL-terminated; some may not be available. */
extern const HbEncodeKernels *const hb_encode_kernel_list[];

/* Writes encoder->inputs floats; the tail up to padded (0: none) is zeroed. */
extern void
hb_encode_row(const HbEncoder *encoder, const void *record, float *out, uint32_t padded);

/*
 * Encodes the rows numbered rows[0..n-1] into out[n][padded] (padded >= inputs, zero-filled).  So many numbers more that
 * follow in rows are of those that will be asked for next.
 */
extern void hb_encode_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows,
						   uint32_t n, uint32_t following, float *out, uint32_t padded);

/* Values of a row that is kept sparse: each number, array element and indicator has one, and each category. */
extern uint32_t hb_sparse_row_values(const HbEncoder *encoder);

/* Prepares x, whose arrays have room for so many rows, for hb_encode_sparse_rows. */
extern void hb_sparse_rows_lay_out(const HbEncoder *encoder, size_t rows, HbSparse *x);

/* As hb_encode_rows, into x, which was laid out for n rows at least. */
extern void
hb_encode_sparse_rows(const HbEncoder *encoder, const HbDataset *dataset, const uint32_t *rows,
					  uint32_t n, uint32_t following, HbSparse *x);

#endif /* HB_ENCODE_H */
