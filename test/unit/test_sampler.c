/*
 * test_sampler.c - grids, quasi-random sequences, and that no configuration comes twice
 */
#include "sampler_study.h"

#include "core/rng.h"
#include "tune/lattice.h"
#include "tune/sobol.h"

static const HbHost *host = &hb_host_malloc;

/* All proposals of a sampler until it has none left, or n. */
static int
propose_all(Study *study, const char *sampler, const char *space, uint64_t seed, int n)
{
	study_start(study, sampler, study_space(space), seed);
	while (study->request.npending < n && study_ask(study))
		;
	return study->request.npending;
}

static int64_t
limit_of(const char *space)
{
	HbStatus status;
	int64_t limit = -1;

	hb_status_init(&status);
	if (!hb_sampler_find("grid", &status)->limit(host, study_space(space), &limit, &status))
		printf("# %s: %s\n", status.sqlstate, status.message);
	return limit;
}

static bool
has_number(const Study *study, const char *key, double value)
{
	for (int i = 0; i < study->request.npending; i++)
		if (fabs(study_number(study->pending[i], key) - value) <= 1e-12 * fabs(value))
			return true;
	return false;
}

/* A space of one parameter gives these values, and no others. */
static void
check_levels(const char *dist, int n, const double *values)
{
	static Study study;
	char space[200];
	int found = 0;

	snprintf(space, sizeof(space), "{'x':%s}", dist);
	is_int(propose_all(&study, "grid", space, 1, 100), n, "%s: %d values", dist, n);
	for (int i = 0; i < n; i++)
		found += has_number(&study, "x", values[i]);
	is_int(found, n, "the right ones");
}

static void
test_grid_levels(void)
{
	check_levels("{'type':'float','low':0,'high':1}", 5, (double[]){0, 0.25, 0.5, 0.75, 1});
	check_levels("{'type':'float','low':1e-4,'high':1,'log':true}", 5,
				 (double[]){1e-4, 1e-3, 1e-2, 1e-1, 1});
	check_levels("{'type':'float','low':2,'high':4,'grid':1}", 1, (double[]){3});
	check_levels("{'type':'float','low':1,'high':4,'log':true,'grid':1}", 1, (double[]){2});
	check_levels("{'type':'float','low':2,'high':2}", 1, (double[]){2});
	check_levels("{'type':'float','low':0,'high':0.3,'step':0.1}", 4, (double[]){0, 0.1, 0.2, 0.3});
	check_levels("{'type':'float','low':0,'high':10,'step':1,'grid':3}", 3, (double[]){0, 5, 10});
	check_levels("{'type':'int','low':1,'high':3}", 3, (double[]){1, 2, 3});
	check_levels("{'type':'int','low':0,'high':100}", 5, (double[]){0, 25, 50, 75, 100});
	check_levels("{'type':'int','low':1,'high':16,'step':5,'grid':10}", 4,
				 (double[]){1, 6, 11, 16});
	check_levels("{'type':'int','low':1,'high':256,'log':true}", 5, (double[]){1, 4, 16, 64, 256});
	check_levels("{'type':'int','low':1,'high':4,'log':true,'grid':9}", 4, (double[]){1, 2, 3, 4});
	check_levels("[3, 1, 3, 2, 1]", 3, (double[]){1, 2, 3});
	check_levels("7", 1, (double[]){7});
}

#define CONDITIONAL                                                                                \
	"{'opt':['sgd','adam'],'momentum':{'type':'float','low':0,'high':1,'when':{'opt':'sgd'}},"     \
	"'layers':{'type':'int','low':1,'high':3},"                                                    \
	"'units':{'type':'int','low':8,'high':64,'grid':4,'log':true,'when':{'layers':[2,3]}},"        \
	"'drop':{'type':'float','low':0,'high':0.5,'grid':2,'when':{'layers':3}},"                     \
	"'rate':{'cases':[{'type':'float','low':1,'high':2,'grid':2,'when':{'opt':'sgd'}},"            \
	"                 {'type':'float','low':1,'high':2,'grid':3}]}}"

static void
test_grid(void)
{
	static Study study;
	static Study other;
	bool exhausted = false;
	int same = 0;
	/* opt: 5 * 2 + 3; layers: 1 + 4 + 4 * 2 */
	int points = 13 * 13;

	is_int(limit_of(CONDITIONAL), points, "conditional parameters multiply only where active");
	is_int(propose_all(&study, "grid", CONDITIONAL, 4, 1000), points, "all points come");
	is_int(study_repeats(&study), 0, "each once");
	study.request.exhausted = &exhausted;
	ok(!study_ask(&study) && exhausted, "then none is left");
	is_str(study.status.sqlstate, "22023", "which is an error");
	is_str(study.status.message, "all 169 points of the grid have been proposed", "that says so");
	propose_all(&other, "grid", CONDITIONAL, 5, 1000);
	for (int i = 0; i < points; i++)
		same += hb_json_equal(study.pending[i], other.pending[i]);
	ok(same < 8, "the order depends on the seed (%d of 169 in the same place)", same);
	is_int(study_repeats(&other), 0, "and is complete under another one");
	is_int(limit_of("{'a':{'type':'float','low':0,'high':1,'grid':10000},"
					"'b':{'type':'float','low':0,'high':1,'grid':10000}}"),
		   100000000, "a large grid is counted");
}

