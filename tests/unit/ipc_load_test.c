#include "ipc_rig.h"

/* Answers wait, requests are not read meanwhile; others are served. */
static void
a_reader_who_sleeps_harms_nobody(void **state)
{
	static uint8_t body[65536];
	enum {
		REQUESTS = 4000
	};
	struct nlmsghdr h = { NLMSG_HDRLEN, REQUEST, 0, 1, 0 };
	struct rig r;
	int slow, other;
	unsigned int sent = 0, n = 0;

	rig_open(&r);
	slow = call(&r);
	other = call(&r);
	r.size = 4096;
	while (sent < REQUESTS) {
		if (send(slow, &h, sizeof(h), MSG_DONTWAIT) == sizeof(h))
			sent++;
		else
			break;
		if (sent % 8 == 0)
			turn(&r);
	}
	turn(&r);
	assert_in_range(sent, 100, REQUESTS - 1);
	assert_true(r.requests < sent);
	assert_in_range(r.ipc->clients[0]->queued, CLIENT_LOW, CLIENT_LOW + 65536);
	say(other, REQUEST, 5, NULL, 0);
	turn(&r);
	assert_int_equal(heard(other, &h, body), 4096);
	assert_int_equal(h.nlmsg_seq, 5);
	/* It wakes: each request has its answer. */
	for (int idle = 0; idle < 3;) {
		idle = heard(slow, &h, body) > 0 ? (n++, 0) : idle + 1;
		turn(&r);
	}
	assert_int_equal(n, sent);
	close(slow);
	close(other);
	turn(&r);
	assert_int_equal(r.gone, 2);
	rig_close(&r);
}

static void
events_beyond_the_limit_are_told_lost(void **state)
{
	static uint8_t event[4096], body[65536];
	enum {
		EVENTS = 3000
	};
	struct nlmsghdr h = { sizeof(event), 0x17, 0, 0, 0 };
	unsigned int n = 0, overruns = 0, after = 0;
	struct rig r;
	int slow, deaf;

	rig_open(&r);
	slow = call(&r);
	deaf = call(&r);
	hello(slow, 1, 1, 5);
	hello(deaf, 1, 2, 6);
	turn(&r);
	assert_int_equal(error_heard(slow, 1, NULL), 0);
	assert_int_equal(error_heard(deaf, 1, NULL), 0);
	for (int i = 0; i < EVENTS; i++) {
		h.nlmsg_seq = i;
		memcpy(event, &h, sizeof(h));
		ipc_event(r.ipc, 1, event, sizeof(event));
	}
	assert_true(r.ipc->clients[0]->queued <= IPC_EVENTS_MAX);
	assert_true(r.ipc->clients[0]->queued > IPC_EVENTS_MAX - 2 * sizeof(event));
	assert_int_equal(recv(deaf, body, sizeof(body), MSG_DONTWAIT), -1);
	/* Its requests are answered all the same. */
	for (int idle = 0; idle < 3;) {
		if (heard(slow, &h, body) > 0) {
			idle = 0;
			if (h.nlmsg_type == NLMSG_OVERRUN)
				overruns++;
			else if (overruns == 0)
				assert_int_equal(h.nlmsg_seq, n++);
		} else {
			idle++;
		}
		turn(&r);
	}
	assert_int_equal(overruns, 1);
	assert_in_range(n, 256, EVENTS - 1);
	h = (struct nlmsghdr) { NLMSG_HDRLEN, 0x17, 0, 0, 0 };
	ipc_event(r.ipc, 1, &h, sizeof(h));
	after = heard(slow, &h, body) > 0;
	assert_int_equal(after, 1);
	close(slow);
	close(deaf);
	turn(&r);
	rig_close(&r);
}

static void
a_dump_goes_on_as_it_is_read(void **state)
{
	static uint8_t body[65536];
	enum {
		DUMPS = 5000
	};
	struct nlmsghdr h;
	unsigned int n = 0;
	struct rig r;
	int fd;

	rig_open(&r);
	fd = call(&r);
	r.amount = 0;
	r.to_dump = DUMPS;
	say(fd, REQUEST, 1, NULL, 0);
	turn(&r);
	assert_in_range(r.dumps, 10, DUMPS - 1);
	for (int idle = 0; idle < 3;) {
		idle = heard(fd, &h, body) > 0 ? (n++, 0) : idle + 1;
		turn(&r);
	}
	assert_int_equal(n, DUMPS);
	/* One who goes in the middle. */
	r.to_dump = DUMPS;
	say(fd, REQUEST, 1, NULL, 0);
	turn(&r);
	close(fd);
	turn(&r);
	assert_int_equal(r.gone, 1);
	rig_close(&r);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

static void
a_storm_leaves_room_for_others(void **state)
{
	static uint8_t body[65536];
	struct nlmsghdr h = { NLMSG_HDRLEN, REQUEST, 0, 1, 0 };
	unsigned int answered = 0;
	struct rig r;
	uint64_t end, turns = 0;
	int storm[8], other;

	rig_open(&r);
	for (size_t i = 0; i < RTE_DIM(storm); i++)
		storm[i] = call(&r);
	other = call(&r);
	turn(&r);
	end = now_ms() + 300;
	say(other, REQUEST, 9, NULL, 0);
	while (now_ms() < end) {
		for (size_t i = 0; i < RTE_DIM(storm); i++) {
			while (send(storm[i], &h, sizeof(h), MSG_DONTWAIT) > 0)
				;
			while (recv(storm[i], body, sizeof(body), MSG_DONTWAIT) > 0)
				;
		}
		poller_wait(&r.poller, 0);
		ipc_run(r.ipc);
		turns++;
		if (heard(other, &h, body) > 0) {
			answered++;
			say(other, REQUEST, 9, NULL, 0);
		}
		h = (struct nlmsghdr) { NLMSG_HDRLEN, REQUEST, 0, 1, 0 };
	}
	assert_true(turns >= 10);
	/* At least every second turn. */
	assert_true(answered >= turns / 3);
	for (size_t i = 0; i < RTE_DIM(storm); i++)
		close(storm[i]);
	close(other);
	turn(&r);
	rig_close(&r);
}

static void
a_thousand_clients_and_no_more(void **state)
{
	enum {
		MORE = 8
	};
	struct rlimit limit;
	int fds[IPC_CLIENTS_MAX + MORE];
	struct rig r;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * IPC_CLIENTS_MAX + 100) {
		skip();
		return;
	}
	rig_open(&r);
	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		fds[i] = call(&r);
		hello(fds[i], i, 0, i + 1);
		turn(&r);
	}
	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		if (i < IPC_CLIENTS_MAX)
			assert_int_equal(error_heard(fds[i], i, NULL), 0);
		else
			assert_int_equal(error_heard(fds[i], i, "as many clients"), -EUSERS);
	}
	/* One goes, and there is room again. */
	close(fds[17]);
	turn(&r);
	fds[17] = call(&r);
	hello(fds[17], 3, 0, 3);
	turn(&r);
	assert_int_equal(error_heard(fds[17], 3, NULL), 0);
	for (size_t i = 0; i < RTE_DIM(fds); i++)
		close(fds[i]);
	turn(&r);
	assert_int_equal(r.ipc->n_clients, 0);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reader_who_sleeps_harms_nobody),
		cmocka_unit_test(events_beyond_the_limit_are_told_lost),
		cmocka_unit_test(a_dump_goes_on_as_it_is_read),
		cmocka_unit_test(a_storm_leaves_room_for_others),
		cmocka_unit_test(a_thousand_clients_and_no_more),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
