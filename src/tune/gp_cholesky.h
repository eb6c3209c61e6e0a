/*
 * gp_cholesky.h - the linear algebra of Gaussian processes, in double precision and without a BLAS
 *
 * Matrices are square, row-major and dense; of a symmetric or lower triangular one the lower triangle counts.
 */
#ifndef HB_GP_CHOLESKY_H
#define HB_GP_CHOLESKY_H

#include <stdbool.h>

extern double hb_dot(const double *a, const double *b, int n);

/* a = L L' in place; the upper triangle is left alone.  False where a is not positive definite. */
extern bool hb_cholesky(double *a, int n);
/* L x = b and L' x = b, in place of b. */
extern void hb_solve_lower(const double *l, int n, double *b);
extern void hb_solve_lower_transposed(const double *l, int n, double *b);
/* The lower triangle of (L L')^-1 into inverse; scratch: n x n. */
extern void hb_cholesky_inverse(const double *l, int n, double *inverse, double *scratch);

#endif /* HB_GP_CHOLESKY_H */
