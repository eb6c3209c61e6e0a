/*
 * draw.inc.h - dropout: masks by Philox4x32-10 (Salmon et al., SC 2011) in vectors of 64-bit lanes, the twin of
 * reference_mask, and what they leave
 *
 * A lane holds a 32-bit word in its lower half: the 32 x 32 bit multiplication reads nothing else, so
 * that a product serves as its own lower half without a mask.  The words are Random123's, bit for bit.
 *
 * The including file defines W (a vector), WLANES, W_FILL, W_COUNT (0, 1, ...), W_ADD, W_MUL, W_HIGH (>> 32), W_XOR
 * (of three); W_JOIN (the lower halves of two vectors, in order), BYTES (all bytes of a vector alike), KEEP (a KEPT with
 * a bit for each byte of a draw that is above high, or equal to it with that of next at least low); V, LANES, FILL, LOAD,
 * STORE, SCALED (the elements at p times scale where the bits of kept say so, else 0), PASSES (bits: of those at p, which relu
 * lets through).
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

/* Of 2 * WLANES blocks, each word's mask at its own place in a group: four blocks' are sixteen bits. */
static inline void
store_masks(const DrawState *s, uint32_t rate, uint16_t *kept)
{
	const W high = BYTES(rate >> 8), low = BYTES(rate & 255);
	const W word[4] = {W_JOIN(s->a[0], s->a[1]), W_JOIN(s->b[0], s->b[1]), W_JOIN(s->c[0], s->c[1]),
					   W_JOIN(s->d[0], s->d[1])};

#pragma GCC unroll 4
	for (int w = 0; w < 4; w++)
	{
		KEPT bits = KEEP(word[w], word[(w + 1) % 4], high, low);

		memcpy(kept + w * HB_MASK_BLOCKS / 4, &bits, sizeof bits);
	}
}

static void
vector_mask(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
			uint32_t rate, uint16_t *kept)
{
	W keys[DRAW_ROUNDS][2];
	uint32_t key0 = (uint32_t) seed, key1 = (uint32_t) (seed >> 32);

	for (int round = 0; round < DRAW_ROUNDS; round++, key0 += 0x9E3779B9u, key1 += 0xBB67AE85u)
	{
		keys[round][0] = W_FILL(key0);
		keys[round][1] = W_FILL(key1);
	}
	for (size_t group = 0; group < groups; group++, kept += HB_MASK_GROUP / 16)
		for (uint32_t at = 0; at < HB_MASK_BLOCKS; at += 2 * WLANES)
		{
			DrawState s;

			for (uint32_t i = 0; i < 2; i++)
			{
				s.a[i] = W_FILL(stream);
				s.b[i] = W_FILL((uint32_t) detail);
				s.c[i] = W_FILL((uint32_t) (detail >> 32));
				s.d[i] = W_ADD(W_FILL(first + (uint32_t) group * HB_MASK_BLOCKS + at + i * WLANES),
							   W_COUNT());
			}
			draw_rounds(keys, &s);
			store_masks(&s, rate, kept + at / 4);
		}
}

static void
vector_drop(const uint16_t *kept, float scale, const float *a, float *out, size_t n)
{
	const V factor = FILL(scale);

	for (size_t i = 0; i < n; i += HB_PAD)
#pragma GCC unroll 2
		for (size_t j = 0; j < HB_PAD; j += LANES)
			STORE(out + i + j, SCALED(kept[i / 16] >> j, factor, a + i + j));
}

static void
vector_drop_relu(uint16_t *kept, float scale, float *z, size_t n)
{
	const V factor = FILL(scale);

	for (size_t i = 0; i < n; i += HB_PAD)
	{
		uint32_t positive = 0;

#pragma GCC unroll 2
		for (size_t j = 0; j < HB_PAD; j += LANES)
			positive |= PASSES(z + i + j) << j;
		positive &= kept[i / 16];
		kept[i / 16] = (uint16_t) positive;
#pragma GCC unroll 2
		for (size_t j = 0; j < HB_PAD; j += LANES)
			STORE(z + i + j, SCALED(positive >> j, factor, z + i + j));
	}
}
