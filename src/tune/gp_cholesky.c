/*
 * gp_cholesky.c - blocked Cholesky factorisation, triangular solves and the inverse (Golub and Van Loan, chapter 4)
 *
 * Row-major lower triangles turn every inner loop into a product of two contiguous rows; blocks keep the rows that
 * are reused in cache.
 */
#include "tune/gp_cholesky.h"

#include <math.h>
#include <stddef.h>

#define BLOCK 48

double
hb_dot(const double *a, const double *b, int n)
{
	double s[8] = {0};
	double sum = 0;
	int i = 0;

	for (; i + 8 <= n; i += 8)
		for (int k = 0; k < 8; k++)
			s[k] += a[i + k] * b[i + k];
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum + (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])));
}

/* The diagonal block at k, whose earlier columns have been subtracted. */
static bool
factor_block(double *a, int n, int k, int end)
{
	for (int i = k; i < end; i++)
	{
		double *row = a + (size_t) i * n;
		double pivot;

		for (int j = k; j < i; j++)
		{
			const double *other = a + (size_t) j * n;

			row[j] = (row[j] - hb_dot(row + k, other + k, j - k)) / other[j];
		}
		pivot = row[i] - hb_dot(row + k, row + k, i - k);
		if (!(pivot > 0))
			return false;
		row[i] = sqrt(pivot);
	}
	return true;
}

/* Columns k..end of the rows below the block. */
static void
solve_panel(double *a, int n, int k, int end)
{
	for (int i = end; i < n; i++)
	{
		double *row = a + (size_t) i * n;

		for (int j = k; j < end; j++)
		{
			const double *other = a + (size_t) j * n;

			row[j] = (row[j] - hb_dot(row + k, other + k, j - k)) / other[j];
		}
	}
}

/* Subtracts the panel's products from what remains, block by block. */
static void
update_rest(double *a, int n, int k, int end)
{
	for (int top = end; top < n; top += BLOCK)
		for (int left = end; left <= top; left += BLOCK)
			for (int i = top; i < n && i < top + BLOCK; i++)
			{
				double *row = a + (size_t) i * n;

				for (int j = left; j <= i && j < left + BLOCK; j++)
					row[j] -= hb_dot(row + k, a + (size_t) j * n + k, end - k);
			}
}

bool
hb_cholesky(double *a, int n)
{
	for (int k = 0; k < n; k += BLOCK)
	{
		int end = k + BLOCK < n ? k + BLOCK : n;

		if (!factor_block(a, n, k, end))
			return false;
		solve_panel(a, n, k, end);
		update_rest(a, n, k, end);
	}
	return true;
}

void
hb_solve_lower(const double *l, int n, double *b)
{
	for (int i = 0; i < n; i++)
	{
		const double *row = l + (size_t) i * n;

		b[i] = (b[i] - hb_dot(row, b, i)) / row[i];
	}
}

void
hb_solve_lower_transposed(const double *l, int n, double *b)
{
	for (int i = n - 1; i >= 0; i--)
	{
		const double *row = l + (size_t) i * n;

		b[i] /= row[i];
		for (int j = 0; j < i; j++)
			b[j] -= b[i] * row[j];
	}
}

/*
 * Row j of scratch becomes column j of M = L^-1, so that both that computation and inverse = M' M run along rows:
 * entry (i, j) of the inverse is the product of columns i and j of M.
 */
void
hb_cholesky_inverse(const double *l, int n, double *inverse, double *scratch)
{
	for (int j = 0; j < n; j++)
	{
		double *column = scratch + (size_t) j * n;

		for (int i = 0; i < j; i++)
			column[i] = 0;
		column[j] = 1 / l[(size_t) j * n + j];
		for (int i = j + 1; i < n; i++)
		{
			const double *row = l + (size_t) i * n;

			column[i] = -hb_dot(row + j, column + j, i - j) / row[i];
		}
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
			inverse[(size_t) i * n + j] =
				hb_dot(scratch + (size_t) i * n + i, scratch + (size_t) j * n + i, n - i);
}
