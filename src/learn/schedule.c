/*
 * schedule.c - how the learning rate falls: constant, cosine (Loshchilov and Hutter, ICLR 2017),
 * exponential, step, inverse time
 *
 * u = t / T is taken before the step; T is the study's max_resource in steps, whatever the rung, so that
 * a trial's rate at an epoch does not depend on where it will be stopped.
 */
#include "learn/network.h"

#include <math.h>

static double
constant_factor(double u, double epochs, double decay)
{
	return 1.0;
}

static double
cosine_factor(double u, double epochs, double decay)
{
	return 0.5 * (1.0 + cos(M_PI * u));
}

static double
exponential_factor(double u, double epochs, double decay)
{
	return pow(0.01, u);
}

static double
step_factor(double u, double epochs, double decay)
{
	return pow(0.1, floor(3.0 * u));
}

static double
inverse_time_factor(double u, double epochs, double decay)
{
	return 1.0 / (1.0 + decay * epochs);
}

const HbSchedule hb_schedules[] = {
	{"constant", false, constant_factor},         {"cosine", true, cosine_factor},
	{"exponential", true, exponential_factor},    {"step", true, step_factor},
	{"inverse_time", false, inverse_time_factor},
};
const int hb_nschedules = sizeof(hb_schedules) / sizeof(hb_schedules[0]);

const char *const hb_schedule_names[] = {"constant", "cosine",       "exponential",
										 "step",     "inverse_time", NULL};
