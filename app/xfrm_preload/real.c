#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "preload.h"

static struct real functions;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define ROW(name)                                  \
	{                                          \
#name, offsetof(struct real, name) \
	}

static const struct {
	const char *name;
	size_t at;
} rows[] = {
	ROW(socket),  ROW(bind),   ROW(connect), ROW(getsockname), ROW(setsockopt), ROW(getsockopt),
	ROW(sendmsg), ROW(sendto), ROW(send),	 ROW(write),	   ROW(recvmsg),    ROW(recvfrom),
	ROW(recv),    ROW(read),   ROW(close),	 ROW(close_range), ROW(dup),	    ROW(dup2),
	ROW(dup3),    ROW(fcntl),  ROW(ioctl),	 ROW(epoll_ctl),
};

static void
find(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *symbol = dlsym(RTLD_NEXT, rows[i].name);

		memcpy((char *)&functions + rows[i].at, &symbol, sizeof(symbol));
	}
}

const struct real *
real(void)
{
	pthread_once(&once, find);
	return &functions;
}
