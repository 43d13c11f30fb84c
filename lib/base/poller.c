#include "base/poller.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 64

int
poller_init(struct poller *p)
{
	*p = (struct poller) { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	return p->epoll < 0 ? -errno : 0;
}

void
poller_fini(struct poller *p)
{
	if (p->slots != NULL || p->epoll > 0)
		close(p->epoll);
	free(p->slots);
	*p = (struct poller) { .epoll = -1 };
}

static struct poller_slot *
slot_of(struct poller *p, int fd)
{
	if (fd < 0 || (uint32_t)fd >= p->n_slots || p->slots[fd].fn == NULL)
		return NULL;
	return &p->slots[fd];
}

static int
slots_grow(struct poller *p, int fd)
{
	uint32_t n = p->n_slots > 0 ? p->n_slots : 64;
	struct poller_slot *slots;

	while (n <= (uint32_t)fd)
		n *= 2;
	if (n == p->n_slots)
		return 0;
	slots = realloc(p->slots, n * sizeof(*slots));
	if (slots == NULL)
		return -ENOMEM;
	memset(slots + p->n_slots, 0, (n - p->n_slots) * sizeof(*slots));
	p->slots = slots;
	p->n_slots = n;
	return 0;
}

static int
control(struct poller *p, int op, int fd, uint32_t events)
{
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)p->slots[fd].generation << 32 | (uint32_t)fd,
	};

	return epoll_ctl(p->epoll, op, fd, &event) < 0 ? -errno : 0;
}

int
poller_add(struct poller *p, int fd, uint32_t events, poller_fn *fn, void *ctx)
{
	struct poller_slot *slot;
	int rc;

	if (fd < 0)
		return -EBADF;
	if (slot_of(p, fd) != NULL)
		return -EEXIST;
	rc = slots_grow(p, fd);
	if (rc < 0)
		return rc;
	slot = &p->slots[fd];
	slot->generation++;
	slot->always = 0;
	rc = control(p, EPOLL_CTL_ADD, fd, events);
	if (rc == -EPERM) {
		slot->always = events;
		p->n_always += events != 0;
		rc = 0;
	}
	if (rc < 0)
		return rc;
	slot->fn = fn;
	slot->ctx = ctx;
	return 0;
}

int
poller_change(struct poller *p, int fd, uint32_t events)
{
	struct poller_slot *slot = slot_of(p, fd);
	int rc;

	if (slot == NULL)
		return -ENOENT;
	rc = control(p, EPOLL_CTL_MOD, fd, events);
	if (rc != -EPERM)
		return rc;
	p->n_always += (events != 0) - (slot->always != 0);
	slot->always = events;
	return 0;
}

void
poller_del(struct poller *p, int fd)
{
	struct poller_slot *slot = slot_of(p, fd);

	if (slot == NULL)
		return;
	control(p, EPOLL_CTL_DEL, fd, 0);
	p->n_always -= slot->always != 0;
	slot->fn = NULL;
	slot->always = 0;
	slot->generation++;
}

static bool
call(struct poller *p, uint32_t fd, uint32_t generation, uint32_t events)
{
	struct poller_slot *slot = slot_of(p, fd);

	if (slot == NULL || slot->generation != generation)
		return false;
	slot->fn(slot->ctx, events);
	return true;
}

static int
always_call(struct poller *p)
{
	int n = 0;

	for (uint32_t fd = 0; p->n_always > 0 && fd < p->n_slots; fd++)
		if (p->slots[fd].always != 0)
			n += call(p, fd, p->slots[fd].generation, p->slots[fd].always);
	return n;
}

int
poller_wait(struct poller *p, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(p->epoll, events, EVENTS_MAX, p->n_always > 0 ? 0 : timeout_ms);
	int called = 0;

	for (int i = 0; i < n; i++)
		called += call(p, (uint32_t)events[i].data.u64, events[i].data.u64 >> 32,
			       events[i].events);
	return called + always_call(p);
}
