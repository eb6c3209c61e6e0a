/*
 * study_check.c - whether the rows of a study can be worked with
 *
 * A restored dump or a superuser may have written anything that the constraints of the tables allow.  What code
 * relies on is looked at here, before a scheduler indexes with it; XX001 says what is wrong.
 */
#include "pg.h"

#include "pg/external.h"
#include "pg/request.h"
#include "pg/run.h"

void
hb_study_damaged(int64 study_id, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED), errmsg("study %lld is damaged", (long long) study_id),
			 errdetail_internal("%s", detail)));
}

static void
required(const HbStudyRow *study, const void *value, const char *column)
{
	if (value == NULL)
		hb_study_damaged(study->study_id, psprintf("Column \"%s\" must not be null.", column));
}

static void
check_table_study(const HbStudyRow *study)
{
	int device;

	required(study, study->name, "name");
	required(study, study->relation, "relation");
	required(study, study->target, "target");
	required(study, study->features, "features");
	required(study, study->model, "model");
	if (strcmp(study->resource, "epochs") != 0 && strcmp(study->resource, "rows") != 0 &&
		strcmp(study->resource, "folds") != 0)
		hb_study_damaged(study->study_id, "Column \"resource\" is not known.");
	if (study->device != NULL && !hb_device_parse(study->device, &device))
		hb_study_damaged(study->study_id, "Column \"device\" is not known.");
	/* written so that NaN fails, too */
	if (!(study->validation > 0 && study->validation < 1))
		hb_study_damaged(study->study_id, "Column \"validation\" must be between 0 and 1.");
}

void
hb_study_check(const HbStudyRow *study)
{
	bool function = strcmp(study->kind, "function") == 0;

	if (strcmp(study->kind, "table") == 0)
		check_table_study(study);
	else
		required(study, study->search_space, "search_space");
	if (function)
		required(study, study->objective, "objective");
	if (strcmp(study->kind, "external") != 0 &&
		(study->trainers < 1 || study->trainers > HB_MAX_TRAINERS))
		hb_study_damaged(study->study_id, psprintf("Column \"trainers\" must be between 1 and %d.",
												   HB_MAX_TRAINERS));
	if (study->settings != NULL && !JB_ROOT_IS_OBJECT(study->settings))
		hb_study_damaged(study->study_id, "Column \"settings\" must be an object.");
}

/* A view is an index into the plan: its bracket has been found, the rest must lie within it. */
void
hb_run_check_view(const HbRun *run, const HbTrialView *view)
{
	const HbPlanBracket *bracket = &run->plan.brackets[view->bracket_index];
	const char *what = NULL;

	if (view->number < bracket->first_number ||
		view->number >= bracket->first_number + bracket->trials)
		what = "is not of its bracket";
	else if (view->rung < -1 || view->rung >= bracket->nrungs)
		what = "stands at a rung that its bracket does not have";
	else if (view->resource < 0 || view->resource > bracket->rungs[bracket->nrungs - 1].resource ||
			 (view->rung >= 0 && view->resource < bracket->rungs[view->rung].resource))
		what = "has a resource that does not belong to its rung";
	if (what != NULL)
		hb_study_damaged(run->study->study_id,
						 psprintf("Trial %lld %s.", (long long) view->number, what));
}

void
hb_run_check_results(const HbRun *run)
{
	int64 i;

	for (i = 0; i < run->state.nresults; i++)
	{
		const HbResult *result = &run->results[i];
		const HbTrialView *view;

		if (result->number < 1 || result->number > run->ntrials)
			hb_study_damaged(run->study->study_id, "A result is of a trial that is not there.");
		view = &run->state.trials[result->number - 1];
		if (result->rung < 0 || result->rung > view->rung)
			hb_study_damaged(run->study->study_id,
							 psprintf("Trial %lld has a result at a rung that it has not reached.",
									  (long long) result->number));
	}
	if (run->best.number < 0 || run->best.number > run->ntrials)
		hb_study_damaged(run->study->study_id, "Its best trial is not there.");
}
