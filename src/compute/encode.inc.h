/*
 * encode.inc.h - numbers and arrays of a record as inputs, in plain C that the compiler makes vectors of
 *
 * Compiled once for each instruction set.  Nothing here can be fused or reordered, so that all give the same bits.
 * With OWN_FLOATS the including file has loops over floats of its own.
 */

/* Cut to ±limit; NaN becomes 0, the mean. */
static inline float
standardise(double value, double mean, double scale, float limit)
{
	float z = (float) ((value - mean) * scale);

	z = z > limit ? limit : z;
	z = z < -limit ? -limit : z;
	return z == z ? z : 0.0f;
}

static void
array_of_bytes(const unsigned char *restrict in, int32_t length, double mean, double scale,
			   float limit, float *restrict out)
{
	for (int32_t i = 0; i < length; i++)
	{
		float z = (float) (((double) in[i] - mean) * scale);

		z = z > limit ? limit : z;
		out[i] = z < -limit ? -limit : z;
	}
}

#ifndef OWN_FLOATS
/* Floats need not be aligned in a record; memcpy compiles to plain (vector) loads. */
static void
array_of_floats(const unsigned char *restrict in, int32_t length, double mean, double scale,
				float limit, float *restrict out)
{
	for (int32_t i = 0; i < length; i++)
	{
		float value;

		memcpy(&value, in + (size_t) i * sizeof(float), sizeof(float));
		out[i] = standardise((double) value, mean, scale, limit);
	}
}

/* Columns side by side, each with its own mean, scale and limit. */
static void
numbers(const unsigned char *restrict in, int32_t columns, const double *restrict mean,
		const double *restrict scale, const float *restrict limit, float *restrict out)
{
	for (int32_t i = 0; i < columns; i++)
	{
		float value;

		memcpy(&value, in + (size_t) i * sizeof(float), sizeof(float));
		out[i] = standardise((double) value, mean[i], scale[i], limit[i]);
	}
}
#endif
