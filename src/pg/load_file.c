/*
 * load_file.c - the sealed memfd that holds a data set
 *
 * A lack of memory must be an error (53200), while a store into a page that cannot be had would be a
 * SIGBUS.  So records go through a small buffer, which stays in the cache and is written in whole pages
 * with pwrite().  From the first 2 MB boundary on they are stored in place where the kernel can make huge
 * pages of the file at once (MADV_COLLAPSE, Linux 6.1): these are there before the first store, cost a fifth, and
 * spare trainers most TLB misses later.  Where it cannot, pwrite() goes on.
 */
#include "pg/load_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "storage/fd.h"

#define PAGE_BYTES 4096
#define FLUSH_BYTES (128 * 1024)
#define HUGE_BYTES ((size_t) 2 * 1024 * 1024)
/* Huge pages of a window, at most: the last takes the end of a record, the next window begins with it. */
#define WINDOW_PAGES 2
/*
 * On a virtual machine that hands free memory back to its host, a huge page may have to be found there first: up to
 * 5 ms each instead of 0.1.  A file may cost so much time more than with small pages, at most: quick pages make up for
 * slow ones.
 */
#define SMALL_PAGES_SECONDS 0.0005
#define MAX_WAIT_SECONDS 0.005

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static void
drop_window(HbLoadFile *file)
{
	if (file->window != NULL)
		munmap(file->reserved, file->reserved_length);
	file->window = NULL;
}

static void
file_close(void *arg)
{
	HbLoadFile *file = arg;

	hb_file_unmap(file);
	drop_window(file);
	if (file->fd >= 0)
	{
		close(file->fd);
		ReleaseExternalFD();
		file->fd = -1;
	}
}

static void
write_failed(void)
{
	if (errno == ENOSPC || errno == ENOMEM)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Training data could not be kept in memory.")));
	ereport(ERROR,
			(errcode_for_file_access(), errmsg("could not keep training data in memory: %m")));
}

void
hb_file_open(HbLoadFile *file, MemoryContext context)
{
	file->fd = -1;
	file->map = MAP_FAILED;
	file->callback.func = file_close;
	file->callback.arg = file;
	MemoryContextRegisterResetCallback(context, &file->callback);
	if (!AcquireExternalFD())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
						errmsg("could not create a memory file: %m")));
	file->fd = memfd_create("hyperband data", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (file->fd < 0)
	{
		ReleaseExternalFD();
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not create a memory file: %m")));
	}
}

void
hb_file_write_at(HbLoadFile *file, uint64 position, const void *bytes, size_t length)
{
	const char *from = bytes;

	while (length > 0)
	{
		ssize_t written = pwrite(file->fd, from, Min(length, (size_t) 1 << 30), (off_t) position);

		if (written < 0)
		{
			if (errno == EINTR)
				continue;
			write_failed();
		}
		from += written;
		position += written;
		length -= written;
	}
}

static double
cpu_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Makes n huge pages of the file at offset, which is mapped at address.  false where it cannot, or waited too long. */
static bool
collapse(HbLoadFile *file, uint64 offset, char *address, int n)
{
	char zero = 0;

	for (int i = 0; i < n; i++)
	{
		double start = cpu_clock();

		/* There must be something to collapse. */
		if (pwrite(file->fd, &zero, 1, (off_t) (offset + i * HUGE_BYTES)) != 1 ||
			madvise(address + i * HUGE_BYTES, HUGE_BYTES, MADV_COLLAPSE) != 0)
			return false;
		file->waited += cpu_clock() - start - SMALL_PAGES_SECONDS;
	}
	return file->waited < MAX_WAIT_SECONDS;
}

/* As many pages as seem to be needed yet, at least two. */
static int
window_pages(const HbLoadFile *file, uint64 position)
{
	double needed = (file->expected - (double) position) / HUGE_BYTES + 1.0;

	return needed >= WINDOW_PAGES ? WINDOW_PAGES : needed >= 2.0 ? (int) needed + 1 : 2;
}

/* Maps a window at position, a multiple of HUGE_BYTES; there: how many of its pages are huge already. */
static bool
open_window(HbLoadFile *file, uint64 position, int there)
{
	int pages = window_pages(file, position);
	size_t length = pages * HUGE_BYTES;

	file->reserved_length = length + HUGE_BYTES;
	file->reserved =
		mmap(NULL, file->reserved_length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file->reserved == MAP_FAILED)
		return false;
	file->window = (char *) TYPEALIGN(HUGE_BYTES, file->reserved);
	if (ftruncate(file->fd, (off_t) (position + length)) == 0 &&
		mmap(file->window, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file->fd,
			 (off_t) position) != MAP_FAILED &&
		collapse(file, position + there * HUGE_BYTES, file->window + there * HUGE_BYTES,
				 pages - there))
	{
		file->buffer = file->window;
		file->threshold = length - HUGE_BYTES;
		return true;
	}
	drop_window(file);
	file->buffer = file->own_buffer;
	file->threshold = FLUSH_BYTES;
	file->try_huge = false;
	return false;
}

