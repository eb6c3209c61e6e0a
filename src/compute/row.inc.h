/*
 * row.inc.h - the kernels for one sample, for one instruction set
 *
 * Four accumulators hide the latency of the fused multiply-add: of four vectors of units where the layer is that
 * wide, else of every fourth input.  The including file defines V, LANES, LOAD, STORE, BROADCAST, FMA, ADD, ZERO
 * and SUM (of a vector's elements).
 */
static void
row_four_vectors(const float *x, size_t k, const float *w, size_t stride, const float *bias,
				 float *out)
{
	V s0 = LOAD(bias), s1 = LOAD(bias + LANES);
	V s2 = LOAD(bias + 2 * LANES), s3 = LOAD(bias + 3 * LANES);

	for (size_t l = 0; l < k; l++, w += stride)
	{
		V v = BROADCAST(x + l);

		s0 = FMA(v, LOAD(w), s0);
		s1 = FMA(v, LOAD(w + LANES), s1);
		s2 = FMA(v, LOAD(w + 2 * LANES), s2);
		s3 = FMA(v, LOAD(w + 3 * LANES), s3);
	}
	STORE(out, s0);
	STORE(out + LANES, s1);
	STORE(out + 2 * LANES, s2);
	STORE(out + 3 * LANES, s3);
}

static void
row_one_vector(const float *x, size_t k, const float *w, size_t stride, const float *bias,
			   float *out)
{
	V s0 = LOAD(bias), s1 = ZERO(), s2 = ZERO(), s3 = ZERO();
	size_t l = 0;

	for (; l + 4 <= k; l += 4, w += 4 * stride)
	{
		s0 = FMA(BROADCAST(x + l), LOAD(w), s0);
		s1 = FMA(BROADCAST(x + l + 1), LOAD(w + stride), s1);
		s2 = FMA(BROADCAST(x + l + 2), LOAD(w + 2 * stride), s2);
		s3 = FMA(BROADCAST(x + l + 3), LOAD(w + 3 * stride), s3);
	}
	for (; l < k; l++, w += stride)
		s0 = FMA(BROADCAST(x + l), LOAD(w), s0);
	STORE(out, ADD(ADD(s0, s1), ADD(s2, s3)));
}

static void
row_product(const float *x, size_t k, const float *w, size_t stride, const float *bias, float *out,
			size_t n)
{
	size_t j = 0;

	for (; j + 4 * LANES <= n; j += 4 * LANES)
		row_four_vectors(x, k, w + j, stride, bias + j, out + j);
	for (; j < n; j += LANES)
		row_one_vector(x, k, w + j, stride, bias + j, out + j);
}

static float
row_dot(const float *x, const float *w, size_t n)
{
	V s0 = ZERO(), s1 = ZERO(), s2 = ZERO(), s3 = ZERO();
	size_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
	{
		s0 = FMA(LOAD(x + i), LOAD(w + i), s0);
		s1 = FMA(LOAD(x + i + LANES), LOAD(w + i + LANES), s1);
		s2 = FMA(LOAD(x + i + 2 * LANES), LOAD(w + i + 2 * LANES), s2);
		s3 = FMA(LOAD(x + i + 3 * LANES), LOAD(w + i + 3 * LANES), s3);
	}
	for (; i < n; i += LANES)
		s0 = FMA(LOAD(x + i), LOAD(w + i), s0);
	return SUM(ADD(ADD(s0, s1), ADD(s2, s3)));
}
