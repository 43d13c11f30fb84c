#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/poller.h"

/* A pipe of which one end is watched. */
struct watched {
	struct poller *poller;
	int fds[2];
	unsigned int calls;
	struct watched *victim; /* deleted when this one is called */
	bool reopen;		/* and its descriptor given to another file at once */
};

static void
ready(void *ctx, uint32_t events)
{
	struct watched *w = ctx;
	char c;

	assert_true((events & EPOLLIN) != 0);
	w->calls++;
	assert_int_equal(read(w->fds[0], &c, 1), 1);
	if (w->victim == NULL)
		return;
	poller_del(w->poller, w->victim->fds[0]);
	if (w->reopen) {
		assert_int_equal(dup2(w->fds[0], w->victim->fds[0]), w->victim->fds[0]);
		assert_int_equal(poller_add(w->poller, w->victim->fds[0], 0, ready, w->victim), 0);
	}
}

static void
open_watched(struct watched *w, struct poller *p)
{
	*w = (struct watched) { .poller = p };
	assert_int_equal(pipe2(w->fds, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(poller_add(p, w->fds[0], EPOLLIN, ready, w), 0);
}

static void
close_watched(struct watched *w)
{
	poller_del(w->poller, w->fds[0]);
	close(w->fds[0]);
	close(w->fds[1]);
}

static void
what_is_ready_is_called(void **state)
{
	struct watched one, other;
	struct poller p;

	assert_int_equal(poller_init(&p), 0);
	open_watched(&one, &p);
	open_watched(&other, &p);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(write(one.fds[1], "ab", 2), 2);
	assert_int_equal(poller_wait(&p, -1), 1);
	/* It read one of two octets: it is ready again. */
	assert_int_equal(poller_wait(&p, -1), 1);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(one.calls, 2);
	assert_int_equal(other.calls, 0);
	close_watched(&one);
	close_watched(&other);
	poller_fini(&p);
}

/* Both are ready in one wait, and whichever is called first takes the other away. */
static void
deleted(bool reopen)
{
	struct watched one, other;
	struct poller p;

	assert_int_equal(poller_init(&p), 0);
	open_watched(&one, &p);
	open_watched(&other, &p);
	one.victim = &other;
	other.victim = &one;
	one.reopen = other.reopen = reopen;
	assert_int_equal(write(one.fds[1], "a", 1), 1);
	assert_int_equal(write(other.fds[1], "a", 1), 1);
	assert_int_equal(poller_wait(&p, -1), 1);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(one.calls + other.calls, 1);
	close_watched(&one);
	close_watched(&other);
	poller_fini(&p);
}

static void
what_was_deleted_is_not_called(void **state)
{
	deleted(false);
}

static void
a_reopened_descriptor_is_another(void **state)
{
	deleted(true);
}

static void
wishes_change(void **state)
{
	struct watched w;
	struct poller p;

	assert_int_equal(poller_init(&p), 0);
	open_watched(&w, &p);
	assert_int_equal(poller_add(&p, w.fds[0], EPOLLIN, ready, &w), -EEXIST);
	assert_int_equal(write(w.fds[1], "ab", 2), 2);
	assert_int_equal(poller_change(&p, w.fds[0], 0), 0);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(poller_change(&p, w.fds[0], EPOLLIN), 0);
	assert_int_equal(poller_wait(&p, 0), 1);
	assert_int_equal(poller_change(&p, w.fds[1], EPOLLIN), -ENOENT);
	assert_int_equal(poller_add(&p, -1, EPOLLIN, ready, &w), -EBADF);
	close_watched(&w);
	assert_int_equal(poller_change(&p, w.fds[0], EPOLLIN), -ENOENT);
	poller_del(&p, w.fds[0]);
	poller_fini(&p);
}

/* The kernel refuses to watch a file; one is always ready. */
static void
a_file_is_always_ready(void **state)
{
	struct watched w = { .calls = 0 };
	struct poller p;

	assert_int_equal(poller_init(&p), 0);
	w.poller = &p;
	w.fds[0] = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	w.fds[1] = -1;
	assert_true(w.fds[0] >= 0);
	assert_int_equal(poller_add(&p, w.fds[0], EPOLLIN, ready, &w), 0);
	assert_int_equal(poller_wait(&p, -1), 1);
	assert_int_equal(poller_change(&p, w.fds[0], 0), 0);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(poller_change(&p, w.fds[0], EPOLLIN), 0);
	assert_int_equal(poller_wait(&p, -1), 1);
	poller_del(&p, w.fds[0]);
	assert_int_equal(poller_wait(&p, 0), 0);
	assert_int_equal(w.calls, 2);
	close(w.fds[0]);
	poller_fini(&p);
}

static void
descriptors_may_be_many(void **state)
{
	enum {
		MANY = 300
	};
	struct watched w[MANY];
	struct poller p;
	int n = 0, calls;

	assert_int_equal(poller_init(&p), 0);
	for (int i = 0; i < MANY; i++) {
		open_watched(&w[i], &p);
		assert_int_equal(write(w[i].fds[1], "a", 1), 1);
	}
	while ((calls = poller_wait(&p, 0)) > 0)
		n += calls;
	assert_int_equal(n, MANY);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(w[i].calls, 1);
		close_watched(&w[i]);
	}
	poller_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_ready_is_called),
		cmocka_unit_test(what_was_deleted_is_not_called),
		cmocka_unit_test(a_reopened_descriptor_is_another),
		cmocka_unit_test(wishes_change),
		cmocka_unit_test(a_file_is_always_ready),
		cmocka_unit_test(descriptors_may_be_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
