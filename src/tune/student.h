/*
 * student.h - Student's t distribution
 */
#ifndef HB_STUDENT_H
#define HB_STUDENT_H

/* P(|T| > t) with so many degrees of freedom (>= 1); accurate in the far tail, too. */
extern double hb_student_tails(double t, double df);

/*
 * The t with P(|T| > t) = alpha, 0 < alpha <= 1, df >= 1: the half width of a confidence interval at 1 - alpha in units of
 * its standard error.  NaN outside that range.
 */
extern double hb_student_quantile(double alpha, double df);

#endif /* HB_STUDENT_H */
