/*
 * test_optimizer.c - optimizers and schedules, step by step against PyTorch
 *
 * The tables were printed by PyTorch 2.15.0+cu132 in double precision: torch.optim.SGD (momentum 0.9, nesterov),
 * RMSprop (alpha 0.9) and Adam with weight_decay 0.01, learning rate 0.1 (1 - 0.1 t), on the weights
 * (0.5, -1.25, 2) with the gradient (sin(3 w0 + t), 0.3 w1^2 - 0.2 t, cos(w2 + w0)); and by
 * lr_scheduler's ConstantLR, CosineAnnealingLR(T_max=12), ExponentialLR(0.01^(1/12)), StepLR(4, 0.1)
 * and LambdaLR(1 / (1 + 0.1 t / 3)) over 12 steps, 3 of them an epoch.
 */
#include "tap.h"
#include "learn/network.h"

#define STEPS 6
#define HORIZON 12

static const struct
{
	const char *name;
	double w[STEPS][3];
} optimizers[] = {
	{"sgd",
	 {{0.399750501340, -1.295625000000, 2.078114361555},
	  {0.326586425766, -1.321782329297, 2.147137164511},
	  {0.313434924871, -1.330655508058, 2.208230908146},
	  {0.363367595985, -1.324907574906, 2.263659614712},
	  {0.418920187637, -1.307709471838, 2.314531819421},
	  {0.420031810999, -1.282707178043, 2.359267573146}}},
	{"momentum",
	 {{0.399750501340, -1.295625000000, 2.078114361555},
	  {0.245384331852, -1.358738579297, 2.210409797371},
	  {0.090141263753, -1.420450544516, 2.376390905820},
	  {-0.023182497410, -1.468425676482, 2.560084395828},
	  {-0.068016755619, -1.495366940006, 2.749615428470},
	  {-0.051782899336, -1.498367038457, 2.935191653725}}},
	{"nesterov",
	 {{0.309525952545, -1.336687500000, 2.148417286954},
	  {0.075743177598, -1.425121816522, 2.334260515150},
	  {-0.164145096790, -1.502284388521, 2.538219541662},
	  {-0.381672605411, -1.559012977573, 2.745764459604},
	  {-0.549371856111, -1.589571719015, 2.946494916353},
	  {-0.642243727299, -1.591882238158, 3.133276582868}}},
	{"rmsprop",
	 {{0.183772243958, -1.566227744099, 2.316227753215},
	  {-0.022619224638, -1.785014531304, 2.522304704389},
	  {-0.169582189060, -1.947503853647, 2.675512880065},
	  {-0.250963468551, -2.068439002237, 2.794860087606},
	  {-0.237862689052, -2.155204948082, 2.890481795006},
	  {-0.154910858404, -2.212313916380, 2.968568857392}}},
	{"adam",
	 {{0.400000000998, -1.349999997808, 2.099999998720},
	  {0.310977678779, -1.438204776517, 2.189996974008},
	  {0.242381554510, -1.512664243496, 2.269992307292},
	  {0.212870590595, -1.570456687437, 2.340008699030},
	  {0.214194331529, -1.607929305055, 2.400102334250},
	  {0.223590430923, -1.623376171263, 2.450301927958}}},
};

static const struct
{
	const char *name;
	double factor[HORIZON];
} schedules[] = {
	{"constant",
	 {1.000000000000, 1.000000000000, 1.000000000000, 1.000000000000, 1.000000000000,
	  1.000000000000, 1.000000000000, 1.000000000000, 1.000000000000, 1.000000000000,
	  1.000000000000, 1.000000000000}},
	{"cosine",
	 {1.000000000000, 0.982962913145, 0.933012701892, 0.853553390593, 0.750000000000,
	  0.629409522551, 0.500000000000, 0.370590477449, 0.250000000000, 0.146446609407,
	  0.066987298108, 0.017037086855}},
	{"exponential",
	 {1.000000000000, 0.681292069058, 0.464158883361, 0.316227766017, 0.215443469003,
	  0.146779926762, 0.100000000000, 0.068129206906, 0.046415888336, 0.031622776602,
	  0.021544346900, 0.014677992676}},
	{"step",
	 {1.000000000000, 1.000000000000, 1.000000000000, 1.000000000000, 0.100000000000,
	  0.100000000000, 0.100000000000, 0.100000000000, 0.010000000000, 0.010000000000,
	  0.010000000000, 0.010000000000}},
	{"inverse_time",
	 {1.000000000000, 0.967741935484, 0.937500000000, 0.909090909091, 0.882352941176,
	  0.857142857143, 0.833333333333, 0.810810810811, 0.789473684211, 0.769230769231,
	  0.750000000000, 0.731707317073}},
};

