/*
 * catalog_progress.c - one study's row of view progress, for hyperband_run's notices
 */
#include "pg/catalog.h"

#include "pg/statement.h"

bool
hb_progress_get(int64 study_id, HbProgressRow *row)
{
	static HbStatement statement =
		HB_READ("SELECT p.state, p.bar, p.rungs_done, p.rungs, p.trials_running, p.trials_done,"
				" p.trials, p.resource_spent, p.resource_planned, p.best_loss, p.best_metric_value,"
				" p.elapsed, s.metric"
				" FROM hyperband.progress p JOIN hyperband.study s ON s.study_id = p.study_id"
				" WHERE p.study_id = $1 AND s.study_id = $1",
				"l");

	if (hb_run(&statement, study_id) == 0)
		return false;
	row->state = hb_row_text(0, 1);
	row->bar = hb_row_text(0, 2);
	row->rungs_done = (int) hb_row_int64(0, 3);
	row->rungs = (int) hb_row_int64(0, 4);
	row->trials_running = (int) hb_row_int64(0, 5);
	row->trials_done = (int) hb_row_int64(0, 6);
	row->trials = (int) hb_row_int64(0, 7);
	row->resource_spent = hb_row_int64(0, 8);
	row->resource_planned = hb_row_int64(0, 9);
	row->best_loss = hb_row_float8(0, 10);
	row->best_metric_value = hb_row_float8(0, 11);
	row->elapsed = hb_row_float8(0, 12);
	row->metric = hb_row_text(0, 13);
	return true;
}
