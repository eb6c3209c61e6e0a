/*
 * slot.c - spawning, talking to, killing and reaping trainer processes
 *
 * A trainer is spawned with posix_spawn: a process group of its own, a clean environment, default
 * signals and an empty mask, descriptor 3 its socket, 4 the data set, every other descriptor closed.
 * Whatever happens to it costs a retry, never the server.
 *
 * Killing always reaps, too: where the postmaster is process 1, an orphan of a supervisor that
 * ended without reaping would be taken for a crashed child and restart the cluster.  End of file on the socket
 * comes before the process is a zombie, so a lost trainer is killed and then waited for with a bound.
 *
 * Buffers come from malloc: frames may exceed the limit of palloc, and the clean-up at process end
 * must not depend on a memory context.
 */
#include "pg.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "pg/slot.h"

#define HB_TRAINER_PROGRAM "hyperband_trainer"
#define HB_REAP_TRIES 5000        /* milliseconds */
#define HB_RECEIVE_TURN (4 << 20) /* bytes taken from one socket before others get their turn */
#define HB_RECEIVE_MIN (64 << 10)
#define HB_RECEIVE_KEEP (4 << 20)

HbSlot hb_slots[HB_MAX_SLOTS];
uint64 hb_slots_generation = 1;

int64
hb_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
hb_slots_at_exit(int code, Datum arg)
{
	hb_slots_close_all();
}

void
hb_slots_init(void)
{
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
	{
		memset(&hb_slots[i], 0, sizeof(HbSlot));
		hb_slots[i].socket = -1;
	}
	before_shmem_exit(hb_slots_at_exit, (Datum) 0);
}

/* Returns 0 or an error number. */
static int
hb_spawn(const char *path, char *const *argv, int socket, int data, pid_t *pid)
{
	static char *const environment[] = {"OPENBLAS_NUM_THREADS=1",
										"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t all;
	sigset_t none;
	int error;

	error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error != 0)
	{
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	sigfillset(&all);
	sigemptyset(&none);
	if ((error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
		(error = posix_spawn_file_actions_adddup2(&actions, 2, 1)) == 0 &&
		(error = posix_spawn_file_actions_adddup2(&actions, socket, HB_TRAINER_SOCKET_FD)) == 0 &&
		(error = posix_spawn_file_actions_adddup2(&actions, data, HB_TRAINER_DATA_FD)) == 0 &&
		(error = posix_spawn_file_actions_addclosefrom_np(&actions, HB_TRAINER_DATA_FD + 1)) == 0 &&
		(error = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
		(error = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
		(error = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
		(error =
			 posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
													   POSIX_SPAWN_SETPGROUP)) == 0)
		error = posix_spawn(pid, path, &actions, &attributes, argv, environment);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/*
 * A pair of connected sockets, ours nonblocking, and a copy of the data descriptor; what the trainer
 * inherits lies above its fixed descriptors, so that dup2 cannot overwrite it.  Returns 0 or an error number.
 */
static int
hb_trainer_descriptors(int data_fd, int *ours, int *theirs, int *data)
{
	int raw[2];
	int error = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, raw) < 0)
		return errno;
	*ours = raw[0];
	*theirs = fcntl(raw[1], F_DUPFD_CLOEXEC, HB_TRAINER_DATA_FD + 1);
	*data = fcntl(data_fd, F_DUPFD_CLOEXEC, HB_TRAINER_DATA_FD + 1);
	if (*theirs < 0 || *data < 0 || fcntl(*ours, F_SETFL, O_NONBLOCK) < 0)
		error = errno;
	close(raw[1]);
	if (error == 0)
		return 0;
	close(*ours);
	if (*theirs >= 0)
		close(*theirs);
	if (*data >= 0)
		close(*data);
	return error;
}

/* Spawns the program; returns 0 or an error number. */
static int
hb_trainer_start(const char *path, const HbTrainerSpec *spec, int *ours, pid_t *pid)
{
	char device[64];
	char precision[64];
	char memory[64];
	char *argv[] = {HB_TRAINER_PROGRAM, device, precision, memory, NULL};
	int theirs = -1;
	int data = -1;
	int error;

	snprintf(device, sizeof(device), "--device=%s", spec->device);
	snprintf(precision, sizeof(precision), "--precision=%s", spec->precision);
	snprintf(memory, sizeof(memory), "--rlimit-as=%llu", (unsigned long long) spec->memory);
	error = hb_trainer_descriptors(spec->data_fd, ours, &theirs, &data);
	if (error != 0)
		return error;
	error = hb_spawn(path, argv, theirs, data, pid);
	close(theirs);
	close(data);
	if (error != 0)
		close(*ours);
	return error;
}

void
hb_slot_open(HbSlot *slot, const HbTrainerSpec *spec)
{
	char path[MAXPGPATH];
	bool counted;
	int ours = -1;
	int error;
	pid_t pid = 0;

	Assert(slot->state == HB_SLOT_CLOSED);
	snprintf(path, sizeof(path), "%s/%s", pkglib_path, HB_TRAINER_PROGRAM);
	counted = AcquireExternalFD();
	error = counted ? hb_trainer_start(path, spec, &ours, &pid) : EMFILE;
	if (error != 0)
	{
		if (counted)
			ReleaseExternalFD();
		errno = error;
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not start trainer \"%s\": %m", path)));
	}

	slot->pid = pid;
	slot->socket = ours;
	slot->in = NULL;
	slot->in_length = slot->in_capacity = slot->in_position = 0;
	hb_writer_init(&slot->out, &hb_host_malloc);
	slot->out_sent = 0;
	slot->job_id = 0;
	slot->work = -1;
	slot->heard = hb_monotonic();
	memset(&slot->hello, 0, sizeof(slot->hello));
	slot->state = HB_SLOT_STARTING;
	hb_slots_generation++;
}

