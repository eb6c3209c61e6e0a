/*
 * test_checkpoint.c - what is written is read back, and hostile bytes are refused without a crash
 */
#include "core/host.h"
#include "core/rng.h"
#include "tap.h"
#include "learn/network.h"

static const HbShape shape = {.task = HB_TASK_CLASSIFICATION,
							  .loss = HB_LOSS_CROSS_ENTROPY,
							  .activation = HB_TANH,
							  .inputs = 5,
							  .outputs = 3,
							  .layers = 3,
							  .units = {4, 6, 3}};

/* Everything that reads bytes of a stranger. */
static bool
accepted(const unsigned char *bytes, size_t length, bool *clean)
{
	HbStatus status;
	HbModel *model;
	void *out;
	size_t size;
	bool passed;

	hb_status_init(&status);
	model = hb_families[0]->open(&hb_host_malloc, bytes, length, &status);
	if (model != NULL)
	{
		HbModelInfo info;

		hb_model_info(model, &info);
		if (info.inputs < 4096 && info.outputs < 4096)
		{
			float *x = calloc(info.inputs * 3, sizeof(float));
			float *scores = calloc(info.outputs * 3, sizeof(float));

			hb_families[0]->predict(model, x, 3, info.inputs, scores);
			hb_families[0]->predict(model, x, 1, info.inputs, scores);
			free(x);
			free(scores);
		}
		hb_families[0]->close(model);
	}
	else
		*clean = *clean && (strcmp(status.sqlstate, HB_ERR_CORRUPTED) == 0 ||
							strcmp(status.sqlstate, HB_ERR_OUT_OF_MEMORY) == 0);
	passed = hb_checkpoint_to_model(&hb_host_malloc, bytes, length, &out, &size, &status);
	if (passed)
		hb_release(&hb_host_malloc, out);
	return model != NULL;
}

/* A checksum that fits, so that the checks behind it are reached. */
static void
fix_checksum(unsigned char *bytes, size_t length)
{
	uint64_t total = length, checksum = hb_hash64(bytes + 24, length - 24, total);

	memcpy(bytes + 8, &total, 8);
	memcpy(bytes + 16, &checksum, 8);
}

static void
check_hostile(const unsigned char *good, size_t length)
{
	unsigned char *copy = malloc(length + 8);
	bool clean = true;
	int taken = 0, survived = 0;
	uint32_t r[4];

	for (size_t cut = 0; cut < length; cut++)
		taken += accepted(good, cut, &clean);
	is_int(taken, 0, "every truncation is refused");
	for (size_t cut = 24; cut < length; cut++)
	{
		memcpy(copy, good, cut);
		fix_checksum(copy, cut);
		survived += accepted(copy, cut, &clean);
	}
	ok(survived > 0 && clean,
	   "truncations with a right checksum are survived (%d of whole sections)", survived);
	taken = 0;
	for (size_t at = 0; at < length; at++)
	{
		memcpy(copy, good, length);
		copy[at] ^= 0x41;
		taken += accepted(copy, length, &clean);
	}
	is_int(taken, 0, "every changed byte is noticed");
	for (uint32_t i = 0; i < 20000; i++)
	{
		memcpy(copy, good, length);
		hb_random4(1, HB_STREAM_SPACE, 77, i, r);
		for (uint32_t k = 0; k <= r[0] % 4; k++)
		{
			/* half of the changes hit the headers of sections and the shape */
			size_t reach = r[1] & 1 ? length : 120;

			copy[24 + (r[2] + k * 7919u) % (reach - 24)] =
				(unsigned char) (r[1] & 2 ? r[3] >> (8 * k) : (r[3] >> (8 * k)) % 7);
		}
		fix_checksum(copy, length);
		survived += accepted(copy, length, &clean);
	}
	ok(clean, "20000 corruptions with a right checksum: refused with XX001 or harmless (%d)",
	   survived);
	free(copy);
}

int
main(void)
{
	HbArena arena;
	HbNetwork network, back;
	HbCheckpoint checkpoint;
	HbStatus status;
	void *bytes, *model;
	size_t length, size;
	double worst = 0;

	hb_status_init(&status);
	hb_arena_init(&arena, &hb_host_malloc);
	hb_network_lay_out(&network, &shape);
	hb_network_lay_out(&back, &shape);
	hb_network_alloc(&arena, &network, 0, 2, &status);
	hb_network_alloc(&arena, &back, 0, 2, &status);
	hb_network_init(&arena, &network, 1, 2, &status);
	for (int l = 0; l < 3; l++)
		for (size_t i = 0; i < network.layer[l].units; i++)
		{
			network.layer[l].b[i] = (hb_real) i;
			network.layer[l].state_b[1][i] = (hb_real) (7 * i);
			network.layer[l].state_w[0][i * network.layer[l].stride] = (hb_real) (3 * i + 1);
		}
	ok(hb_checkpoint_write(&hb_host_malloc, &network, &hb_optimizers[4], 123, 0.5, &bytes, &length,
						   &status),
	   "a checkpoint is written");
	ok(hb_checkpoint_check(bytes, length, &status), "and checks");
	ok(hb_checkpoint_open(bytes, length, &checkpoint, &status), "and opens");
	ok(checkpoint.step == 123 && checkpoint.best_loss == 0.5 && checkpoint.rule == HB_UPDATE_ADAM,
	   "step, best loss and optimizer are back");
	hb_checkpoint_read(&checkpoint, &back);
	for (int l = 0; l < 3; l++)
		for (size_t i = 0; i < network.layer[l].units * network.layer[l].stride; i++)
		{
			worst = fmax(worst, fabs(network.layer[l].w[i] - back.layer[l].w[i]));
			worst = fmax(worst, fabs(network.layer[l].state_w[0][i] - back.layer[l].state_w[0][i]));
			if (i < network.layer[l].units)
				worst =
					fmax(worst, fabs(network.layer[l].state_b[1][i] - back.layer[l].state_b[1][i]) +
									fabs(network.layer[l].b[i] - back.layer[l].b[i]));
		}
	ok(worst == 0, "weights, biases and state are back, bit for bit");
	ok(hb_checkpoint_to_model(&hb_host_malloc, bytes, length, &model, &size, &status) &&
		   size < length / 2,
	   "a model has no optimizer state");
	ok(hb_checkpoint_open(model, size, &checkpoint, &status) && checkpoint.state == NULL,
	   "and opens");
	((unsigned char *) model)[30] ^= 1;
	ok(!hb_checkpoint_check(model, size, &status), "a flipped bit is noticed");
	is_str(status.sqlstate, "XX001", "with XX001");
	check_hostile(bytes, length);
	hb_release(&hb_host_malloc, bytes);
	hb_release(&hb_host_malloc, model);
	hb_arena_free(&arena);
	return tap_done();
}