static void
test_grid_warm_start(void)
{
	static Study study;
	static Study plain;
	const char *space = "{'a':[1,2,3],'b':['x','y','z']}";
	int missing = 0;

	propose_all(&plain, "grid", space, 6, 9);
	study_start(&study, "grid", study_space(space), 6);
	/* two trials of a warm start: points of the grid, and one that is none */
	study.pending[0] = plain.pending[4];
	study.pending[1] = parse_json("{'a':9,'b':'x'}");
	study.request.npending = 2;
	study.request.number = 2;
	study.request.warm_trials = 2;
	while (study_ask(&study))
		;
	is_int(study.request.npending, 10, "a warm start's points are not repeated");
	is_int(study_repeats(&study), 0, "nor others");
	for (int i = 0; i < 9; i++)
	{
		int k = 0;

		while (k < study.request.npending && !hb_json_equal(study.pending[k], plain.pending[i]))
			k++;
		missing += k == study.request.npending;
	}
	is_int(missing, 0, "and none is left out");
}

static void
test_grid_limits(void)
{
	static Study study;
	HbStatus status;
	int64_t limit;
	char space[8000] = "{";

	hb_status_init(&status);
	for (int i = 0; i < 40; i++)
		snprintf(space + strlen(space), sizeof(space) - strlen(space),
				 "%s'p%d':{'type':'float','low':0,'high':1}", i ? "," : "", i);
	strcat(space, "}");
	ok(limit_of(space) == INT64_MAX, "a grid of 5^40 points has no practical end");
	is_int(propose_all(&study, "grid", space, 1, 50), 50, "it gives points");
	is_int(study_repeats(&study), 0, "different ones");
	/* twenty parents in one component: 3^20 combinations */
	strcpy(space, "{");
	for (int i = 0; i < 20; i++)
		snprintf(space + strlen(space), sizeof(space) - strlen(space), "'p%d':[1,2,3],", i);
	strcat(space, "'x':{'type':'fixed','value':1,'when':{");
	for (int i = 0; i < 20; i++)
		snprintf(space + strlen(space), sizeof(space) - strlen(space), "%s'p%d':1", i ? "," : "",
				 i);
	strcat(space, "}}}");
	ok(!hb_sampler_find("grid", &status)->limit(host, study_space(space), &limit, &status),
	   "combinations of parents are limited");
	is_str(status.sqlstate, "54000", "which is a program limit");
	is_int(propose_all(&study, "random", space, 1, 20), 20, "other samplers take the space");
}

static void
test_permutation(void)
{
	static const uint64_t sizes[] = {1, 2, 3, 5, 16, 17, 1000};
	bool seen[1000];

	for (int s = 0; s < 7; s++)
	{
		uint64_t distinct = 0;

		memset(seen, 0, sizeof(seen));
		for (uint64_t i = 0; i < sizes[s]; i++)
		{
			uint64_t image = hb_permuted(77, i, sizes[s]);

			distinct += image < sizes[s] && !seen[image];
			if (image < sizes[s])
				seen[image] = true;
		}
		is_int(distinct, sizes[s], "a permutation of %d numbers", (int) sizes[s]);
	}
	ok(hb_permuted(1, 5, UINT64_C(1) << 61) < UINT64_C(1) << 61, "of very many");
}

/* scipy 1.17.1: scipy.stats.qmc.Sobol(d=128, scramble=False, bits=32).random(1024), times 2^32 */
static void
test_sobol_digits(void)
{
	static const struct
	{
		int index;
		int dimension;
		uint32_t digits;
	} expected[] = {{1, 0, 2147483648},      {2, 1, 1073741824},      {3, 2, 3221225472},
					{5, 7, 1610612736},      {77, 20, 637534208},     {500, 63, 1887436800},
					{1000, 100, 3300917248}, {1023, 127, 3007315968}, {777, 50, 356515840}};

	for (int i = 0; i < 9; i++)
		is_int(hb_sobol_digits(expected[i].dimension, expected[i].index), expected[i].digits,
			   "point %d, dimension %d", expected[i].index, expected[i].dimension);
}

/* Every elementary interval of two dimensions holds one of 256 points: a (0,8,2)-net. */
static void
test_sobol_scrambled(void)
{
	int wrong = 0;
	int equal = 0;
	double mean = 0;

	for (int k = 0; k <= 8; k++)
	{
		int count[256] = {0};

		for (uint32_t i = 0; i < 256; i++)
		{
			double x = hb_sobol_scrambled(3, 11, 0, i);
			double y = hb_sobol_scrambled(3, 22, 1, i);

			count[(int) (x * (1 << k)) << (8 - k) | (int) (y * (1 << (8 - k)))]++;
			equal += hb_sobol_scrambled(4, 11, 0, i) == x;
		}
		for (int i = 0; i < 256; i++)
			wrong += count[i] != 1;
	}
	is_int(wrong, 0, "scrambled points are a net");
	is_int(equal, 0, "another seed gives others");
	for (int d = 0; d < 128; d++)
		for (uint32_t i = 0; i < 64; i++)
			mean += hb_sobol_scrambled(3, 100 + d, d, i) / 64 / 128;
	is_near(mean, 0.5, 1e-3, "every dimension is even");
	is_near(hb_sobol_scrambled(3, 1, 500, 1), hb_sobol_scrambled(3, 1, 501, 1), 0,
			"dimensions beyond the table draw by name");
}

