/*
 * test_space.c - search spaces: what is accepted, what is refused and how, and what is drawn
 */
#include "tap.h"

#include "core/rng.h"
#include "parse_json.h"
#include "tune/sampler.h"

static const HbHost *host = &hb_host_malloc;

static HbSpace *
space_of(const char *text)
{
	HbStatus status;
	HbSpace *space;

	hb_status_init(&status);
	space = hb_space_parse(host, parse_json(text), &status);
	if (!space)
		printf("# %s: %s\n", status.sqlstate, status.message);
	return space;
}

static void
refused(const char *text, const char *sqlstate, const char *message)
{
	HbStatus status;

	hb_status_init(&status);
	if (!ok(!hb_space_parse(host, parse_json(text), &status) &&
				strcmp(status.sqlstate, sqlstate) == 0 && strcmp(status.message, message) == 0,
			"%s %s: %.60s", sqlstate, message, text))
		printf("# got %s %s\n", status.sqlstate, status.message);
}

static HbJson *
draw(const HbSpace *space, uint64_t seed, int64_t number)
{
	HbSampleRequest request = {.host = host, .space = space, .seed = seed, .number = number};
	HbStatus status;

	hb_status_init(&status);
	return hb_sampler_find("random", &status)->sample(&request, &status);
}

static double
number_of(const HbJson *config, const char *key)
{
	const HbJson *value = hb_json_get(config, key);

	return value && value->type == HB_JSON_NUMBER ? value->number : NAN;
}

