/*
 * run_async.c - a study whose scheduler does not wait for whole rungs (asha)
 *
 * A free place asks the scheduler, which sees every result so far, and gets one trial to train up to its next rung.  Each
 * decision is written down with its position in the study's log before its work begins, and each result with its own
 * (train.c): whoever reads the rows can go through the log again, and a supervisor that starts later goes on from them.
 */
#include "pg.h"

#include "utils/memutils.h"

#include "pg/run.h"

static HbChunk *
hb_async_chunk(const HbRun *run, const HbStage *stage)
{
	const HbTrialView *view = &run->state.trials[stage->numbers[0] - 1];
	HbChunk *chunk = palloc0(sizeof(HbChunk));

	chunk->batch_size = view->batch_size;
	chunk->ntrials = 1;
	chunk->numbers = stage->numbers;
	chunk->cost = view->cost;
	return chunk;
}

/* False: nothing to do until a result comes, or nothing at all. */
static bool
hb_async_refill(HbRun *run, HbWork *work)
{
	MemoryContext caller = MemoryContextSwitchTo(work->context);
	MemoryContext context = work->context;
	HbStage *stage;
	HbStatus status;

	MemoryContextReset(context);
	stage = palloc0(sizeof(HbStage));
	hb_status_init(&status);
	if (!run->scheduler->next(&hb_host_pg, &run->state, stage, &status))
		hb_raise(&status);
	if (stage->ntrials > 0 && stage->numbers[0] > run->ntrials)
		hb_run_draw_started(run, stage->seq);
	if (stage->ntrials > 0 || stage->ndecisions > 0)
		hb_run_decide(run, stage);
	if (stage->ntrials > 0)
	{
		memset(work, 0, sizeof(*work));
		work->context = context;
		work->chunk = hb_async_chunk(run, stage);
		work->stage = stage;
		work->state = HB_WORK_PENDING;
	}
	MemoryContextSwitchTo(caller);
	return stage->ntrials > 0;
}

bool
hb_run_asynchronous(HbRun *run)
{
	int nworks = Min(run->study->trainers, HB_MAX_SLOTS);
	HbWork *works = palloc0(sizeof(HbWork) * nworks);
	int i;

	for (i = 0; i < nworks; i++)
	{
		works[i].state = HB_WORK_DONE;
		works[i].context =
			AllocSetContextCreate(run->context, "hyperband work", ALLOCSET_SMALL_SIZES);
	}
	return hb_loop(run, works, nworks, hb_async_refill, true);
}
