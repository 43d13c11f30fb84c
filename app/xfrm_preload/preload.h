/* Takes a process's NETLINK_XFRM sockets to the gateway's control socket.
 *
 * calls.c stands in front of libc; link.c has what lies under the descriptors, and what happens
 * when a connection ends; dial.c makes one; again.c remembers what a gateway
 * that starts anew has to be told; real.c is libc. C library and threads only: this lives
 * in other people's processes. It never hands a request to the kernel's XFRM: what the gateway does
 * not take fails.
 *
 * What a process holds is always a descriptor of the kernel's, so poll, select and epoll work: a
 * connection, or, while there is none, the end of a socket pair on which nothing comes but errors
 * for requests whose answers were lost.
 */
#ifndef XFRM_PRELOAD_H
#define XFRM_PRELOAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>

#define FDS_MAX	    65536
#define LINKS_MAX   256
#define PENDING_MAX 256
#define WATCHES_MAX 4
#define ANSWER_S    10 /* how long a request may want its answer, and a send its room */
#define HELLO_MS    2000

/* A request that is to be answered. */
struct pending {
	uint32_t seq;
	int64_t until; /* ms */
};

/* An epoll that waits for the descriptor: it forgets it when another file comes under the number.
 */
struct watch {
	int epoll, fd;
	struct epoll_event event;
};

struct link {
	pthread_mutex_t lock;
	bool used;
	int refs; /* descriptors */
	bool bound, connected;
	uint32_t pid, groups;
	int far;		     /* the other end while there is no connection, else -1 */
	_Atomic uint32_t generation; /* of what lies under the descriptors */
	int64_t next_try, nap;	     /* ms */
	unsigned int n_pending, n_watches;
	struct pending pending[PENDING_MAX];
	struct watch watches[WATCHES_MAX];
};

/* libc's own. */
struct real {
	int (*socket)(int, int, int);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*connect)(int, const struct sockaddr *, socklen_t);
	int (*getsockname)(int, struct sockaddr *, socklen_t *);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t (*send)(int, const void *, size_t, int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*read)(int, void *, size_t);
	int (*close)(int);
	int (*close_range)(unsigned int, unsigned int, int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*ioctl)(int, unsigned long, ...);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
};

const struct real *real(void);

int64_t now_ms(void);

/* A connection whose other end is root's and has taken our hello; -1: there is none now, and where
 * somebody has to mend that, a line on standard error said why, once.
 */
int dial(const struct link *l, uint64_t instance, bool is_daemon);

/* The link under a descriptor, or NULL: it is none of ours. */
struct link *link_of(int fd);

/* A new one under a new descriptor, or -1 and errno. */
int link_open(int type);
/* Another descriptor of the same; what was under it is gone. */
void link_share(struct link *l, int fd);
/* A descriptor is about to be closed. */
void link_close(int fd);

/* Takes pid and groups, and calls the gateway; without it, later. */
void link_bind(struct link *l, int fd, uint32_t pid, uint32_t groups);
/* A connection, if there can be one now: false is ECONNREFUSED. */
bool link_ready(struct link *l, int fd);
/* The connection that had that generation has ended: who waits for answers gets `error`. */
void link_lost(struct link *l, int fd, uint32_t generation, int error);
/* pending.c. Notes requests that go out. */
void link_asked(struct link *l, const struct msghdr *msg, size_t len);
/* The first of them did not go out after all. */
void link_unasked(struct link *l, const struct msghdr *msg);
/* Forgets the request whose answer came. */
void link_answered(struct link *l, const void *octets, size_t len);
void link_watch(struct link *l, int epoll, int op, int fd, const struct epoll_event *event);
/* An epoll may be gone. */
void links_unwatch(int epoll);

/* again.c. A request of the link with that pid goes out; it has a whole header. */
void again_asked(uint32_t pid, const void *request, size_t len);
/* It was answered by an error. */
void again_refused(uint32_t pid, uint32_t seq);
/* In the child: other threads did not come along. */
void again_forked(void);
/* A new connection, before the process has it: policies that were lost are installed again. */
void again_connected(int fd);
/* SAs that were lost are told to who reads from the far end of l. True: there are some to read. */
bool again_tell(const struct link *l);

#endif
