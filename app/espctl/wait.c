#include "wait.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/netlink.h>

#include "ask.h"

#define NAP_MS	     100
#define ANCESTRY_MAX 32

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

/* 0 where it cannot be known. */
static pid_t
parent_of(pid_t pid)
{
	char path[32], line[512];
	const char *end;
	pid_t parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	/* The name, in brackets, may hold anything. */
	if (fgets(line, sizeof(line), f) != NULL && (end = strrchr(line, ')')) != NULL)
		sscanf(end + 1, " %*c %d", &parent);
	fclose(f);
	return parent;
}

/* A starter's daemon is its child. */
static bool
descends(pid_t pid, pid_t from)
{
	for (int i = 0; i < ANCESTRY_MAX && pid > 1; i++) {
		if (pid == from)
			return true;
		pid = parent_of(pid);
	}
	return false;
}

/* 1: it is there; 0: not yet; -1: the gateway refuses. */
static int
look(const char *path, pid_t pid)
{
	static struct answer a;
	int fd = gateway_call(path, false), found = 0;
	uint32_t client;

	if (fd < 0)
		return 0;
	a.kind = 0;
	if (pids_ask(fd) && answer_read(fd, &a) && a.kind == NLMSG_ERROR) {
		fprintf(stderr, "espctl: %s\n", a.sentence);
		found = -1;
	}
	for (size_t at = 0; found == 0 && a.kind == IPC_PIDS && at + sizeof(client) <= a.n;
	     at += sizeof(client)) {
		memcpy(&client, a.octets + at, sizeof(client));
		found = descends(client, pid);
	}
	gateway_leave(fd);
	return found;
}

bool
client_wait(const char *path, pid_t pid, long seconds)
{
	int64_t end = now_ms() + seconds * INT64_C(1000);
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };

	for (;;) {
		int found = look(path, pid);

		if (found != 0)
			return found > 0;
		if (kill(pid, 0) < 0 && errno == ESRCH) {
			fprintf(stderr, "espctl: process %d has ended\n", pid);
			return false;
		}
		if (now_ms() >= end)
			break;
		nanosleep(&nap, NULL);
	}
	fprintf(stderr,
		"espctl: process %d has not called the gateway at %s within %ld s: is "
		"LD_PRELOAD=libespgw_xfrm.so in its environment, can it read that file, does its "
		"AppArmor profile allow the file and the socket, and does the gateway run?\n",
		pid, path, seconds);
	return false;
}
