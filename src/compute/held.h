/*
 * held.h - an operand that a product's memory holds whole, for products to come that have it again (HbReuse)
 */
#ifndef HB_HELD_H
#define HB_HELD_H

#include "compute/provider.h"

typedef struct HbHeldOperand
{
	const hb_real *at; /* NULL: none is held, or a part of one */
	size_t lines;
	size_t terms;
} HbHeldOperand;

static inline bool
hb_holds(const HbHeldOperand *held, HbReuse reuse, const hb_real *at, size_t lines, size_t terms)
{
	return reuse == HB_AGAIN && held->at == at && held->lines == lines && held->terms == terms;
}

#endif /* HB_HELD_H */
