/*
 * test_observed.c - which results a sampler models
 */
#include "sampler_study.h"

#include "tune/observed.h"

static Study study;

static void
result(int64_t number, int64_t resource, double loss)
{
	char text[32];

	snprintf(text, sizeof(text), "{'x':%g}", number / 100.0);
	study.observations[study.request.nobservations++] =
		(HbObservation){number, resource, loss, parse_json(text)};
}

/* The results that are modelled, and of these the finite ones. */
static void
is_modelled(int n, int finite, const char *name)
{
	HbObserved observed;
	int found = 0;

	if (!ok(hb_observed_init(&observed, &study.request, &study.status), "%s", name))
		return;
	for (int i = 0; i < observed.n; i++)
		found += isfinite(observed.losses[i]) != 0;
	is_int(observed.n, n, "%s: results", name);
	is_int(found, finite, "%s: finite ones", name);
	hb_observed_release(&observed, &hb_host_malloc);
}

/* One parameter: a level needs four results. */
static void
test_levels(void)
{
	study_start(&study, "tpe", study_space("{'x':{'type':'float','low':0,'high':1}}"), 1);
	study.request.multi_fidelity = true;
	for (int i = 1; i <= 3; i++)
		result(i, 1, i);
	is_modelled(0, 0, "three results at a level");
	result(4, 1, NAN);
	is_modelled(4, 3, "with one that crashed");
	for (int i = 5; i <= 8; i++)
		result(i, 3, INFINITY);
	is_modelled(4, 3, "a higher level where all crashed is passed over");
	result(9, 3, 0.5);
	is_modelled(5, 1, "one finite result there");
}

int
main(void)
{
	test_levels();
	return tap_done();
}
