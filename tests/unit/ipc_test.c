#include "ipc_rig.h"

static void
a_hello_is_answered(void **state)
{
	static uint8_t body[65536];
	struct nlmsghdr h;
	struct rig r;
	uint32_t version = 2;
	int fd, other;

	rig_open(&r);
	fd = call(&r);
	hello(fd, UINT32_MAX, 3, 99);
	turn(&r);
	assert_int_equal(error_heard(fd, UINT32_MAX, NULL), 0);
	hello(fd, 0, 3, 98);
	say(fd, IPC_HELLO, 1, &version, sizeof(version));
	say(fd, 0x4ff, 2, NULL, 0);
	turn(&r);
	assert_int_equal(error_heard(fd, 0, "instance"), -EINVAL);
	assert_int_equal(error_heard(fd, 1, "4 octets"), -EINVAL);
	assert_int_equal(error_heard(fd, 2, "0x4ff"), -EINVAL);
	other = call(&r);
	hello(other, 4, 0, UINT64_MAX);
	turn(&r);
	assert_int_equal(error_heard(other, 4, "no owner"), -ENOMEM);
	close(other);
	turn(&r);
	say(fd, IPC_PIDS, 3, NULL, 0);
	turn(&r);
	assert_int_equal(heard(fd, &h, body), NLMSG_HDRLEN + 4);
	assert_int_equal(h.nlmsg_pid, 4711);
	assert_int_equal(*(uint32_t *)body, getpid());
	assert_int_equal(r.requests, 0);
	assert_true(ipc_listens(r.ipc, 1));
	assert_false(ipc_listens(r.ipc, 3));
	close(fd);
	turn(&r);
	assert_false(ipc_listens(r.ipc, 1));
	assert_int_equal(r.gone, 2);
	rig_close(&r);
}

/* Before and without a hello; ours and others in one datagram; cut ones. */
static void
others_are_passed_on(void **state)
{
	struct {
		struct nlmsghdr one, two, own, three;
	} m = {
		.one = { NLMSG_HDRLEN, REQUEST, 0, 1, 0 },
		.two = { NLMSG_HDRLEN, REQUEST, 0, 2, 0 },
		.own = { NLMSG_HDRLEN, IPC_HELLO, 0, 3, 0 },
		.three = { NLMSG_HDRLEN, REQUEST, 0, 4, 0 },
	};
	struct rig r;
	int fd;

	rig_open(&r);
	fd = call(&r);
	r.amount = 0;
	assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m));
	turn(&r);
	assert_int_equal(r.requests, 2);
	assert_int_equal(r.last_len, sizeof(m.three));
	assert_int_equal(error_heard(fd, 3, "hello"), -EINVAL);
	/* Each cut of it: whole messages of ours are served, the rest goes to who serves XFRM. */
	for (size_t cut = 1; cut < sizeof(m); cut++) {
		assert_int_equal(send(fd, &m, cut, 0), cut);
		turn(&r);
		if (cut >= 3 * sizeof(m.one))
			assert_int_equal(error_heard(fd, 3, NULL), -EINVAL);
	}
	m.two.nlmsg_len = UINT32_MAX;
	r.requests = 0;
	assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m));
	turn(&r);
	assert_int_equal(r.requests, 1);
	assert_int_equal(r.last_len, sizeof(m));
	close(fd);
	turn(&r);
	rig_close(&r);
}

