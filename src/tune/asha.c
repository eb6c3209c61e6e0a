/*
 * asha.c - the promotion rule of ASHA (Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar, MLSys 2020)
 *
 * get_job() of the paper's algorithm 2: from the top rung down, the candidates are those of the best floor(|rung|/eta)
 * results that have not been promoted.  The whole rung counts, never only what is left of it: counting the unpromoted
 * alone would promote nearly everybody in the end.
 *
 * Each rung keeps its best floor(|rung|/eta) in one heap, the worst of them on top, and the others in a second, the best
 * on top; that number only grows, so a result moves at most one trial each way.  A third heap has those not promoted.
 * Its top is the only candidate to look at: where the best of those not promoted is not among the best of all, none is.
 */
#include "tune/asha.h"

#include <math.h>
#include <stdlib.h>

typedef struct Heap
{
	int64_t n;
	int32_t *numbers;
	bool worst_on_top;
} Heap;

typedef struct Rung
{
	double *losses; /* by number - 1 */
	bool *has_result;
	bool *started; /* work towards this rung was given */
	bool *is_top;
	int64_t nresults;
	Heap top;
	Heap rest;
	Heap unpromoted;
} Rung;

struct HbAsha
{
	int nrungs;
	int64_t ntrials;
	int64_t eta;
	int64_t nstarted; /* of new trials: numbers up to this one */
	Rung *rungs;
};

/* Whether trial a comes before b: lower loss, without a finite loss last, ties to the lower number. */
static bool
before(const Rung *rung, int64_t a, int64_t b)
{
	double x = rung->losses[a - 1];
	double y = rung->losses[b - 1];

	if (isfinite(x) != isfinite(y))
		return isfinite(x);
	if (isfinite(x) && x != y)
		return x < y;
	return a < b;
}

static bool
above(const Rung *rung, const Heap *heap, int64_t i, int64_t j)
{
	int32_t a = heap->numbers[i];
	int32_t b = heap->numbers[j];

	return heap->worst_on_top ? before(rung, b, a) : before(rung, a, b);
}

static void
swap(Heap *heap, int64_t i, int64_t j)
{
	int32_t number = heap->numbers[i];

	heap->numbers[i] = heap->numbers[j];
	heap->numbers[j] = number;
}

