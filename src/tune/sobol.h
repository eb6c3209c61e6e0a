/*
 * sobol.h - scrambled Sobol' points
 */
#ifndef HB_SOBOL_H
#define HB_SOBOL_H

#include <stdint.h>

#define HB_SOBOL_DIMENSIONS 128

/* Digits of point index in a dimension below HB_SOBOL_DIMENSIONS, as a fraction of 2^32. */
extern uint32_t hb_sobol_digits(int dimension, uint32_t index);

/* The point's coordinate in [0,1), scrambled under (seed, key); a dimension beyond the table: independent draws. */
extern double hb_sobol_scrambled(uint64_t seed, uint64_t key, int dimension, uint32_t index);

#endif /* HB_SOBOL_H */