static void
oversize_and_descriptors_are_harmless(void **state)
{
	static uint8_t big[IPC_DATAGRAM_MAX + 4];
	struct nlmsghdr h = { sizeof(big), REQUEST, 0, 7, 0 };
	union {
		struct cmsghdr c;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .c = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec iov = { &h, sizeof(h) };
	struct msghdr with_fd = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct rig r;
	int fd, pipes[2];
	char c;

	rig_open(&r);
	fd = call(&r);
	memcpy(big, &h, sizeof(h));
	assert_int_equal(send(fd, big, sizeof(big), 0), sizeof(big));
	turn(&r);
	assert_int_equal(error_heard(fd, 7, "65536"), -EMSGSIZE);
	assert_int_equal(r.requests, 0);
	assert_int_equal(pipe(pipes), 0);
	memcpy(CMSG_DATA(&control.c), &pipes[1], sizeof(int));
	h.nlmsg_len = sizeof(h);
	assert_int_equal(sendmsg(fd, &with_fd, 0), sizeof(h));
	close(pipes[1]);
	turn(&r);
	assert_int_equal(r.requests, 1);
	/* Nobody holds the other end any more. */
	assert_int_equal(read(pipes[0], &c, 1), 0);
	close(pipes[0]);
	close(fd);
	turn(&r);
	rig_close(&r);
}

static void
a_dead_socket_is_replaced_and_a_live_one_not(void **state)
{
	struct ipc_options options;
	struct ipc *second = NULL;
	struct stat st;
	struct err err;
	struct rig r;
	char path[64];
	int fd;

	rig_open(&r);
	assert_int_equal(stat(r.path, &st), 0);
	assert_int_equal(st.st_mode & 07, geteuid() == 0 && (st.st_mode & 07) != 0 ? 06 : 0);
	options = options_of(&r);
	options.cli = NULL;
	assert_int_equal(ipc_create(&options, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "answers there already"));
	/* What a gateway leaves that was killed: a socket that nobody listens on. */
	close(r.ipc->listener.fd);
	assert_int_equal(ipc_create(&options, &second, &err), 0);
	r.ipc->listener.fd = open("/dev/null", O_RDONLY);
	/* The first one's end leaves the second one's socket alone. */
	ipc_free(r.ipc);
	r.ipc = second;
	fd = call(&r);
	hello(fd, 1, 0, 0);
	turn(&r);
	assert_int_equal(error_heard(fd, 1, NULL), 0);
	close(fd);
	turn(&r);
	snprintf(path, sizeof(path), "%s/file", r.dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	options.path = path;
	assert_int_equal(ipc_create(&options, &second, &err), -EEXIST);
	unlink(path);
	rig_close(&r);
}

static void
commands_are_answered(void **state)
{
	static uint8_t body[65536];
	struct {
		struct ipc_command c;
		char line[32];
	} m = { { IPC_JSON }, "show clients" };
	struct nlmsghdr h;
	struct ipc_end end;
	struct rig r;
	int fd;

	rig_open(&r);
	fd = call(&r);
	say(fd, IPC_COMMAND, 1, &m, sizeof(m));
	turn(&r);
	assert_true(heard(fd, &h, body) > 0);
	assert_int_equal(h.nlmsg_type, IPC_TEXT);
	assert_memory_equal(body, "{\"clients\":[{\"pid\":", 19);
	assert_int_equal(body[h.nlmsg_len - NLMSG_HDRLEN - 1], '\n');
	assert_true(heard(fd, &h, body) > 0);
	assert_int_equal(h.nlmsg_type, IPC_END);
	memcpy(&end, body, sizeof(end));
	assert_int_equal(end.status, 0);
	strcpy(m.line, "frobnicate");
	say(fd, IPC_COMMAND, 2, &m, sizeof(m));
	turn(&r);
	assert_true(heard(fd, &h, body) > 0);
	assert_int_equal(h.nlmsg_type, IPC_END);
	memcpy(&end, body, sizeof(end));
	assert_int_equal(end.status, -ENOENT);
	assert_non_null(strstr((char *)body + sizeof(end), "frobnicate"));
	close(fd);
	turn(&r);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hello_is_answered),
		cmocka_unit_test(others_are_passed_on),
		cmocka_unit_test(oversize_and_descriptors_are_harmless),
		cmocka_unit_test(a_dead_socket_is_replaced_and_a_live_one_not),
		cmocka_unit_test(commands_are_answered),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