/*
 * Records will follow each other from position on; none is longer than record_bytes.  Where many
 * bytes are expected the file's first page is a huge one already.
 */
void
hb_file_start(HbLoadFile *file, uint64 position, size_t record_bytes, double expected_bytes)
{
	Assert(position % PAGE_BYTES == 0);
	file->threshold = FLUSH_BYTES;
	file->own_bytes = FLUSH_BYTES + record_bytes + PAGE_BYTES;
	file->buffer = file->own_buffer = palloc0(file->own_bytes);
	file->used = 0;
	file->position = position;
	file->try_huge = record_bytes <= FLUSH_BYTES;
	file->waited = 0.0;
	file->expected = position + expected_bytes;
	if (file->try_huge && expected_bytes > 2.0 * HUGE_BYTES && position < HUGE_BYTES &&
		open_window(file, 0, 0))
	{
		file->used = position;
		file->position = 0;
	}
}

/* What lies between a record's columns is zero, so that records of equal features are equal byte by byte. */
static void
clear_rest(HbLoadFile *file)
{
	if (file->buffer == file->own_buffer)
		memset(file->buffer + file->used, 0, file->own_bytes - file->used);
}

/* From the boundary within the buffer on, records are stored in place if the kernel helps. */
static void
enter_window(HbLoadFile *file, uint64 boundary)
{
	size_t before = boundary - file->position;

	hb_file_write_at(file, file->position, file->buffer, before);
	file->position = boundary;
	file->used -= before;
	(void) open_window(file, boundary, 0);
	memmove(file->buffer, file->own_buffer + before, file->used);
	clear_rest(file);
}

static void
advance_window(HbLoadFile *file)
{
	size_t done = file->threshold;
	size_t used = file->used - done;

	Assert(used <= FLUSH_BYTES);
	/* What was begun in the last page, should there be no further window. */
	memcpy(file->own_buffer, file->window + done, used);
	drop_window(file);
	file->position += done;
	file->used = used;
	(void) open_window(file, file->position, 1);
	clear_rest(file);
}

/* Makes room for the next records, or ends the last. */
void
hb_file_flush(HbLoadFile *file, bool all)
{
	uint64 boundary = TYPEALIGN64(HUGE_BYTES, file->position);
	size_t length = all ? file->used : file->used / PAGE_BYTES * PAGE_BYTES;

	if (file->window != NULL && !all)
	{
		advance_window(file);
		return;
	}
	if (file->window != NULL)
		drop_window(file);
	else if (!all && file->try_huge && boundary > 0 && boundary <= file->position + file->used)
	{
		enter_window(file, boundary);
		return;
	}
	else
	{
		hb_file_write_at(file, file->position, file->buffer, length);
		memmove(file->buffer, file->buffer + length, file->used - length);
	}
	file->position += length;
	file->used -= length;
	clear_rest(file);
}

/* At a multiple of HUGE_BYTES: only there the file's huge pages are mapped as such. */
static void *
map_aligned(int fd, size_t length, int protection)
{
	size_t pages = TYPEALIGN64(PAGE_BYTES, length), spare = pages + HUGE_BYTES;
	char *reserved = mmap(NULL, spare, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *map, *end = reserved + spare;

	if (reserved == MAP_FAILED)
		return MAP_FAILED;
	map = (char *) TYPEALIGN(HUGE_BYTES, reserved);
	if (mmap(map, length, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
	{
		munmap(reserved, spare);
		return MAP_FAILED;
	}
	if (map > reserved)
		munmap(reserved, map - reserved);
	if (map + pages < end)
		munmap(map + pages, end - (map + pages));
	return map;
}

char *
hb_file_map(HbLoadFile *file, size_t length, bool writable)
{
	void *map = map_aligned(file->fd, length, writable ? PROT_READ | PROT_WRITE : PROT_READ);

	if (map == MAP_FAILED)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not map training data: %m")));
	file->map = map;
	file->map_length = length;
	return map;
}

void
hb_file_unmap(HbLoadFile *file)
{
	if (file->map != MAP_FAILED)
		munmap(file->map, file->map_length);
	file->map = MAP_FAILED;
}

/* From now on nobody can change the file, this process included. total: bytes in use. */
void
hb_file_seal(HbLoadFile *file, uint64 total)
{
	/* Huge pages stay whole. */
	if (ftruncate(file->fd,
				  (off_t) TYPEALIGN64(total > HUGE_BYTES ? HUGE_BYTES : PAGE_BYTES, total)) != 0)
		write_failed();
	if (fcntl(file->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not seal training data: %m")));
}

/* Descriptor and mapping belong to the caller now. */
void
hb_file_release(HbLoadFile *file)
{
	file->fd = -1;
	file->map = MAP_FAILED;
}