static void
test_refused(void)
{
	const char *empty = "search space must be a non-empty JSON object";

	refused("{}", "22023", empty);
	refused("[]", "22023", empty);
	refused("3", "22023", empty);
	refused("{'lr': {'type':'float','low':1,'high':0}}", "22023",
			"lower bound 1 of \"lr\" is greater than upper bound 0");
	refused("{'lr': {'type':'float','low':0,'high':1,'log':true}}", "22023",
			"bounds of log-scaled parameter \"lr\" must be positive");
	refused("{'lr': {'type':'float','low':-1,'high':1,'log':true}}", "22023",
			"bounds of log-scaled parameter \"lr\" must be positive");
	refused("{'lr': {'type':'float','low':1e309,'high':1e309}}", "22003",
			"\"low\" of \"lr\" is out of range");
	refused("{'lr': {'type':'float','low':0,'high':1e309}}", "22003",
			"\"high\" of \"lr\" is out of range");
	refused("{'lr': {'type':'float','low':'NaN','high':1}}", "22023",
			"\"low\" of \"lr\" must be a number");
	refused("{'lr': {'type':'float','low':0}}", "22023",
			"search space parameter \"lr\" needs \"high\"");
	refused("{'lr': {'type':'float','low':null,'high':1}}", "22023",
			"search space parameter \"lr\" needs \"low\"");
	refused("{'lr': {'type':'float','low':1,'high':2,'log':true,'step':0.1}}", "22023",
			"log-scaled parameter \"lr\" cannot have a step");
	refused("{'n': {'type':'int','low':1,'high':9,'log':true,'step':2}}", "22023",
			"log-scaled parameter \"n\" cannot have a step");
	refused("{'lr': {'type':'float','low':1,'high':2,'step':0}}", "22023",
			"step of \"lr\" must be positive");
	refused("{'lr': {'type':'float','low':1,'high':2,'step':-1}}", "22023",
			"step of \"lr\" must be positive");
	refused("{'lr': {'type':'float','low':1,'high':2,'log':1}}", "22023",
			"\"log\" of \"lr\" must be true or false");
	refused("{'lr': {'type':'float','low':1,'high':2,'grid':0}}", "22023",
			"\"grid\" of \"lr\" must be an integer from 1 to 10000");
	refused("{'lr': {'type':'float','low':1,'high':2,'grid':1.5}}", "22023",
			"\"grid\" of \"lr\" must be an integer from 1 to 10000");
	refused("{'lr': {'type':'float','low':1,'hihg':2}}", "22023",
			"unrecognized key \"hihg\" in search space parameter \"lr\"");
	refused("{'lr': {'type':'categorical','choices':[1],'low':2}}", "22023",
			"unrecognized key \"low\" in search space parameter \"lr\"");
	refused("{'lr': {'type':'flt','low':1,'high':2}}", "22023",
			"unrecognized type \"flt\" of search space parameter \"lr\"");
	refused("{'lr': {'type':7}}", "22023", "unrecognized type 7 of search space parameter \"lr\"");
	refused("{'lr': {'low':1,'high':2}}", "22023", "search space parameter \"lr\" needs \"type\"");
	refused("{'n': {'type':'int','low':1.5,'high':2}}", "22023",
			"bounds of integer parameter \"n\" must be integers");
	refused("{'n': {'type':'int','low':1,'high':1e19}}", "22003",
			"bounds of integer parameter \"n\" are out of range");
	refused("{'n': {'type':'int','low':1,'high':9,'step':1.5}}", "22023",
			"step of integer parameter \"n\" must be an integer");
	refused("{'c': []}", "22023", "choices of \"c\" must not be empty");
	refused("{'c': {'type':'categorical','choices':[]}}", "22023",
			"choices of \"c\" must not be empty");
	refused("{'c': {'type':'categorical','choices':3}}", "22023",
			"choices of \"c\" must be an array");
	refused("{'c': {'type':'categorical'}}", "22023",
			"search space parameter \"c\" needs \"choices\"");
	refused("{'c': [1, [2]]}", "22023",
			"values of \"c\" must be numbers, strings, booleans or null");
	refused("{'c': [1, 1e400]}", "22003", "value of \"c\" is out of range");
	refused("{'c': 1e400}", "22003", "value of \"c\" is out of range");
	refused("{'c': {'type':'fixed','value':[1]}}", "22023",
			"values of \"c\" must be numbers, strings, booleans or null");
	refused("{'c': {'type':'fixed'}}", "22023", "search space parameter \"c\" needs \"value\"");
	refused("{'': 1}", "22023", "name of a search space parameter must not be empty");
	refused("{'c': {'cases':[]}}", "22023", "\"cases\" of \"c\" must be a non-empty array");
	refused("{'c': {'cases':[3]}}", "22023", "each case of \"c\" must be an object");
	refused("{'c': {'cases':[{'type':'fixed','value':1}],'type':'fixed'}}", "22023",
			"unrecognized key \"type\" in search space parameter \"c\"");
	refused("{'lr': {'name':'UniformDistribution','attributes':{'low':0,'high':1}}}", "22023",
			"unrecognized type \"UniformDistribution\" of search space parameter \"lr\"");
	refused("{'lr': {'name':'FloatDistribution','attributes':{'low':0,'high':1,'x':1}}}", "22023",
			"unrecognized key \"x\" in search space parameter \"lr\"");
	refused("{'lr': {'name':'FloatDistribution','attributes':3}}", "22023",
			"\"attributes\" of \"lr\" must be an object");
}

static void
test_refused_conditions(void)
{
	refused("{'m': {'type':'fixed','value':1,'when':{'opt':'sgd'}}}", "22023",
			"\"when\" of \"m\" names \"opt\", which is not in the search space");
	refused("{'m': {'type':'fixed','value':1,'when':3}}", "22023",
			"\"when\" of \"m\" must be an object");
	refused("{'o':['a','b'], 'm': {'type':'fixed','value':1,'when':{'o':[]}}}", "22023",
			"\"when\" values of \"m\" must not be empty");
	refused(
		"{'o':{'type':'float','low':0,'high':1}, 'm': {'type':'fixed','value':1,'when':{'o':1}}}",
		"22023", "parent \"o\" of \"m\" must be categorical, fixed or an integer");
	refused("{'a': {'type':'fixed','value':1,'when':{'b':1}}, 'b': "
			"{'type':'fixed','value':1,'when':{'a':1}}}",
			"22023", "conditions of search space parameter \"a\" form a cycle");
	refused("{'x': 1, 'a': {'type':'fixed','value':1,'when':{'a':1}}}", "22023",
			"conditions of search space parameter \"a\" form a cycle");
}

