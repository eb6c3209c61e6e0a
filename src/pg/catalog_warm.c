/*
 * catalog_warm.c - what a study with a warm start took over from another when it was made
 *
 * It is kept in the study's own row, so that the other study may be dropped and a resumed study learns what it learned
 * before.
 */
#include "pg/catalog.h"

#include "utils/guc.h"

#include "pg/catalog_observations.h"
#include "pg/external.h"
#include "pg/run.h"
#include "pg/statement.h"

/* Losses are written as JSON: in digits that give the same double again, whatever the user has set. */
static void
write_exactly(void)
{
	(void) set_config_option("extra_float_digits", "1", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

#define ALL_OF_OTHER HB_OBSERVATIONS_QUERY("$2", "2147483647")

bool
hb_warm_take(int64 study_id, int64 from)
{
	static HbStatement statement = HB_WRITE(
		"UPDATE hyperband.study s SET warm = jsonb_build_object('metric', o.metric,"
		" 'direction', o.direction, 'search_space', o.search_space, 'means',"
		" o.scheduler = 'racing' OR o.kind = 'table' AND o.resource = 'folds', 'observations',"
		" (SELECT coalesce(jsonb_agg(jsonb_build_array(v.number, v.resource, v.loss, v.config,"
		" (SELECT min(" HB_TIE_LOSS(
			"e.metrics") ") FROM hyperband.evaluation e"
						 " JOIN hyperband.trial t ON t.trial_id = e.trial_id WHERE t.study_id = $2"
						 " AND t.number = v.number AND e.resource = v.resource))), '[]')"
						 " FROM (" ALL_OF_OTHER ") v (number, resource, loss, config)))"
						 " FROM hyperband.study o WHERE o.study_id = $2 AND s.study_id = $1",
		"ll");

	write_exactly();
	return hb_run(&statement, study_id, from) > 0;
}

bool
hb_warm_source_get(int64 study_id, HbWarmSource *source)
{
	static HbStatement statement = HB_WRITE(
		"SELECT warm ->> 'metric', warm ->> 'direction',"
		" nullif(warm -> 'search_space', 'null'), (warm -> 'means')::boolean FROM hyperband.study"
		" WHERE study_id = $1 AND warm IS NOT NULL",
		"l");
	static HbStatement observations =
		HB_WRITE("SELECT (o.v ->> 0)::bigint, (o.v ->> 1)::bigint, (o.v ->> 2)::float8, o.v -> 3,"
				 " (o.v ->> 4)::float8"
				 " FROM hyperband.study s, jsonb_array_elements(s.warm -> 'observations')"
				 " WITH ORDINALITY o (v, place) WHERE s.study_id = $1 ORDER BY o.place",
				 "l");
	uint64 rows;

	if (hb_run(&statement, study_id) == 0)
		return false;
	source->metric = hb_row_text(0, 1);
	source->direction = hb_row_text(0, 2);
	source->search_space = hb_row_jsonb(0, 3);
	source->means = hb_row_bool(0, 4);
	rows = hb_run(&observations, study_id);
	source->n = (int) rows;
	source->observations = palloc0(sizeof(HbObservation) * Max(rows, 1));
	source->ties = palloc(sizeof(double) * Max(rows, 1));
	for (uint64 i = 0; i < rows; i++)
	{
		source->observations[i].number = hb_row_int64(i, 1);
		source->observations[i].resource = hb_row_int64(i, 2);
		source->observations[i].loss = hb_row_float8(i, 3);
		source->observations[i].config = hb_json_from_jsonb(hb_row_jsonb(i, 4));
		source->ties[i] = hb_row_float8(i, 5);
	}
	return true;
}
