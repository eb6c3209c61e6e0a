/*
 * predict.c - hyperband_predict, hyperband_classify, hyperband_probabilities
 *
 * Each takes a row or a JSON object.  One model row at a time, in plain C; everything that does not
 * depend on the row (which model the name means, how the row's columns feed it, buffers) is kept with
 * the call site, so that a row costs its arithmetic.  STABLE and PARALLEL SAFE: models are read under the
 * statement's snapshot and nothing is written.
 */
#include "pg.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "predict.h"

PG_FUNCTION_INFO_V1(hyperband_predict);
PG_FUNCTION_INFO_V1(hyperband_classify);
PG_FUNCTION_INFO_V1(hyperband_probabilities);
PG_FUNCTION_INFO_V1(hyperband_predict_jsonb);
PG_FUNCTION_INFO_V1(hyperband_classify_jsonb);
PG_FUNCTION_INFO_V1(hyperband_probabilities_jsonb);

/* What one call site keeps between rows; lives as long as its FmgrInfo. */
typedef struct HbCallSite
{
	MemoryContextCallback release;
	char *name;
	Size name_length;
	int version;
	HbResolution resolution;
	HbPredictor *predictor; /* pinned; NULL before the first row */
	HbRowBuffer buffer;
} HbCallSite;

/* ---- which model ---- */

static void
release_site(void *argument)
{
	HbCallSite *site = argument;

	if (site->predictor != NULL)
		hb_predictor_unpin(site->predictor);
	site->predictor = NULL;
}

static HbCallSite *
call_site(FunctionCallInfo fcinfo)
{
	FmgrInfo *function = fcinfo->flinfo;
	HbCallSite *site = function->fn_extra;

	if (site != NULL)
		return site;
	site = MemoryContextAllocZero(function->fn_mcxt, sizeof(HbCallSite));
	site->buffer.context =
		AllocSetContextCreate(function->fn_mcxt, "hyperband prediction", ALLOCSET_SMALL_SIZES);
	site->release.func = release_site;
	site->release.arg = site;
	MemoryContextRegisterResetCallback(function->fn_mcxt, &site->release);
	function->fn_extra = site;
	return site;
}

static void
site_set_name(HbCallSite *site, FmgrInfo *function, const char *name, Size length, int version)
{
	if (site->name != NULL)
		pfree(site->name);
	site->name = NULL;
	site->name = MemoryContextAlloc(function->fn_mcxt, length + 1);
	memcpy(site->name, name, length);
	site->name[length] = '\0';
	site->name_length = length;
	site->version = version;
}

/* The new model is pinned before the old one is let go: they may be the same. */
static void
site_set_predictor(HbCallSite *site, HbPredictor *predictor)
{
	HbPredictor *old = site->predictor;

	if (old == predictor)
		return;
	hb_row_buffer_init(&site->buffer, predictor);
	hb_predictor_pin(predictor);
	site->predictor = predictor;
	if (old != NULL)
		hb_predictor_unpin(old);
}

/* Version as given, 0 where it is NULL: the current one. */
static int
requested_version(FunctionCallInfo fcinfo, const text *name)
{
	int version;

	if (PG_ARGISNULL(2))
		return 0;
	version = PG_GETARG_INT32(2);
	if (version < 1)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("version %d of model \"%s\" does not exist", version,
							   text_to_cstring(name))));
	return version;
}

static HbCallSite *
site_for_model(FunctionCallInfo fcinfo)
{
	HbCallSite *site = call_site(fcinfo);
	text *name;
	Size length;
	int version;
	bool same;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("\"%s\" must not be null", "name")));
	name = PG_GETARG_TEXT_PP(0);
	length = VARSIZE_ANY_EXHDR(name);
	version = requested_version(fcinfo, name);

	same = site->name != NULL && site->version == version && site->name_length == length &&
		   memcmp(site->name, VARDATA_ANY(name), length) == 0;
	if (same && site->predictor != NULL && hb_resolution_valid(&site->resolution))
		return site;
	if (!same)
		site_set_name(site, fcinfo->flinfo, VARDATA_ANY(name), length, version);
	/* Not valid until found: an error below must not leave the old model under the new name. */
	site->resolution.user = InvalidOid;
	site_set_predictor(site, hb_predictor_find(site->name, version, &site->resolution));
	return site;
}

/* ---- scoring ---- */

/* Weights are finite, but an input far outside the training rows, where clipping is off, may overflow. */
static void
check_finite(const HbPredictor *predictor, const float *scores)
{
	for (uint32 k = 0; k < predictor->info.outputs; k++)
		if (!isfinite(scores[k]))
			ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
							errmsg("prediction of model \"%s\" is out of range", predictor->name)));
}

