/*
 * run_warm.c - a warm start: what another study found out
 *
 * Its best configurations that lie in the new search space are evaluated first.  Where both spaces have the same
 * parameters, by name and type, and both studies minimise the same metric, a sampler that learns sees the other
 * study's results as well, under numbers below 1, as if they had been recorded before the first trial.  All of it is
 * copied when the study is made: the other one may be dropped, or resumed and changed, afterwards.
 */
#include "pg.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/external.h"
#include "pg/run.h"
#include "tune/point.h"

/* A trial of the other study at the result that it is ranked by. */
typedef struct HbWarmTrial
{
	int64 number;
	int64 level; /* 0 where results compare whatever their resource */
	double loss;
	double tie;
	int64 resource;
	const HbJson *config;
} HbWarmTrial;

static int
hb_warm_compare(const void *left, const void *right)
{
	const HbWarmTrial *a = left;
	const HbWarmTrial *b = right;

	if (a->level != b->level)
		return a->level > b->level ? -1 : 1;
	if (a->loss != b->loss)
		return a->loss < b->loss ? -1 : 1;
	if (a->tie != b->tie)
		return a->tie < b->tie ? -1 : 1;
	if (a->resource != b->resource)
		return a->resource > b->resource ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

/*
 * The finite results alone, each trial once, best first by the winner's rule, ties included.  Of means it is a
 * trial's last one, and those of more folds or pulls come first, as who completed has the most.
 */
static HbWarmTrial *
hb_warm_rank(const HbWarmSource *source, int *nranked)
{
	const HbObservation *observations = source->observations;
	int n = source->n;
	HbWarmTrial *ranked = palloc(sizeof(HbWarmTrial) * Max(n, 1));
	int count = 0;
	int i;

	for (i = 0; i < n; i++)
	{
		HbWarmTrial trial = {.number = observations[i].number,
							 .level = source->means ? observations[i].resource : 0,
							 .loss = observations[i].loss,
							 .tie = isnan(source->ties[i]) ? INFINITY : source->ties[i],
							 .resource = observations[i].resource,
							 .config = observations[i].config};

		if (!isfinite(trial.loss))
			continue;
		if (count == 0 || ranked[count - 1].number != trial.number)
			ranked[count++] = trial;
		else if (source->means || hb_warm_compare(&trial, &ranked[count - 1]) < 0)
			ranked[count - 1] = trial;
	}
	qsort(ranked, count, sizeof(HbWarmTrial), hb_warm_compare);
	*nranked = count;
	return ranked;
}

/* Configurations of the new space among them. */
static void
hb_warm_configs(const HbSpace *space, const HbWarmTrial *ranked, int nranked, HbWarm *warm)
{
	HTAB *taken = hb_digests_create(CurrentMemoryContext);
	HbStatus status;
	HbPoint point;
	int i;

	hb_status_init(&status);
	if (!hb_point_init(&point, &hb_host_pg, space, &status))
		hb_raise(&status);
	warm->configs = palloc(sizeof(HbJson *) * Max(nranked, 1));
	for (i = 0; i < nranked; i++)
	{
		HbJson *config;
		uint64 digest;
		bool found;

		if (!hb_point_read(&point, ranked[i].config))
			continue;
		config = hb_point_config(&point, &hb_host_pg, &status);
		if (!config)
			hb_raise(&status);
		/* the other study may have had parameters that this one has not */
		digest = hb_config_digest(hb_json_to_jsonb(config));
		(void) hash_search(taken, &digest, HASH_ENTER, &found);
		if (!found)
			warm->configs[warm->nconfigs++] = config;
	}
	hash_destroy(taken);
	hb_point_release(&point, &hb_host_pg);
}

/* The plan of the other study is not at hand: a trial that ended goes up to the next level with a result. */
static void
hb_warm_ends(HbObservation *observations, int n)
{
	int i;
	int j;

	for (i = 0; i < n; i++)
	{
		int64 level = PG_INT64_MAX;

		for (j = 0; j < n && !isfinite(observations[i].loss); j++)
			if (isfinite(observations[j].loss) &&
				observations[j].resource >= observations[i].resource)
				level = Min(level, observations[j].resource);
		if (level < PG_INT64_MAX)
			observations[i].resource = level;
	}
}

/* A fixed value is a choice of one. */
static HbDistType
hb_warm_type(const HbDist *dist)
{
	return dist->type == HB_DIST_FIXED ? HB_DIST_CATEGORICAL : dist->type;
}

static bool
hb_warm_same_space(const HbSpace *a, const HbSpace *b)
{
	int i;
	int j;

	if (a->nparams != b->nparams)
		return false;
	for (i = 0; i < a->nparams; i++)
	{
		for (j = 0; j < b->nparams; j++)
			if (strcmp(a->params[i].name, b->params[j].name) == 0)
				break;
		if (j == b->nparams ||
			hb_warm_type(&a->params[i].cases[0]) != hb_warm_type(&b->params[j].cases[0]))
			return false;
	}
	return true;
}

/* A loss compares with another's where both minimise the same; functions and outside workers name no metric. */
static bool
hb_warm_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
hb_warm_comparable(const HbSpace *space, Jsonb *other)
{
	HbStatus status;
	HbSpace *other_space;

	if (other == NULL)
		return false;
	hb_status_init(&status);
	other_space = hb_space_parse(&hb_host_pg, hb_json_from_jsonb(other), &status);
	if (!other_space)
		hb_raise(&status);
	return hb_warm_same_space(space, other_space);
}

static void
no_warm_study(int64 id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("study %lld does not exist", (long long) id)));
}

