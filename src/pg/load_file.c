/*
 * load_file.c - the sealed memfd that holds a data set
 *
 * Everything is written with pwrite(): where memory runs out that is an error (53200), while a
 * store into a mapping would be a SIGBUS.  Records go through a small buffer that stays in the cache, and
 * leave it in whole pages, so that the kernel need not clear a page before it is filled.
 */
#include "pg/load_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "storage/fd.h"

#define PAGE_BYTES 4096
#define FLUSH_BYTES (128 * 1024)

static void
file_close(void *arg)
{
	HbLoadFile *file = arg;

	hb_file_unmap(file);
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
	ereport(ERROR, (errcode_for_file_access(), errmsg("could not keep training data in memory: %m")));
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

/* Records will follow each other from position on; none is longer than record_bytes. */
void
hb_file_start(HbLoadFile *file, uint64 position, size_t record_bytes)
{
	Assert(position % PAGE_BYTES == 0);
	file->threshold = FLUSH_BYTES;
	file->buffer = palloc0(file->threshold + record_bytes + PAGE_BYTES);
	file->used = 0;
	file->position = position;
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

/* Writes the buffer's whole pages, or all of it. */
void
hb_file_flush(HbLoadFile *file, bool all)
{
	size_t length = all ? file->used : file->used / PAGE_BYTES * PAGE_BYTES;

	hb_file_write_at(file, file->position, file->buffer, length);
	file->position += length;
	file->used -= length;
	memmove(file->buffer, file->buffer + length, file->used);
}

char *
hb_file_map(HbLoadFile *file, size_t length, bool writable)
{
	void *map = mmap(NULL, length, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
					 file->fd, 0);

	if (map == MAP_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not map training data: %m")));
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

/* From now on nobody can change the file, this process included. */
void
hb_file_seal(HbLoadFile *file)
{
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
