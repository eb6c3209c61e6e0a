/*
 * step.c - one step of a group of trials on one mini-batch
 *
 * The first layers of the group are one product forward and one for the gradient (first.c), of which a
 * block of columns at a time is used at once by each trial's optimizer while it is in the first-level
 * cache: one pass over weights and state, and of dense mini-batches no gradient buffer.
 */
#include <math.h>

#include "learn/cohort.h"

bool
hb_next_group(const HbCohort *cohort, int first, HbGroup *group)
{
	bool alone;

	while (first < cohort->nmembers && cohort->members[first].diverged)
		first++;
	if (first >= cohort->nmembers)
		return false;
	*group = (HbGroup){.first = first,
					   .line = cohort->members[first].line,
					   .baseline = cohort->members[first].baseline};
	/* a library's sums may depend on the shape of a product, which must then be the trial's alone */
	alone = cohort->provider->panel == 0;
	for (int i = first; i < cohort->nmembers && !cohort->members[i].diverged; i++)
	{
		const HbMember *member = &cohort->members[i];

		if (member->baseline != group->baseline ||
			(group->count > 0 && (alone || group->lines + member->lines > cohort->group_rows)))
			break;
		group->count++;
		group->lines += member->lines;
	}
	return true;
}

static double
schedule_factor(const HbCohort *cohort, const HbMember *member)
{
	double horizon = (double) cohort->job->max_resource * (double) cohort->steps_per_epoch;
	double u = horizon > 0 ? (double) member->step / horizon : 0;

	return member->training.schedule->factor(
		u, (double) member->step / (double) cohort->steps_per_epoch, member->training.decay);
}

/* Loss and gradient of one member's scores; false where the loss is not finite: the trial is over. */
static bool
member_loss(HbCohort *cohort, HbMember *member, size_t i, const hb_real *z, hb_real *d)
{
	const HbTile *tile = &cohort->tile;
	HbScores scores = {.outputs = member->training.shape.units[member->training.shape.layers - 1],
					   .n = tile->count[i],
					   .ld = cohort->workspace.ld,
					   .z = z,
					   .d = d,
					   .labels = tile->labels + i * tile->batch,
					   .targets = tile->targets + i * tile->batch,
					   .scratch = cohort->workspace.scratch,
					   .sums = cohort->workspace.sums,
					   .baseline = member->baseline};
	double loss =
		hb_losses[member->training.shape.loss].sum(cohort->provider, &scores) / (double) scores.n;

	if (!isfinite(loss))
	{
		member->diverged = true;
		return false;
	}
	member->epoch_loss += loss;
	return true;
}

/* The bias of a member with one layer of classes, and what the others' differ from the baseline's by. */
static void
update_contrast_bias(HbCohort *cohort, HbMember *member)
{
	const hb_real *b = member->network.layer[0].b;

	for (size_t c = 0; c < member->lines; c++)
		cohort->contrast_b[member->line + c] = b[c] - b[member->lines];
}

/* Forward and backward of one member above its first layer; d0 gets the first layer's gradient. */
static void
member_step(HbCohort *cohort, HbMember *member, size_t i, hb_real *z0, hb_real *d0,
			HbUpdate *update)
{
	HbWorkspace *ws = &cohort->workspace;
	uint32_t last = member->training.shape.layers - 1;
	size_t n = cohort->tile.count[i];
	HbDropout dropout = {.rate = member->training.dropout,
						 .seed = cohort->job->seed,
						 .number = member->trial->number,
						 .step = member->step};
	HbPass pass;
	hb_real *z = hb_forward(ws, &member->network, n, z0, &dropout, &pass);

	if (!member_loss(cohort, member, i, z, last == 0 ? d0 : ws->d[last]))
		return;
	hb_optimizer_step(&member->training, schedule_factor(cohort, member), member->step + 1, update);
	if (last > 0)
		hb_backward(ws, &member->network, n, &pass, &dropout, d0, update);
	hb_update_bias(ws, &member->network.layer[0], update);
	if (member->baseline)
		update_contrast_bias(cohort, member);
	member->step++;
}

/* Where the gradient of the group's first pre-activations lies: without hidden layers, in their place. */
static hb_real *
group_gradient(const HbCohort *cohort, const HbGroup *group)
{
	return cohort->members[group->first].network.shape.layers == 1 ? cohort->z0 : cohort->d0;
}

/* Columns j..j+count of the first layers' gradient, and each live member's optimizer on them. */
static void
update_first_columns(HbCohort *cohort, const HbGroup *group, const HbUpdate *updates, size_t i,
					 size_t j, size_t count)
{
	hb_first_gradient(cohort, group, group_gradient(cohort, group), i, j, count);
	for (int m = group->first; m < group->first + group->count; m++)
	{
		HbMember *member = &cohort->members[m];
		HbUpdate update = updates[m - group->first];

		if (member->diverged)
			continue;
		hb_update_block(&member->network.layer[0], j, &update);
		update.cols = count;
		update.g = cohort->gradient + (member->line - group->line) * cohort->gradient_columns;
		update.g_row = cohort->gradient_columns;
		if (member->baseline)
			update.contrast = cohort->contrast_w + member->line * cohort->stride + j;
		cohort->provider->update(&update);
	}
}

void
hb_group_step(HbCohort *cohort, const HbGroup *group, size_t i)
{
	size_t ld = cohort->workspace.ld;
	HbUpdate *updates = cohort->updates;
	hb_real *d0 = group_gradient(cohort, group);
	bool alive = false;

	hb_first_begin(cohort, group);
	hb_first_layer(cohort, group, &cohort->tile, i, ld, cohort->z0);
	for (int m = group->first; m < group->first + group->count; m++)
	{
		HbMember *member = &cohort->members[m];

		if (!member->diverged)
			member_step(cohort, member, i, cohort->z0 + (member->line - group->line) * ld,
						d0 + (member->line - group->line) * ld, &updates[m - group->first]);
		alive = alive || !member->diverged;
	}
	for (size_t j = 0; alive && j < cohort->padded; j += cohort->gradient_columns)
	{
		size_t left = cohort->padded - j;

		update_first_columns(cohort, group, updates, i, j,
							 left < cohort->gradient_columns ? left : cohort->gradient_columns);
	}
}