/* The other study, in a catalog scope; its owner's privileges must be among those of role. */
static HbStudyRow *
hb_warm_study(int64 id, Oid role)
{
	HbStudyRow *other = hb_study_get(id);

	if (other == NULL || !has_privs_of_role(role, other->owner))
		no_warm_study(id);
	return other;
}

/* same_loss: both studies minimise the same figure. Takes the observations over. */
static HbWarm *
hb_warm_build(const HbSpace *space, const HbWarmSource *source, bool same_loss)
{
	HbWarm *warm = palloc0(sizeof(HbWarm));
	HbWarmTrial *ranked;
	int nranked;
	int i;

	ranked = hb_warm_rank(source, &nranked);
	hb_warm_configs(space, ranked, nranked, warm);
	if (same_loss && hb_warm_comparable(space, source->search_space))
	{
		warm->observations = source->observations;
		warm->nobservations = source->n;
		hb_warm_ends(warm->observations, source->n);
		/* ascending as before, the last at 0 or below */
		for (i = 0; i < source->n; i++)
			warm->observations[i].number -= PG_INT32_MAX;
	}
	return warm;
}

void
hb_warm_check(int64 id)
{
	Oid caller = GetUserId(); /* inside the scope it is the extension's owner */
	HbCatalogScope scope;
	HbStudyRow *other;

	if (id == 0)
		return;
	hb_catalog_enter(&scope);
	other = hb_warm_study(id, caller);
	hb_catalog_leave(&scope);
	if (strcmp(other->state, "queued") == 0 || strcmp(other->state, "running") == 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("study %lld has not ended", (long long) id),
						errhint("Wait for it with hyperband_wait().")));
}

void
hb_warm_keep(int64 study_id, int64 id)
{
	if (id != 0 && !hb_warm_take(study_id, id))
		no_warm_study(id);
}

static void
read_source(int64 study_id, HbWarmSource *source)
{
	if (!hb_warm_source_get(study_id, source))
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("study %lld has lost what its warm start took over",
							   (long long) study_id)));
}

HbWarm *
hb_warm_read(const HbRun *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	HbTransaction transaction;
	HbWarmSource source;
	HbWarm *warm;

	hb_transaction_begin(&transaction);
	read_source(run->study->study_id, &source);
	hb_transaction_commit(&transaction);
	warm = hb_warm_build(run->space, &source,
						 hb_warm_same_text(source.metric, hb_metrics[run->metric].name));
	MemoryContextSwitchTo(caller);
	return warm;
}

HbWarm *
hb_warm_read_for(const HbSpace *space, const HbStudyRow *study)
{
	HbCatalogScope scope;
	HbWarmSource source;

	/* a background worker that opens a study has none */
	PushActiveSnapshot(GetTransactionSnapshot());
	hb_catalog_enter(&scope);
	read_source(study->study_id, &source);
	hb_catalog_leave(&scope);
	PopActiveSnapshot();
	return hb_warm_build(space, &source,
						 source.metric == NULL &&
							 hb_warm_same_text(source.direction, study->direction));
}
