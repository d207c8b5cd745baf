/*
 * A library to preload into a program. It makes fsync and fdatasync of the file
 * whose path is SLOWSYNC_FILE take SLOWSYNC_MS milliseconds longer, as a busy
 * disk would. Other files, such as the write-ahead log, sync as they do.
 *
 *   gcc -shared -fPIC -o slowsync.so slowsync.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void delay(int fd)
{
	const char *slow = getenv("SLOWSYNC_FILE");
	const char *ms = getenv("SLOWSYNC_MS");
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (slow == NULL || ms == NULL)
		return;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	if (strcmp(path, slow) != 0)
		return;
	long left = atol(ms);
	struct timespec t = { left / 1000, left % 1000 * 1000000 };
	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}

int fsync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

	delay(fd);
	return real(fd);
}

int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

	delay(fd);
	return real(fd);
}