static void
test_limits(void)
{
	HbJson *space = hb_json_object(host);
	HbJson *choices = hb_json_array(host);
	HbJson *many = hb_json_object(host);
	HbJson *deep = hb_json_number(host, 1);
	HbStatus status;

	for (int i = 0; i < 10000; i++)
		hb_json_push(host, choices, hb_json_number(host, i));
	hb_json_set(host, space, "c", choices);
	ok(hb_space_parse(host, space, &status) != NULL, "10000 choices");
	hb_json_push(host, choices, hb_json_number(host, -1));
	ok(!hb_space_parse(host, space, &status), "10001 choices");
	is_str(status.sqlstate, "54000", "are beyond a limit");
	is_str(status.message, "\"c\" has 10001 choices, more than 10000", "which is named");
	for (int i = 0; i < 1001; i++)
	{
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		hb_json_set(host, many, name, hb_json_number(host, i));
	}
	ok(!hb_space_parse(host, many, &status) && strcmp(status.sqlstate, "54000") == 0,
	   "too many parameters");
	for (int i = 0; i < 100000; i++)
	{
		HbJson *outer = hb_json_array(host);

		hb_json_push(host, outer, deep);
		deep = outer;
	}
	space = hb_json_object(host);
	hb_json_set(host, space, "c", deep);
	ok(!hb_space_parse(host, space, &status) && strcmp(status.sqlstate, "22023") == 0,
	   "nesting 100000 deep");
}

static void
test_forms(void)
{
	HbSpace *space = space_of("{'a': 'x', 'b': [1, 2], 'c': true, 'n': null,"
							  " 'd': {'type':'float','low':-0.0,'high':2,'step':null,'log':false},"
							  " 'e': {'type':'int','low':2,'high':2}}");
	const HbSpaceParam *p = space->params;

	is_int(space->nparams, 6, "six parameters");
	ok(p[0].cases->type == HB_DIST_FIXED && strcmp(p[0].cases->choices[0]->string, "x") == 0,
	   "a scalar is fixed");
	ok(p[1].cases->type == HB_DIST_CATEGORICAL && p[1].cases->nchoices == 2,
	   "an array is categorical");
	ok(p[2].cases->type == HB_DIST_FIXED && p[3].cases->type == HB_DIST_FIXED,
	   "true and null are fixed, too");
	ok(p[4].cases->type == HB_DIST_FLOAT && p[4].cases->grid == 5 && p[4].cases->step == 0 &&
		   !signbit(p[4].cases->low),
	   "a float, with defaults and without negative zero");
	ok(p[5].cases->type == HB_DIST_INT && p[5].cases->step == 1, "an integer");
	is_near(number_of(draw(space, 1, 1), "e"), 2, 0, "equal bounds are a constant");
	ok(p[0].name_hash == hb_hash64("a", 1, 0), "a name's hash");
}

static void
test_optuna(void)
{
	HbSpace *own = space_of("{'lr':{'type':'float','low':1e-4,'high':0.1,'log':true},"
							" 'n':{'type':'int','low':4,'high':64,'step':4}, 'c':['a','b']}");
	HbSpace *optuna = space_of(
		"{'lr':{'name':'FloatDistribution','attributes':{'low':1e-4,'high':0.1,'log':true,'step':"
		"null}},"
		" 'n':{'name':'IntDistribution','attributes':{'low':4,'high':64,'log':false,'step':4}},"
		" 'c':{'name':'CategoricalDistribution','attributes':{'choices':['a','b']}}}");
	int equal = 0;

	for (int i = 1; i <= 100; i++)
		equal += hb_json_equal(draw(own, 3, i), draw(optuna, 3, i));
	is_int(equal, 100, "Optuna's form draws the same values as ours");
	ok(space_of("{'o':['a','b'],'lr':{'name':'FloatDistribution','attributes':{'low':0,'high':1},"
				"'when':{'o':'a'}}}") != NULL,
	   "Optuna's form takes a condition");
}