/* The group as well as the process, in case the trainer changed its group. */
static void
hb_kill(pid_t pid)
{
	(void) kill(-pid, SIGKILL);
	(void) kill(pid, SIGKILL);
}

static int
hb_reap(pid_t pid)
{
	int status;
	int tries;

	for (tries = 0; tries < HB_REAP_TRIES; tries++)
	{
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return status;
		if (got < 0 && errno != EINTR)
			return -1;
		pg_usleep(1000L);
	}
	ereport(WARNING, (errmsg("trainer process %d does not end", (int) pid)));
	return -1;
}

int
hb_slot_close(HbSlot *slot)
{
	int status;

	if (slot->state == HB_SLOT_CLOSED)
		return -1;
	hb_kill(slot->pid);
	status = hb_reap(slot->pid);
	close(slot->socket);
	ReleaseExternalFD();
	free(slot->in);
	hb_writer_free(&slot->out);
	slot->in = NULL;
	slot->in_length = slot->in_capacity = slot->in_position = slot->out_sent = 0;
	slot->socket = -1;
	slot->pid = 0;
	slot->work = -1;
	slot->state = HB_SLOT_CLOSED;
	hb_slots_generation++;
	return status;
}

void
hb_slots_close_all(void)
{
	int i;

	for (i = 0; i < HB_MAX_SLOTS; i++)
		if (hb_slots[i].state != HB_SLOT_CLOSED)
			hb_kill(hb_slots[i].pid);
	for (i = 0; i < HB_MAX_SLOTS; i++)
	{
		(void) hb_slot_close(&hb_slots[i]);
		if (hb_slots[i].lock != 0)
			hb_release_trainer_slot(hb_slots[i].lock);
		hb_slots[i].lock = 0;
	}
}

void
hb_slot_lost_status(pid_t pid, int wait_status, HbStatus *status)
{
	hb_status_init(status);
	(void) hb_fail(status, HB_TRAINER_LOST, "trainer process %d was lost", (int) pid);
	if (wait_status == -1)
		return;
	if (WIFSIGNALED(wait_status))
		(void) hb_fail_detail(status, "It was terminated by signal %d.", WTERMSIG(wait_status));
	else if (WIFEXITED(wait_status))
		(void) hb_fail_detail(status, "It exited with status %d.", WEXITSTATUS(wait_status));
}

bool
hb_slot_sending(const HbSlot *slot)
{
	return slot->state != HB_SLOT_CLOSED && slot->out_sent < slot->out.length;
}

bool
hb_slot_send(HbSlot *slot)
{
	while (hb_slot_sending(slot))
	{
		ssize_t n = send(slot->socket, slot->out.data + slot->out_sent,
						 slot->out.length - slot->out_sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		slot->out_sent += (size_t) n;
	}
	/* A job's checkpoints are megabytes: do not keep them while the trainer works. */
	hb_writer_free(&slot->out);
	hb_writer_init(&slot->out, &hb_host_malloc);
	slot->out_sent = 0;
	return true;
}

/* Makes room for at least HB_RECEIVE_MIN bytes more. */
static void
hb_slot_reserve(HbSlot *slot)
{
	size_t capacity = Max(slot->in_capacity, 2 * HB_RECEIVE_MIN);
	unsigned char *grown;

	if (slot->in_position > 0)
	{
		memmove(slot->in, slot->in + slot->in_position, slot->in_length - slot->in_position);
		slot->in_length -= slot->in_position;
		slot->in_position = 0;
	}
	/* the room that a large result took */
	if (slot->in_length == 0 && capacity > HB_RECEIVE_KEEP)
	{
		free(slot->in);
		slot->in = NULL;
		slot->in_capacity = 0;
		capacity = 2 * HB_RECEIVE_MIN;
	}
	while (capacity - slot->in_length < HB_RECEIVE_MIN)
		capacity *= 2;
	if (capacity == slot->in_capacity)
		return;
	grown = realloc(slot->in, capacity);
	if (grown == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Failed on request of size %zu.", capacity)));
	slot->in = grown;
	slot->in_capacity = capacity;
}

bool
hb_slot_receive(HbSlot *slot)
{
	size_t total = 0;

	while (total < HB_RECEIVE_TURN)
	{
		ssize_t n;

		hb_slot_reserve(slot);
		n = recv(slot->socket, slot->in + slot->in_length, slot->in_capacity - slot->in_length,
				 MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0)
			return false;
		slot->in_length += (size_t) n;
		total += (size_t) n;
	}
	return true;
}

bool
hb_slot_frame(HbSlot *slot, HbFrame *frame, const void **payload, HbStatus *status)
{
	size_t available = slot->in_length - slot->in_position;

	hb_status_init(status);
	if (available < sizeof(HbFrame))
		return false;
	memcpy(frame, slot->in + slot->in_position, sizeof(HbFrame));
	if (!hb_frame_check(frame, status))
		return false;
	if (available - sizeof(HbFrame) < frame->length)
		return false;
	*payload = slot->in + slot->in_position + sizeof(HbFrame);
	slot->in_position += sizeof(HbFrame) + frame->length;
	slot->heard = hb_monotonic();
	return true;
}
