/*
 * main.c - the trainer program: maps the data set, says HELLO, then trains what the supervisor asks
 *
 *   hyperband_trainer --device=auto|cpu|cuda [--precision=medium|high|highest] [--rlimit-as=BYTES] [--provider=NAME]
 *
 * Descriptor 3 is the socket to the supervisor, 4 the sealed memfd with the data set.  The program holds
 * the data and the BLAS library, so that running out of memory or a crash there costs a retry and never the
 * server.  It ends with _exit(0) when the supervisor closes the socket, and is killed with it (PR_SET_PDEATHSIG).
 * Exit codes: 0 end of file, 1 the socket or the data set is unusable, 2 bad arguments, 3 no such device.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compute/provider.h"
#include "trainer/serve.h"

typedef struct Arguments
{
	const char *device;
	const char *precision;
	const char *provider;
	uint64_t address_space; /* bytes; 0: unlimited */
} Arguments;

static void __attribute__((noreturn)) leave(int code, const char *what)
{
	fprintf(stderr, "hyperband_trainer: %s\n", what);
	_exit(code);
}

static void
parse_arguments(int argc, char **argv, Arguments *arguments)
{
	memset(arguments, 0, sizeof(*arguments));
	arguments->device = "auto";
	arguments->precision = "high";
	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], "--device=", 9) == 0)
			arguments->device = argv[i] + 9;
		else if (strncmp(argv[i], "--precision=", 12) == 0)
			arguments->precision = argv[i] + 12;
		else if (strncmp(argv[i], "--provider=", 11) == 0)
			arguments->provider = argv[i] + 11;
		else if (strncmp(argv[i], "--rlimit-as=", 12) == 0)
			arguments->address_space = strtoull(argv[i] + 12, NULL, 10);
		else
			leave(2, "unrecognized argument");
	}
}

/* Dies with the supervisor, is the first to be killed when memory runs out, and has a limit of its own. */
static void
restrict_process(const Arguments *arguments, pid_t parent)
{
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
	{
		if (write(fd, "1000", 4) != 4)
			fprintf(stderr, "hyperband_trainer: could not set oom_score_adj: %s\n",
					strerror(errno));
		close(fd);
	}
	if (arguments->address_space > 0)
	{
		struct rlimit limit = {arguments->address_space, arguments->address_space};

		if (setrlimit(RLIMIT_AS, &limit) != 0)
			leave(1, "could not limit the address space");
	}
}

static void
map_dataset(HbDataset *dataset)
{
	struct stat st;
	void *base;
	HbStatus status;

	if (fstat(HB_TRAINER_DATA_FD, &st) != 0 || st.st_size <= 0)
		leave(1, "could not read the size of the data set");
	base = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_SHARED, HB_TRAINER_DATA_FD, 0);
	if (base == MAP_FAILED)
		leave(1, "could not map the data set");
	hb_status_init(&status);
	if (!hb_dataset_open(base, (size_t) st.st_size, dataset, &status))
		leave(1, status.message);
}

static const HbProvider *
choose_provider(const Arguments *arguments)
{
	const HbProvider *provider;
	HbPrecision precision;

	if (!hb_precision_find(arguments->precision, &precision))
		leave(2, "unrecognized precision");
	if (strcmp(arguments->device, "cuda") == 0)
		leave(3, "this build has no CUDA provider");
	if (strcmp(arguments->device, "auto") != 0 && strcmp(arguments->device, "cpu") != 0)
		leave(2, "unrecognized device");
	provider =
		arguments->provider ? hb_provider_find(arguments->provider) : hb_provider_best(precision);
	if (!provider)
		leave(3, "no such provider on this machine");
	return provider;
}

/* One product before memory can run short: OpenBLAS waits forever when it cannot allocate its buffers later. */
static void
warm_up(const HbProvider *provider)
{
	static hb_real a[32 * 32], b[32 * 32], c[32 * 32];
	HbProduct product = {.m = 32,
						 .n = 32,
						 .k = 32,
						 .a = a,
						 .a_row = 32,
						 .a_col = 1,
						 .b = b,
						 .b_row = 32,
						 .b_width = 32,
						 .c = c,
						 .c_row = 32};

	provider->product(&product);
}

int
main(int argc, char **argv)
{
	Arguments arguments;
	HbServer server;
	HbDataset dataset;
	const HbProvider *provider;
	pid_t parent = getppid();

	parse_arguments(argc, argv, &arguments);
	restrict_process(&arguments, parent);
	map_dataset(&dataset);
	provider = choose_provider(&arguments);
	warm_up(provider);
	hb_server_init(&server, HB_TRAINER_SOCKET_FD, provider, &dataset);
	hb_server_hello(&server);
	for (;;)
		hb_server_turn(&server);
}
