/*
 * status.c - records an error in a caller-owned status
 *
 * The text ends up in an error message of the server, so a message that had to be cut must not end in the
 * middle of a UTF-8 character.
 */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Drops an incomplete UTF-8 sequence at the end of a text that was cut. */
static void
trim_partial_character(char *text)
{
	size_t length = strlen(text);
	size_t start = length;
	size_t expected;
	unsigned char lead;

	while (start > 0 && length - start < 4 && ((unsigned char) text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start == 0)
		return;
	lead = (unsigned char) text[start - 1];
	if (lead < 0xC0)
		return;
	expected = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
	if (length - (start - 1) < expected)
		text[start - 1] = '\0';
}

static void
format_into(char *buffer, size_t size, const char *format, va_list args) HB_PRINTF(3, 0);

static void
format_into(char *buffer, size_t size, const char *format, va_list args)
{
	int needed = vsnprintf(buffer, size, format, args);

	if (needed < 0)
		buffer[0] = '\0';
	else if ((size_t) needed >= size)
		trim_partial_character(buffer);
}

void
hb_status_init(HbStatus *status)
{
	status->sqlstate[0] = '\0';
	status->message[0] = '\0';
	status->detail[0] = '\0';
	status->hint[0] = '\0';
}

bool
hb_fail(HbStatus *status, const char *sqlstate, const char *format, ...)
{
	va_list args;

	if (!status)
		return false;
	hb_status_init(status);
	snprintf(status->sqlstate, sizeof(status->sqlstate), "%s", sqlstate);
	va_start(args, format);
	format_into(status->message, sizeof(status->message), format, args);
	va_end(args);
	return false;
}

bool
hb_fail_detail(HbStatus *status, const char *format, ...)
{
	va_list args;

	if (!status)
		return false;
	va_start(args, format);
	format_into(status->detail, sizeof(status->detail), format, args);
	va_end(args);
	return false;
}

bool
hb_fail_hint(HbStatus *status, const char *format, ...)
{
	va_list args;

	if (!status)
		return false;
	va_start(args, format);
	format_into(status->hint, sizeof(status->hint), format, args);
	va_end(args);
	return false;
}

bool
hb_fail_memory(HbStatus *status, unsigned long long size)
{
	hb_fail(status, HB_ERR_OUT_OF_MEMORY, "out of memory");
	return hb_fail_detail(status, "Failed on request of size %llu.", size);
}
