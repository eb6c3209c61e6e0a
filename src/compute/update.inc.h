/*
 * update.inc.h - one optimizer step on a block of weights, the twin of ew_update
 *
 * Blocks are a few vectors wide, so that loops which the compiler writes for any width spend more on their ends than
 * on the weights.
 *
 * The including file defines, beside what softmax.inc.h needs: SQRT.
 */

typedef struct UpdateRates
{
	V rate, l2, decay1, decay2, rest1, rest2, root, epsilon;
} UpdateRates;

/*
 * A vector of weights at w, of their state at s1 and s2, by their gradient; the new weights.  No rule looks at state it
 * lacks.
 */
INLINE V
update_vector(const HbUpdateRule rule, const UpdateRates *k, V g, float *w, float *s1, float *s2)
{
	V old = LOAD(w), first, second;

	g = FMA(k->l2, old, g);
	switch (rule)
	{
		case HB_UPDATE_SGD:
			break;
		case HB_UPDATE_MOMENTUM:
			g = FMA(k->decay1, LOAD(s1), g);
			STORE(s1, g);
			break;
		case HB_UPDATE_NESTEROV:
			first = FMA(k->decay1, LOAD(s1), g);
			STORE(s1, first);
			g = FMA(k->decay1, first, g);
			break;
		case HB_UPDATE_RMSPROP:
			first = FMA(MUL(k->rest1, g), g, MUL(k->decay1, LOAD(s1)));
			STORE(s1, first);
			g = DIV(g, ADD(SQRT(first), k->epsilon));
			break;
		case HB_UPDATE_ADAM:
			first = FMA(k->rest1, g, MUL(k->decay1, LOAD(s1)));
			second = FMA(MUL(k->rest2, g), g, MUL(k->decay2, LOAD(s2)));
			STORE(s1, first);
			STORE(s2, second);
			g = DIV(first, FMA(SQRT(second), k->root, k->epsilon));
			break;
	}
	g = SUB(old, MUL(k->rate, g));
	STORE(w, g);
	return g;
}

INLINE UpdateRates
update_rates(const HbUpdate *u)
{
	return (UpdateRates){.rate = FILL(u->rate),
						 .l2 = FILL(u->l2),
						 .decay1 = FILL(u->decay1),
						 .decay2 = FILL(u->decay2),
						 .rest1 = FILL(1 - u->decay1),
						 .rest2 = FILL(1 - u->decay2),
						 .root = FILL(u->root),
						 .epsilon = FILL(u->epsilon)};
}

INLINE void
update_rows(const HbUpdate *u, const HbUpdateRule rule)
{
	const UpdateRates k = update_rates(u);
	const size_t cols = u->cols, rows = u->rows, w_row = u->w_row, g_row = u->g_row;
	const float *g = u->g;
	float *w = u->w, *s1 = u->s1 ? u->s1 : w, *s2 = u->s2 ? u->s2 : w;

	for (size_t i = 0; i < rows; i++, g += g_row)
		for (size_t j = 0; j < cols; j += LANES)
			update_vector(rule, &k, LOAD(g + j), w + i * w_row + j, s1 + i * w_row + j,
						  s2 + i * w_row + j);
}

/* With a baseline row, column by column: its gradient, then what the others differ from it by. */
INLINE void
update_contrast(const HbUpdate *u, const HbUpdateRule rule)
{
	const UpdateRates k = update_rates(u);
	const size_t cols = u->cols, last = u->rows - 1, w_row = u->w_row, g_row = u->g_row;
	float *w = u->w, *s1 = u->s1 ? u->s1 : w, *s2 = u->s2 ? u->s2 : w, *contrast = u->contrast;

	for (size_t j = 0; j < cols; j += LANES)
	{
		V rest = ZERO(), base;

		for (size_t i = 0; i < last; i++)
		{
			V g = LOAD(u->g + i * g_row + j);

			update_vector(rule, &k, g, w + i * w_row + j, s1 + i * w_row + j, s2 + i * w_row + j);
			rest = SUB(rest, g);
		}
		base = update_vector(rule, &k, rest, w + last * w_row + j, s1 + last * w_row + j,
							 s2 + last * w_row + j);
		for (size_t i = 0; i < last; i++)
			STORE(contrast + i * w_row + j, SUB(LOAD(w + i * w_row + j), base));
	}
}

INLINE void
update_block(const HbUpdate *u, const HbUpdateRule rule)
{
	if (u->contrast != NULL)
		update_contrast(u, rule);
	else
		update_rows(u, rule);
}

static void
vector_update(const HbUpdate *u)
{
	if (u->cols % LANES != 0)
	{
		ew_update(u);
		return;
	}
	switch (u->rule)
	{
		case HB_UPDATE_SGD:
			update_block(u, HB_UPDATE_SGD);
			break;
		case HB_UPDATE_MOMENTUM:
			update_block(u, HB_UPDATE_MOMENTUM);
			break;
		case HB_UPDATE_NESTEROV:
			update_block(u, HB_UPDATE_NESTEROV);
			break;
		case HB_UPDATE_RMSPROP:
			update_block(u, HB_UPDATE_RMSPROP);
			break;
		case HB_UPDATE_ADAM:
			update_block(u, HB_UPDATE_ADAM);
			break;
	}
}