static void
push(const Rung *rung, Heap *heap, int64_t number)
{
	int64_t i = heap->n++;

	heap->numbers[i] = (int32_t) number;
	for (; i > 0 && above(rung, heap, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(heap, i, (i - 1) / 2);
}

/* Takes away what is on top. */
static int64_t
pop(const Rung *rung, Heap *heap)
{
	int64_t number = heap->numbers[0];
	int64_t i = 0;

	heap->numbers[0] = heap->numbers[--heap->n];
	for (;;)
	{
		int64_t child = 2 * i + 1;

		if (child + 1 < heap->n && above(rung, heap, child + 1, child))
			child++;
		if (child >= heap->n || !above(rung, heap, child, i))
			return number;
		swap(heap, i, child);
		i = child;
	}
}

static bool
allocate_rung(const HbHost *host, int64_t n, Rung *rung)
{
	rung->losses = hb_alloc(host, n * sizeof(double));
	rung->has_result = hb_alloc(host, n * sizeof(bool));
	rung->started = hb_alloc(host, n * sizeof(bool));
	rung->is_top = hb_alloc(host, n * sizeof(bool));
	rung->top.numbers = hb_alloc(host, n * sizeof(int32_t));
	rung->rest.numbers = hb_alloc(host, n * sizeof(int32_t));
	rung->unpromoted.numbers = hb_alloc(host, n * sizeof(int32_t));
	rung->top.worst_on_top = true;
	return rung->losses && rung->has_result && rung->started && rung->is_top && rung->top.numbers &&
		   rung->rest.numbers && rung->unpromoted.numbers;
}

HbAsha *
hb_asha_create(const HbHost *host, const HbPlan *plan, HbStatus *status)
{
	const HbPlanBracket *bracket = &plan->brackets[0];
	HbAsha *asha = hb_alloc(host, sizeof(HbAsha));
	bool allocated = asha != NULL;

	if (allocated)
	{
		asha->ntrials = plan->trials;
		asha->eta = plan->eta;
		asha->rungs = hb_alloc(host, bracket->nrungs * sizeof(Rung));
		asha->nrungs = asha->rungs ? bracket->nrungs : 0;
		allocated = asha->rungs != NULL;
	}
	for (int r = 0; allocated && r < asha->nrungs; r++)
		allocated = allocate_rung(host, asha->ntrials, &asha->rungs[r]);
	if (allocated)
		return asha;
	hb_asha_release(host, asha);
	hb_fail_memory(status, plan->trials * bracket->nrungs * sizeof(double));
	return NULL;
}

void
hb_asha_release(const HbHost *host, HbAsha *asha)
{
	if (!asha)
		return;
	for (int r = 0; r < asha->nrungs; r++)
	{
		Rung *rung = &asha->rungs[r];

		hb_release(host, rung->losses);
		hb_release(host, rung->has_result);
		hb_release(host, rung->started);
		hb_release(host, rung->is_top);
		hb_release(host, rung->top.numbers);
		hb_release(host, rung->rest.numbers);
		hb_release(host, rung->unpromoted.numbers);
	}
	hb_release(host, asha->rungs);
	hb_release(host, asha);
}

bool
hb_asha_choose(const HbAsha *asha, int64_t *number, int *rung)
{
	/* who has reached the last rung has nowhere to go */
	for (int r = asha->nrungs - 2; r >= 0; r--)
	{
		const Rung *from = &asha->rungs[r];
		int64_t best;

		if (from->unpromoted.n == 0)
			continue;
		best = from->unpromoted.numbers[0];
		if (!from->is_top[best - 1] || !isfinite(from->losses[best - 1]))
			continue;
		*number = best;
		*rung = r + 1;
		return true;
	}
	*number = asha->nstarted + 1;
	*rung = 0;
	return asha->nstarted < asha->ntrials;
}

int64_t
hb_asha_rank(const HbAsha *asha, int64_t number, int rung)
{
	const Rung *at = &asha->rungs[rung];
	const Heap *heap = at->is_top[number - 1] ? &at->top : &at->rest;
	int64_t rank = 1 + (heap == &at->top ? 0 : at->top.n);

	for (int64_t i = 0; i < heap->n; i++)
		rank += before(at, heap->numbers[i], number);
	return rank;
}

static int
compare_places(const void *a, const void *b)
{
	const HbAshaPlace *x = a;
	const HbAshaPlace *y = b;

	if (isfinite(x->loss) != isfinite(y->loss))
		return isfinite(x->loss) ? -1 : 1;
	if (isfinite(x->loss) && x->loss != y->loss)
		return x->loss < y->loss ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int64_t
hb_asha_nresults(const HbAsha *asha, int rung)
{
	return asha->rungs[rung].nresults;
}

int64_t
hb_asha_order(const HbAsha *asha, int rung, HbAshaPlace *places)
{
	const Rung *at = &asha->rungs[rung];
	int64_t n = 0;

	for (int64_t i = 0; i < at->top.n + at->rest.n; i++)
	{
		int64_t number = i < at->top.n ? at->top.numbers[i] : at->rest.numbers[i - at->top.n];

		places[n++] = (HbAshaPlace){.loss = at->losses[number - 1], .number = number};
	}
	qsort(places, n, sizeof(*places), compare_places);
	return n;
}

static void
move_to_top(Rung *rung, int64_t number)
{
	rung->is_top[number - 1] = true;
	push(rung, &rung->top, number);
}

static void
add_result(HbAsha *asha, Rung *rung, int64_t number, double loss, bool can_be_promoted)
{
	rung->losses[number - 1] = loss;
	rung->has_result[number - 1] = true;
	rung->nresults++;
	if (can_be_promoted)
		push(rung, &rung->unpromoted, number);
	if (rung->top.n > 0 && before(rung, number, rung->top.numbers[0]))
	{
		int64_t worst = pop(rung, &rung->top);

		rung->is_top[worst - 1] = false;
		push(rung, &rung->rest, worst);
		move_to_top(rung, number);
	}
	else
		push(rung, &rung->rest, number);
	if (rung->top.n < rung->nresults / asha->eta)
		move_to_top(rung, pop(rung, &rung->rest));
}

static bool
contradiction(const HbAshaEvent *event, const char *what, HbStatus *status)
{
	hb_fail(status, HB_ERR_CORRUPTED, "records of the study's trials contradict each other");
	return hb_fail_detail(status, "Trial %lld at rung %d: %s.", (long long) event->number,
						  event->rung, what);
}

/*
 * Only the best of those not promoted can be: anybody else would be passed over.  Where a trial was promoted by
 * another rule, or the order of the records was lost, this shows.
 */
static bool
apply_start(HbAsha *asha, const HbAshaEvent *event, HbStatus *status)
{
	Rung *rung = &asha->rungs[event->rung];
	Rung *from;

	if (rung->started[event->number - 1])
		return contradiction(event, "it was given work twice", status);
	if (event->rung == 0)
	{
		if (event->number != asha->nstarted + 1)
			return contradiction(event, "it was not the next to start", status);
		asha->nstarted++;
	}
	else
	{
		from = rung - 1;
		if (from->unpromoted.n == 0 || from->unpromoted.numbers[0] != event->number)
			return contradiction(event, "it was not the best to be promoted", status);
		pop(from, &from->unpromoted);
	}
	rung->started[event->number - 1] = true;
	return true;
}

bool
hb_asha_apply(HbAsha *asha, const HbAshaEvent *event, HbStatus *status)
{
	if (event->number < 1 || event->number > asha->ntrials || event->rung < 0 ||
		event->rung >= asha->nrungs)
		return contradiction(event, "the plan has no such trial or rung", status);
	if (event->kind == HB_ASHA_START)
		return apply_start(asha, event, status);
	if (!asha->rungs[event->rung].started[event->number - 1])
		return contradiction(event, "it has a result without work", status);
	if (asha->rungs[event->rung].has_result[event->number - 1])
		return contradiction(event, "it has two results", status);
	add_result(asha, &asha->rungs[event->rung], event->number, event->loss, true);
	return true;
}

/* A promotion is recorded before its work begins, so one may have been promoted and never started. */
bool
hb_asha_has_work(const HbTrialView *trial)
{
	return hb_trial_is_live(trial) && !trial->evaluated &&
		   (trial->started || trial->state == HB_TRIAL_RUNNING || trial->rung >= 0);
}

/* Work towards a rung was given to each trial that has a result there, works on it or ended while it did. */
static bool
restore_trials(HbAsha *asha, const HbStudyState *state, HbStatus *status)
{
	for (int64_t i = 0; i < state->ntrials; i++)
	{
		const HbTrialView *trial = &state->trials[i];
		HbAshaEvent event = {.number = i + 1, .rung = trial->rung};
		bool ended = trial->state == HB_TRIAL_DIVERGED || trial->state == HB_TRIAL_FAILED ||
					 trial->state == HB_TRIAL_CANCELLED;
		int reached = trial->rung + (hb_asha_has_work(trial) || ended);

		if (trial->number != i + 1 || trial->bracket_index != 0 || trial->rung < -1 ||
			trial->rung >= asha->nrungs)
			return contradiction(&event, "the plan has no such trial or rung", status);
		if (reached >= 0 && asha->nstarted != i)
			return contradiction(&event, "it was not the next to start", status);
		asha->nstarted += reached >= 0;
		for (int r = 0; r <= reached && r < asha->nrungs; r++)
			asha->rungs[r].started[i] = true;
	}
	return true;
}

bool
hb_asha_restore(HbAsha *asha, const HbStudyState *state, HbStatus *status)
{
	if (state->ntrials > asha->ntrials)
		return hb_fail(status, HB_ERR_CORRUPTED, "study has %lld trials, its plan has %lld",
					   (long long) state->ntrials, (long long) asha->ntrials);
	if (!restore_trials(asha, state, status))
		return false;
	for (int64_t i = 0; i < state->nresults; i++)
	{
		const HbResult *result = &state->results[i];
		HbAshaEvent event = {.number = result->number, .rung = result->rung};
		const HbTrialView *trial;

		if (result->number < 1 || result->number > state->ntrials || result->rung < 0 ||
			result->rung >= asha->nrungs)
			return contradiction(&event, "the plan has no such trial or rung", status);
		trial = &state->trials[result->number - 1];
		if (trial->rung < result->rung)
			return contradiction(&event, "it has a result without work", status);
		if (asha->rungs[result->rung].has_result[result->number - 1])
			return contradiction(&event, "it has two results", status);
		add_result(asha, &asha->rungs[result->rung], result->number, result->loss,
				   hb_trial_is_live(trial) && trial->evaluated && trial->rung == result->rung);
	}
	return true;
}

bool
hb_asha_replay(const HbHost *host, const HbPlan *plan, const HbAshaEvent *events, int64_t nevents,
			   HbStatus *status)
{
	HbAsha *asha = hb_asha_create(host, plan, status);
	bool same = asha != NULL;

	for (int64_t i = 0; same && i < nevents; i++)
	{
		const HbAshaEvent *event = &events[i];
		int64_t number;
		int rung;

		if (event->kind == HB_ASHA_START && (!hb_asha_choose(asha, &number, &rung) ||
											 number != event->number || rung != event->rung))
		{
			same =
				hb_fail(status, HB_ERR_CORRUPTED, "log of the study's decisions is inconsistent");
			hb_fail_detail(status,
						   "Decision %lld sends trial %lld to rung %d, which the results "
						   "before it do not lead to.",
						   (long long) i + 1, (long long) event->number, event->rung);
		}
		else
			same = hb_asha_apply(asha, event, status);
	}
	hb_asha_release(host, asha);
	return same;
}
