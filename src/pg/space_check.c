/*
 * space_check.c - a user's search space against what the model family declares
 *
 * tune knows the grammar and learn knows the hyperparameters; neither knows the other, so they meet
 * here.  Every bound and every choice of every case is checked, also of cases that other parameters may
 * never make active.
 */
#include "pg.h"

#include <math.h>

#include "request.h"
#include "tune/space.h"

/* Enough to tell which combinations a family refuses; no family's check depends on sizes. */
static HbProblem
problem_of_task(HbTask task)
{
	HbProblem problem = {.task = task, .inputs = 1, .outputs = 1, .rows_train = 0};

	if (task == HB_TASK_CLASSIFICATION)
		problem.outputs = 2;
	return problem;
}

static void
check_dist(const HbFamily *family, const char *name, const HbDist *dist)
{
	HbStatus status;
	int i;

	hb_status_init(&status);
	if (dist->type == HB_DIST_FLOAT || dist->type == HB_DIST_INT)
	{
		if (!hb_family_check_range(family, name, dist->type == HB_DIST_INT, dist->low, dist->high,
								   &status))
			hb_raise(&status);
		return;
	}
	for (i = 0; i < dist->nchoices; i++)
		if (!hb_family_check_value(family, name, dist->choices[i], &status))
			hb_raise(&status);
}

/* The value of "schedule" that a configuration resolves to. */
static bool
hb_schedule_param(const HbFamily *family, const HbProblem *problem, const HbJson *config,
				  double *value, HbStatus *status)
{
	double params[HB_MAX_PARAMS];

	if (!hb_family_resolve(family, problem, config, params, status))
		return false;
	*value = params[hb_family_param_index(family, "schedule")];
	return true;
}

bool
hb_resolve_config(const HbFamily *family, const HbProblem *problem, bool infinite,
				  const HbJson *config, double *params, HbStatus *status)
{
	int schedule = hb_family_param_index(family, "schedule");
	HbJson *value;

	if (!hb_family_resolve(family, problem, config, params, status))
		return false;
	if (!infinite || schedule < 0 || (config && hb_json_get(config, "schedule")))
		return true;
	/* the default falls towards an end that is not there */
	value = hb_json_string(&hb_host_pg, HB_INFINITE_SCHEDULE);
	config =
		value ? hb_json_set(&hb_host_pg, hb_json_object(&hb_host_pg), "schedule", value) : NULL;
	if (config == NULL)
		return hb_fail_memory(status, sizeof(HbJson));
	return hb_schedule_param(family, problem, config, &params[schedule], status);
}

/* The parameters that every configuration shares. */
static HbJson *
fixed_configuration(const HbSpace *space, const char *except)
{
	HbJson *config = hb_json_object(&hb_host_pg);
	int p;

	for (p = 0; config != NULL && p < space->nparams; p++)
	{
		const HbSpaceParam *param = &space->params[p];
		const HbDist *dist = &param->cases[0];

		if (param->ncases == 1 && dist->nconditions == 0 && dist->type == HB_DIST_FIXED &&
			strcmp(param->name, except) != 0)
			config = hb_json_set(&hb_host_pg, config, param->name, (HbJson *) dist->choices[0]);
	}
	return config;
}

/*
 * One choice together with the fixed parameters: hinge loss on a regression, log loss of a hinge.  A
 * configuration that does not resolve by itself (a parameter whose parent is searched, too) is checked
 * when its trial is drawn.
 */
static void
check_choice(const HbFamily *family, const HbSpace *space, const char *name, const HbJson *choice,
			 HbTask task, HbMetricId metric, bool infinite)
{
	HbProblem problem = problem_of_task(task);
	HbJson *config = fixed_configuration(space, name);
	double params[HB_MAX_PARAMS];
	HbStatus status;

	hb_status_init(&status);
	if (config == NULL || hb_json_set(&hb_host_pg, config, name, (HbJson *) choice) == NULL)
	{
		hb_fail_memory(&status, sizeof(HbJson));
		hb_raise(&status);
	}
	if (!hb_resolve_config(family, &problem, infinite, config, params, &status))
		return;
	if (!family->check(family, &problem, params, metric, infinite, &status))
		hb_raise(&status);
}

static void
check_combinations(const HbFamily *family, const HbSpace *space, HbTask task, HbMetricId metric,
				   bool infinite)
{
	int p;
	int c;
	int i;

	for (p = 0; p < space->nparams; p++)
	{
		const HbSpaceParam *param = &space->params[p];

		for (c = 0; c < param->ncases; c++)
		{
			const HbDist *dist = &param->cases[c];

			if (dist->type != HB_DIST_CATEGORICAL && dist->type != HB_DIST_FIXED)
				continue;
			for (i = 0; i < dist->nchoices; i++)
				check_choice(family, space, param->name, dist->choices[i], task, metric, infinite);
		}
	}
}

HbSpace *
hb_space_from_jsonb(Jsonb *jsonb)
{
	HbStatus status;
	HbSpace *space;

	hb_status_init(&status);
	if (!JB_ROOT_IS_OBJECT(jsonb) || JB_ROOT_COUNT(jsonb) == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("search space must be a non-empty JSON object")));
	space = hb_space_parse(&hb_host_pg, hb_json_from_jsonb(jsonb), &status);
	if (space == NULL)
		hb_raise(&status);
	return space;
}

void
hb_space_check(const HbFamily *family, Jsonb *jsonb, int task, int metric, bool infinite)
{
	HbSpace *space = hb_space_from_jsonb(jsonb);
	int p;
	int c;

	for (p = 0; p < space->nparams; p++)
		for (c = 0; c < space->params[p].ncases; c++)
			check_dist(family, space->params[p].name, &space->params[p].cases[c]);
	if (task >= 0)
		check_combinations(family, space, (HbTask) task,
						   metric >= 0 ? (HbMetricId) metric : hb_metric_default((HbTask) task),
						   infinite);
}