static void
test_conditions(void)
{
	HbSpace *space = space_of(
		"{'rate':{'cases':["
		"   {'type':'float','low':1e-3,'high':0.3,'log':true,'when':{'opt':'nesterov'}},"
		"   {'type':'float','low':1e-4,'high':0.02,'log':true,'when':{'opt':['adam','rmsprop']}}]},"
		" 'units_2':{'type':'int','low':8,'high':16,'when':{'layers':[2,3]}},"
		" 'deep':{'type':'fixed','value':'yes','when':{'units_2':[8,9,10,11,12,13,14,15,16],'"
		"layers':3}},"
		" 'momentum':{'type':'float','low':0.8,'high':0.98,'when':{'opt':'nesterov'}},"
		" 'opt':['nesterov','adam','sgd'],"
		" 'layers':{'type':'int','low':1,'high':3}}");
	int wrong = 0;
	int counts[3] = {0};

	ok(space->order[0] == 4 && space->order[1] == 5 && space->order[2] == 0,
	   "parents come first, otherwise the order of the space");
	for (int i = 1; i <= 3000; i++)
	{
		HbJson *config = draw(space, 9, i);
		const char *optimizer = hb_json_get(config, "opt")->string;
		double layers = number_of(config, "layers");
		double rate = number_of(config, "rate");
		bool nesterov = strcmp(optimizer, "nesterov") == 0;
		bool adam = strcmp(optimizer, "adam") == 0;

		counts[nesterov ? 0 : adam ? 1 : 2]++;
		wrong += nesterov != (hb_json_get(config, "momentum") != NULL);
		wrong += nesterov ? !(rate >= 1e-3 && rate <= 0.3)
				 : adam   ? !(rate >= 1e-4 && rate <= 0.02)
						  : !isnan(rate);
		wrong += (layers >= 2) != !isnan(number_of(config, "units_2"));
		wrong += (layers == 3) != (hb_json_get(config, "deep") != NULL);
		/* members come in the order of the space */
		for (int m = 1, last = -1; m <= config->count; m++)
		{
			int at = 0;

			while (strcmp(space->params[at].name, config->keys[m - 1]) != 0)
				at++;
			wrong += at <= last;
			last = at;
		}
	}
	is_int(wrong, 0, "parameters are active exactly when their conditions hold, and ordered");
	ok(counts[0] > 850 && counts[1] > 850 && counts[2] > 850, "choices are equally likely");
}

static void
test_streams(void)
{
	HbSpace *one = space_of("{'lr':{'type':'float','low':0,'high':1}, 'c':['a','b','c']}");
	HbSpace *more = space_of("{'x':{'type':'float','low':0,'high':1}, 'c':['a','b','c'],"
							 " 'lr':{'type':'float','low':0,'high':1}, 'y':[1,2]}");
	int same = 0;
	int equal_parameters = 0;

	for (int i = 1; i <= 200; i++)
	{
		HbJson *a = draw(one, 5, i);
		HbJson *b = draw(more, 5, i);

		same += number_of(a, "lr") == number_of(b, "lr") &&
				hb_json_equal(hb_json_get(a, "c"), hb_json_get(b, "c"));
		equal_parameters += number_of(b, "lr") == number_of(b, "x");
		same -= number_of(a, "lr") == number_of(draw(one, 6, i), "lr");
	}
	is_int(same, 200, "adding parameters leaves the others' values; another seed does not");
	is_int(equal_parameters, 0, "parameters of one range differ");
}