/* Scores of one row in site->buffer.scores; false where the row is NULL. */
static bool
score(FunctionCallInfo fcinfo, bool json, HbCallSite **result)
{
	HbCallSite *site = site_for_model(fcinfo);
	const HbPredictor *predictor = site->predictor;
	HbRowBuffer *buffer = &site->buffer;

	*result = site;
	if (PG_ARGISNULL(1))
		return false;
	MemoryContextReset(buffer->scratch);
	if (json)
		hb_row_from_jsonb(buffer, PG_GETARG_JSONB_P(1));
	else
		hb_row_from_tuple(buffer, PG_GETARG_HEAPTUPLEHEADER(1));
	predictor->family->predict(predictor->model, buffer->inputs, 1, predictor->stride,
							   buffer->scores);
	check_finite(predictor, buffer->scores);
	return true;
}

static void
refuse_task(const HbPredictor *predictor, const char *wanted, const char *instead)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model \"%s\" has no %s", predictor->name, wanted),
			 predictor->info.task == HB_TASK_REGRESSION ? errdetail("It is a regression model.")
			 : !predictor->info.calibrated
				 ? errdetail("It was trained with hinge loss, whose scores are no probabilities.")
				 : errdetail("It has %u classes.", predictor->info.outputs),
			 errhint("Use %s.", instead)));
}

static Datum
predict(FunctionCallInfo fcinfo, bool json)
{
	HbCallSite *site;
	bool present = score(fcinfo, json, &site);
	const HbPredictor *predictor = site->predictor;

	if (predictor->info.task == HB_TASK_CLASSIFICATION &&
		(predictor->info.outputs != 2 || !predictor->info.calibrated))
		refuse_task(predictor, "single value to predict", "hyperband_classify");
	if (!present)
		PG_RETURN_NULL();
	if (predictor->info.task == HB_TASK_CLASSIFICATION)
		PG_RETURN_FLOAT8(site->buffer.scores[1]);
	PG_RETURN_FLOAT8(site->buffer.scores[0] * predictor->fields->target_scale +
					 predictor->fields->target_mean);
}

static Datum
classify(FunctionCallInfo fcinfo, bool json)
{
	HbCallSite *site;
	bool present = score(fcinfo, json, &site);
	const HbPredictor *predictor = site->predictor;
	uint32 best = 0;

	if (predictor->info.task != HB_TASK_CLASSIFICATION)
		refuse_task(predictor, "classes", "hyperband_predict");
	if (!present)
		PG_RETURN_NULL();
	for (uint32 k = 1; k < predictor->info.outputs; k++)
		if (site->buffer.scores[k] > site->buffer.scores[best])
			best = k;
	PG_RETURN_TEXT_P(cstring_to_text(predictor->labels[best]));
}

static Jsonb *
probabilities_to_jsonb(const HbPredictor *predictor, const float *scores)
{
	JsonbParseState *state = NULL;
	JsonbValue value;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (uint32 k = 0; k < predictor->info.outputs; k++)
	{
		value.type = jbvString;
		value.val.string.val = predictor->labels[k];
		value.val.string.len = strlen(predictor->labels[k]);
		pushJsonbValue(&state, WJB_KEY, &value);
		value.type = jbvNumeric;
		value.val.numeric =
			DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(scores[k])));
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static Datum
probabilities(FunctionCallInfo fcinfo, bool json)
{
	HbCallSite *site;
	bool present = score(fcinfo, json, &site);
	const HbPredictor *predictor = site->predictor;

	if (predictor->info.task != HB_TASK_CLASSIFICATION)
		refuse_task(predictor, "probabilities", "hyperband_predict");
	if (!predictor->info.calibrated)
		refuse_task(predictor, "probabilities", "hyperband_classify");
	if (!present)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(probabilities_to_jsonb(predictor, site->buffer.scores));
}

/* ---- SQL ---- */

/* hyperband_predict(name text, input record, version int) RETURNS float8: the value; two classes: P(second) */
Datum
hyperband_predict(PG_FUNCTION_ARGS)
{
	return predict(fcinfo, false);
}

/* hyperband_predict(name text, input jsonb, version int) RETURNS float8 */
Datum
hyperband_predict_jsonb(PG_FUNCTION_ARGS)
{
	return predict(fcinfo, true);
}

/* hyperband_classify(name text, input record, version int) RETURNS text: the label of the likeliest class */
Datum
hyperband_classify(PG_FUNCTION_ARGS)
{
	return classify(fcinfo, false);
}

/* hyperband_classify(name text, input jsonb, version int) RETURNS text */
Datum
hyperband_classify_jsonb(PG_FUNCTION_ARGS)
{
	return classify(fcinfo, true);
}

/* hyperband_probabilities(name text, input record, version int) RETURNS jsonb: {label: p} */
Datum
hyperband_probabilities(PG_FUNCTION_ARGS)
{
	return probabilities(fcinfo, false);
}

/* hyperband_probabilities(name text, input jsonb, version int) RETURNS jsonb */
Datum
hyperband_probabilities_jsonb(PG_FUNCTION_ARGS)
{
	return probabilities(fcinfo, true);
}