static void
test_sobol(void)
{
	static Study study;
	int per_choice[4] = {0};
	int cells[16] = {0};
	int wrong = 0;

	is_int(propose_all(&study, "sobol",
					   "{'c':[0,1,2,3],'x':{'type':'float','low':1,'high':65536,'log':true}}", 9,
					   64),
		   64, "64 proposals");
	for (int i = 0; i < 64; i++)
	{
		per_choice[(int) study_number(study.pending[i], "c")]++;
		cells[(int) log2(study_number(study.pending[i], "x"))]++;
	}
	for (int i = 0; i < 16; i++)
		wrong += cells[i] != 4 || per_choice[i % 4] != 16;
	is_int(wrong, 0, "cover each parameter evenly");
}

static void
test_no_repeats(void)
{
	static const char *const samplers[] = {"random", "sobol", "tpe", "gp", "grid"};
	static Study study;
	const char *space = "{'a':[1,2,3],'b':{'type':'int','low':1,'high':5},"
						"'c':{'type':'float','low':0,'high':0.2,'step':0.1,'when':{'a':[1,2]}}}";

	for (int s = 0; s < 5; s++)
	{
		is_int(propose_all(&study, samplers[s], space, 2, 35), 35, "%s: proposals in one batch",
			   samplers[s]);
		is_int(study_repeats(&study), 0, "%s: all configurations of a small space", samplers[s]);
	}
	is_int(propose_all(&study, "random", space, 2, 60), 60, "beyond them, repeats come");
}

typedef struct Counter
{
	int calls;
	const HbJson *refused;
} Counter;

static bool
count_calls(void *context, const HbJson *config)
{
	Counter *counter = context;

	counter->calls++;
	return counter->refused && hb_json_equal(config, counter->refused);
}

static void
test_seen(void)
{
	static Study study;
	Counter counter = {0};
	const HbJson *first;
	const HbJson *second;

	study_start(&study, "random", study_space(BRANIN_SPACE), 2);
	study.request.seen = count_calls;
	study.request.seen_context = &counter;
	first = study_ask(&study);
	is_int(counter.calls, 1, "a caller may look configurations up itself");
	counter.refused = first;
	study.request.number--;
	second = study_ask(&study);
	ok(!hb_json_equal(first, second), "what it knows comes no more");
}

static void
test_points(void)
{
	HbSpace *space = study_space(CONDITIONAL);
	HbStatus status;
	HbPoint point;
	int wrong = 0;
	double low;
	double high;

	hb_point_init(&point, host, space, &status);
	ok(hb_point_read(&point, parse_json("{'opt':'adam','layers':1,'rate':1.5}")), "read");
	ok(hb_point_equals(&point, parse_json("{'rate':1.5,'opt':'adam','layers':1}")), "equal");
	ok(!hb_point_equals(&point, parse_json("{'rate':1.5,'opt':'adam','layers':1,'x':1}")),
	   "another member");
	ok(!hb_point_equals(&point, parse_json("{'rate':1.5,'opt':'sgd','layers':1}")),
	   "another value");
	ok(!hb_point_read(&point, parse_json("{'opt':'adam','layers':1,'rate':2.5}")), "out of range");
	ok(!hb_point_read(&point, parse_json("{'opt':'adam','layers':2,'rate':1.5}")),
	   "a parameter is missing");
	hb_point_release(&point, host);
	space = study_space("{'a':{'type':'int','low':1,'high':100,'log':true},"
						"'b':{'type':'float','low':-1,'high':2,'step':0.3},"
						"'c':{'type':'float','low':-1.7e308,'high':1.7e308},"
						"'d':{'type':'float','low':1e-8,'high':10,'log':true},"
						"'e':{'type':'int','low':-7,'high':9,'step':2}}");
	for (int p = 0; p < 5; p++)
		for (int i = 0; i < 500; i++)
		{
			const HbDist *dist = &space->params[p].cases[0];
			double u = (i + 0.5) / 500;
			double value = hb_dist_number(dist, u);
			double back = hb_dist_coordinate(dist, value);

			if (hb_dist_cell(dist, value, &low, &high))
				wrong += !(low <= u + 1e-12 && u <= high + 1e-12 && low < back && back < high);
			else
				wrong += fabs(back - u) > 1e-9;
		}
	is_int(wrong, 0, "coordinates are the inverse of draws");
}

int
main(void)
{
	test_points();
	test_grid_levels();
	test_grid();
	test_grid_warm_start();
	test_grid_limits();
	test_permutation();
	test_sobol_digits();
	test_sobol_scrambled();
	test_sobol();
	test_no_repeats();
	test_seen();
	return tap_done();
}
