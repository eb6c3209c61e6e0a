/*
 * draw.inc.h - Philox4x32-10 (Salmon et al., SC 2011) in vectors of 64-bit lanes, the twin of reference_draw
 *
 * A lane holds a 32-bit word in its lower half: the 32 x 32 bit multiplication reads nothing else, so
 * that a product serves as its own lower half without a mask.  The words are reference_draw's, bit for bit.
 *
 * The including file defines W (a vector), WLANES, W_FILL, W_COUNT (0, 1, ...), W_ADD, W_MUL, W_HIGH (>> 32), W_XOR
 * (of three), W_STORE (lower halves to WLANES uint32_t).
 */
#define DRAW_ROUNDS 10

/* Two vectors at a time hide the latency of the multiplication. */
typedef struct DrawState
{
	W a[2], b[2], c[2], d[2];
} DrawState;

static inline void
draw_rounds(const W keys[DRAW_ROUNDS][2], DrawState *state)
{
	const W first = W_FILL(0xD2511F53u), second = W_FILL(0xCD9E8D57u);
	DrawState s = *state;

#pragma GCC unroll 10
	for (int round = 0; round < DRAW_ROUNDS; round++)
#pragma GCC unroll 2
		for (int i = 0; i < 2; i++)
		{
			W x = W_MUL(first, s.a[i]), y = W_MUL(second, s.c[i]);

			s.a[i] = W_XOR(W_HIGH(y), s.b[i], keys[round][0]);
			s.c[i] = W_XOR(W_HIGH(x), s.d[i], keys[round][1]);
			s.b[i] = y;
			s.d[i] = x;
		}
	*state = s;
}

static void
vector_draw(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
			uint32_t *out)
{
	W keys[DRAW_ROUNDS][2];
	uint32_t key0 = (uint32_t) seed, key1 = (uint32_t) (seed >> 32);

	for (int round = 0; round < DRAW_ROUNDS; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
	{
		keys[round][0] = W_FILL(key0);
		keys[round][1] = W_FILL(key1);
	}
	for (size_t group = 0; group < groups; group++, out += 4 * HB_DRAW_BLOCKS)
		for (uint32_t at = 0; at < HB_DRAW_BLOCKS; at += 2 * WLANES)
		{
			DrawState s;

			for (uint32_t i = 0; i < 2; i++)
			{
				s.a[i] = W_FILL(stream);
				s.b[i] = W_FILL((uint32_t) detail);
				s.c[i] = W_FILL((uint32_t) (detail >> 32));
				s.d[i] = W_ADD(W_FILL(first + (uint32_t) group * HB_DRAW_BLOCKS + at + i * WLANES),
							   W_COUNT());
			}
			draw_rounds(keys, &s);
			for (uint32_t i = 0; i < 2; i++)
			{
				uint32_t *to = out + at + i * WLANES;

				W_STORE(to, s.a[i]);
				W_STORE(to + HB_DRAW_BLOCKS, s.b[i]);
				W_STORE(to + 2 * HB_DRAW_BLOCKS, s.c[i]);
				W_STORE(to + 3 * HB_DRAW_BLOCKS, s.d[i]);
			}
		}
}