/* A step on one row of HB_PAD weights. */
static void
apply(const HbProvider *provider, HbUpdate *update, const hb_real *g, hb_real *w, hb_real *s1,
	  hb_real *s2)
{
	update->rows = 1;
	update->cols = HB_PAD;
	update->g = g;
	update->g_row = update->w_row = HB_PAD;
	update->w = w;
	update->s1 = s1;
	update->s2 = s2;
	provider->update(update);
}

static double
worst_of(const HbProvider *provider, int which)
{
	hb_real w[HB_PAD] = {0.5f, -1.25f, 2.0f}, s1[HB_PAD] = {0}, s2[HB_PAD] = {0}, g[HB_PAD] = {0};
	HbTraining training = {.optimizer = &hb_optimizers[which],
						   .learning_rate = 0.1,
						   .l2 = 0.01,
						   .momentum = 0.9,
						   .beta1 = 0.9,
						   .beta2 = 0.999,
						   .rho = 0.9};
	double worst = 0;

	for (int t = 0; t < STEPS; t++)
	{
		HbUpdate update;

		g[0] = (hb_real) sin(3 * (double) w[0] + t);
		g[1] = (hb_real) (0.3 * (double) w[1] * (double) w[1] - 0.2 * t);
		g[2] = (hb_real) cos((double) w[2] + (double) w[0]);
		hb_optimizer_step(&training, 1 - 0.1 * t, (uint64_t) (t + 1), &update);
		apply(provider, &update, g, w, s1, s2);
		for (int i = 0; i < 3; i++)
			worst = fmax(worst, fabs((double) w[i] - optimizers[which].w[t][i]));
	}
	return worst;
}

/* Where the gradient never changes, adam's step is the learning rate, however close to 1 its decays are. */
static double
slow_adam(const HbProvider *provider)
{
	hb_real w[HB_PAD] = {1}, s1[HB_PAD] = {0}, s2[HB_PAD] = {0}, g[HB_PAD] = {1};
	HbTraining training = {.optimizer = &hb_optimizers[4],
						   .learning_rate = 0.01,
						   .beta1 = 0.999999,
						   .beta2 = 0.9999999};

	for (uint64_t t = 1; t <= 20; t++)
	{
		HbUpdate update;

		hb_optimizer_step(&training, 1, t, &update);
		apply(provider, &update, g, w, s1, s2);
	}
	return (double) w[0];
}

int
main(void)
{
	for (int p = 0; p < hb_nproviders; p++)
		if (hb_providers[p] && hb_providers[p]->available())
			is_near(slow_adam(hb_providers[p]), 0.8, 1e-4, "%s, adam: decays close to 1",
					hb_providers[p]->name);
	for (int p = 0; p < hb_nproviders; p++)
		for (int i = 0; hb_providers[p] && hb_providers[p]->available() && i < hb_noptimizers; i++)
		{
			double worst = worst_of(hb_providers[p], i);

			is_str(hb_optimizers[i].name, optimizers[i].name, "%s is in its place",
				   optimizers[i].name);
			ok(worst < 1e-5, "%s, %s: six steps as PyTorch: %.1e", hb_providers[p]->name,
			   hb_optimizers[i].name, worst);
		}
	for (int i = 0; i < hb_nschedules; i++)
	{
		double worst = 0;

		is_str(hb_schedules[i].name, schedules[i].name, "%s is in its place", schedules[i].name);
		for (int t = 0; t < HORIZON; t++)
			worst = fmax(worst, fabs(hb_schedules[i].factor((double) t / HORIZON, t / 3.0, 0.1) -
									 schedules[i].factor[t]));
		ok(worst < 1e-11, "%s: twelve steps as PyTorch: %.1e", schedules[i].name, worst);
	}
	return tap_done();
}