static void
test_distributions(void)
{
	HbSpace *space = space_of("{'log':{'type':'float','low':1e-6,'high':1,'log':true},"
							  " 'int':{'type':'int','low':-2,'high':2},"
							  " 'odd':{'type':'int','low':1,'high':8,'step':3},"
							  " 'logint':{'type':'int','low':1,'high':100,'log':true},"
							  " 'step':{'type':'float','low':0,'high':0.3,'step':0.1},"
							  " 'wide':{'type':'float','low':-1.7e308,'high':1.7e308}}");
	int decade[6] = {0};
	int ints[5] = {0};
	int odd[9] = {0};
	int steps[4] = {0};
	int ones = 0;
	int wrong = 0;
	int wide = 0;
	double expected = (log(1.5) - log(0.5)) / (log(100.5) - log(0.5));

	for (int i = 1; i <= 12000; i++)
	{
		HbJson *c = draw(space, 21, i);
		double x = number_of(c, "log");
		double n = number_of(c, "logint");

		wrong += !(x >= 1e-6 && x <= 1) || n != floor(n) || n < 1 || n > 100;
		decade[(int) fmin(5, floor(-log10(x)))]++;
		ints[(int) number_of(c, "int") + 2]++;
		odd[(int) number_of(c, "odd")]++;
		steps[(int) lround(number_of(c, "step") * 10)]++;
		ones += n == 1;
		wide += number_of(c, "wide") > 0;
		wrong += !isfinite(number_of(c, "wide"));
	}
	is_int(wrong, 0, "values lie within their bounds, integers are integral");
	for (int k = 0; k < 6; k++)
		wrong += abs(decade[k] - 2000) > 200;
	is_int(wrong, 0, "log scale: every decade is equally likely");
	for (int k = 0; k < 5; k++)
		wrong += abs(ints[k] - 2400) > 220;
	is_int(wrong, 0, "integers are equally likely, bounds included");
	is_int(odd[1] + odd[4] + odd[7], 12000, "a step leads from the lower bound");
	for (int k = 0; k < 4; k++)
		wrong += abs(steps[k] - 3000) > 250;
	is_int(wrong, 0, "a float's steps are equally likely, the last included");
	is_near(ones / 12000.0, expected, 0.015, "log integers: the smallest has its fair share");
	is_near(wide / 12000.0, 0.5, 0.02, "bounds whose difference overflows");
}

static void
test_quantile_ends(void)
{
	HbSpace *space = space_of("{'a':{'type':'float','low':0.1,'high':0.7},'b':['x','y'],"
							  "'c':{'type':'int','low':3,'high':9},'d':{'type':'float','low':0.1,'"
							  "high':0.7,'log':true}}");
	double last = 1 - 0x1p-53;

	is_near(hb_dist_quantile(host, space->params[0].cases, 0)->number, 0.1, 0,
			"float: lower bound");
	ok(hb_dist_quantile(host, space->params[0].cases, last)->number <= 0.7, "float: upper bound");
	is_str(hb_dist_quantile(host, space->params[1].cases, last)->string, "y", "last choice");
	is_near(hb_dist_quantile(host, space->params[2].cases, last)->number, 9, 0, "int: upper bound");
	is_near(hb_dist_quantile(host, space->params[2].cases, 0)->number, 3, 0, "int: lower bound");
	ok(hb_dist_quantile(host, space->params[3].cases, 0)->number >= 0.1 &&
		   hb_dist_quantile(host, space->params[3].cases, last)->number <= 0.7,
	   "log float: both bounds");
}

static void
test_registry(void)
{
	static const char *const names[] = {"random", "grid", "sobol", "tpe", "gp"};
	HbStatus status;

	hb_status_init(&status);
	for (int i = 0; i < 5; i++)
		ok(hb_sampler_find(names[i], &status) != NULL, "sampler %s", names[i]);
	ok(!hb_sampler_find("magic", &status), "an unknown sampler");
	is_str(status.sqlstate, "22023", "is an invalid parameter");
	is_str(status.message, "unrecognized sampler \"magic\"", "and named");
	is_str(status.hint,
		   "Available samplers are \"random\", \"grid\", \"sobol\", \"tpe\" and \"gp\".",
		   "with a hint");
}

int
main(void)
{
	test_refused();
	test_refused_conditions();
	test_limits();
	test_forms();
	test_optuna();
	test_conditions();
	test_streams();
	test_distributions();
	test_quantile_ends();
	test_registry();
	return tap_done();
}
