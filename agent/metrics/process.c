/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#include "agent/metrics/expo.h"
#include "agent/metrics/process.h"

static bool read_number(const char *file, int skip, uint64_t *ret)
{
	char text[1024], *p = text;
	EX_AUTO_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name of the program is in brackets and may hold anything. */
	p = strrchr(text, ')') ? strrchr(text, ')') + 2 : text;
	while (skip-- && p)
		p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL;
	if (!p)
		return false;
	*ret = strtoull(p, NULL, 10);
	return true;
}

static uint64_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

/* Seconds since 1970; field 22 of stat is in ticks since the boot. */
static double start_time(void)
{
	struct timespec real, boot;
	uint64_t ticks = 0;

	if (!read_number("/proc/self/stat", 19, &ticks))
		return 0;
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)real.tv_sec - (double)boot.tv_sec +
	       (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void ex_metrics_process(struct ex_expo *x)
{
	struct rusage ru = { 0 };
	struct rlimit rl = { 0 };
	uint64_t pages = 0;

	(void)getrusage(RUSAGE_SELF, &ru);
	(void)getrlimit(RLIMIT_NOFILE, &rl);
	ex_expo_family(x, "process_cpu_seconds_total", "counter",
		       "User and system time of the agent.");
	ex_expo_seconds(x, (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
				   (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	ex_expo_family(x, "process_start_time_seconds", "gauge", "When the agent was started.");
	ex_expo_seconds(x, start_time());
	if (read_number("/proc/self/statm", 1, &pages))
		ex_expo_single(x, "process_resident_memory_bytes", "gauge",
			       "Resident memory of the agent.",
			       pages * (uint64_t)sysconf(_SC_PAGESIZE));
	ex_expo_single(x, "process_open_fds", "gauge", "Open descriptors of the agent.",
		       count_fds());
	ex_expo_single(x, "process_max_fds", "gauge", "Descriptors the agent may open.",
		       rl.rlim_cur);
}
