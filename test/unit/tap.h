/*
 * tap.h - a few macros that print the Test Anything Protocol
 */
#ifndef HB_TAP_H
#define HB_TAP_H

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count = 0;
static int tap_failures = 0;

__attribute__((format(printf, 2, 3))) static inline int
tap_ok(int passed, const char *format, ...)
{
	va_list args;

	tap_count++;
	if (!passed)
		tap_failures++;
	printf("%sok %d - ", passed ? "" : "not ", tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return passed;
}

/* What this machine cannot show is said, not left out: test/tally.pl lists it. */
__attribute__((format(printf, 1, 2))) static inline void
tap_skip(const char *format, ...)
{
	va_list args;

	printf("ok %d # SKIP ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

#define ok(condition, ...) tap_ok((condition) ? 1 : 0, __VA_ARGS__)
#define is_int(got, expected, ...)                                                                 \
	do                                                                                             \
	{                                                                                              \
		long long got_ = (long long) (got), expected_ = (long long) (expected);                    \
		if (!tap_ok(got_ == expected_, __VA_ARGS__))                                               \
			printf("# got %lld, expected %lld\n", got_, expected_);                                \
	} while (0)
#define is_near(got, expected, tolerance, ...)                                                     \
	do                                                                                             \
	{                                                                                              \
		double got_ = (got), expected_ = (expected);                                               \
		if (!tap_ok(fabs(got_ - expected_) <= (tolerance), __VA_ARGS__))                           \
			printf("# got %.17g, expected %.17g\n", got_, expected_);                              \
	} while (0)
#define is_str(got, expected, ...)                                                                 \
	do                                                                                             \
	{                                                                                              \
		const char *got_ = (got), *expected_ = (expected);                                         \
		if (!tap_ok(got_ && expected_ && strcmp(got_, expected_) == 0, __VA_ARGS__))               \
			printf("# got \"%s\", expected \"%s\"\n", got_ ? got_ : "(null)",                      \
				   expected_ ? expected_ : "(null)");                                              \
	} while (0)

static inline int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failures > 0;
}

#endif /* HB_TAP_H */
