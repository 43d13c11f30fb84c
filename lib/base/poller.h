/* What the control thread waits for: file descriptors, each with a function to call when it is
 * ready.
 *
 *	poller_init(&p);
 *	poller_add(&p, fd, EPOLLIN, line_ready, line);
 *	for (;;)
 *		poller_wait(&p, 20);
 *
 * A function may add, change and delete any descriptor, its own too: what was deleted, or closed
 * and opened anew under the same number, is not called for what was seen before. Level-triggered,
 * so a function need not do all there is to do: doing a little keeps the loop's other work going.
 * One thread's only. A descriptor is the caller's, and is deleted before it is closed.
 */
#ifndef BASE_POLLER_H
#define BASE_POLLER_H

#include <stdint.h>

/* events: of <sys/epoll.h>, what is there; EPOLLERR and EPOLLHUP are always told. */
typedef void poller_fn(void *ctx, uint32_t events);

struct poller_slot {
	poller_fn *fn; /* NULL: not watched */
	void *ctx;
	uint32_t generation;
	uint32_t
		always; /* events of one that the kernel cannot watch, a file: it is always ready */
};

struct poller {
	int epoll;
	uint32_t n_slots, n_always;
	struct poller_slot *slots; /* by descriptor */
};

/* 0 or a negative errno. */
int poller_init(struct poller *p);
/* Closes no descriptor but its own. Also for one that is all zero. */
void poller_fini(struct poller *p);

/* Returns 0; -EEXIST: it is watched already; -ENOMEM, or what else epoll_ctl(2) says. */
int poller_add(struct poller *p, int fd, uint32_t events, poller_fn *fn, void *ctx);
/* What to wait for from now on; 0 is nothing but errors. -ENOENT: it is not watched. */
int poller_change(struct poller *p, int fd, uint32_t events);
/* Nothing happens if it is not watched. */
void poller_del(struct poller *p, int fd);

/* Waits up to so many milliseconds (0: not at all, -1: for ever) and calls what is ready, each at
 * most once. Returns how many were called; 0 too when a signal came.
 */
int poller_wait(struct poller *p, int timeout_ms);

#endif
