/* espctl: the prompt's commands over the control socket. Knows no command: the gateway does. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "ask.h"
#include "wait.h"

enum exit_code {
	EXIT_FINE,
	EXIT_FAILED,
	EXIT_USAGE,
};

struct options {
	const char *path;
	bool json;
};

static void
usage(FILE *f)
{
	fputs("usage: espctl [-s PATH] [--json] COMMAND...\n"
	      "       espctl [-s PATH] wait-client --pid N [--timeout SECONDS]\n\n"
	      "  -s, --socket PATH   the gateway's control socket; default $ESPGW_SOCKET, or\n"
	      "                      " IPC_PATH "\n"
	      "      --json          answers as JSON\n"
	      "  -h, --help          this\n"
	      "      --version       the version\n\n"
	      "espctl help lists the gateway's commands. wait-client waits until the process, or "
	      "one\n"
	      "of its children, has called the gateway as a key daemon.\n",
	      f);
}

/* Words become the line that they would be at the prompt. */
static bool
line_make(char *line, size_t size, int n, char **words)
{
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		int len = snprintf(line + at, size - at, "%s%s", i > 0 ? " " : "", words[i]);

		if (len < 0 || (size_t)len >= size - at)
			return false;
		at += len;
	}
	return true;
}

static bool
text_write(const void *octets, size_t n)
{
	return fwrite(octets, 1, n, stdout) == n && fflush(stdout) == 0;
}

/* What a refused request says: its sentence, or the errno. */
static int
refused(const struct answer *a)
{
	fprintf(stderr, "espctl: %s\n", a->sentence[0] != 0 ? a->sentence : strerror(-a->status));
	return EXIT_FAILED;
}

/* A reader who has had enough (`| head`) is no error. */
static int
unwritten(void)
{
	if (errno == EPIPE)
		return EXIT_FINE;
	fprintf(stderr, "espctl: standard output: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static int
answer_print(int fd)
{
	static struct answer a;

	for (;;) {
		if (!answer_read(fd, &a))
			return EXIT_FAILED;
		if (a.kind == IPC_TEXT && !text_write(a.octets, a.n))
			return unwritten();
		if (a.kind == IPC_END || a.kind == NLMSG_ERROR)
			return a.status == 0 ? EXIT_FINE : refused(&a);
	}
}

static int
command_run(const struct options *o, int n, char **words)
{
	char line[1024];
	int fd, rc;

	if (!line_make(line, sizeof(line), n, words)) {
		fputs("espctl: a command of more than 1023 octets\n", stderr);
		return EXIT_USAGE;
	}
	fd = gateway_call(o->path, true);
	if (fd < 0)
		return EXIT_FAILED;
	stop_on_interrupt(fd);
	rc = command_ask(fd, o->json, line) ? answer_print(fd) : EXIT_FAILED;
	gateway_leave(fd);
	return rc;
}

static bool
number_read(const char *what, const char *text, long max, long *n)
{
	char *end;

	errno = 0;
	*n = strtol(text, &end, 10);
	if (errno == 0 && end != text && *end == 0 && *n >= 1 && *n <= max)
		return true;
	fprintf(stderr, "espctl: %s: \"%.40s\" is no number from 1 to %ld\n", what, text, max);
	return false;
}

static int
wait_run(const struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "timeout", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	long pid = 0, timeout = 10;
	int letter;

	optind = 1;
	while ((letter = getopt_long(argc, argv, ":p:t:", longs, NULL)) != -1) {
		if (letter != 'p' && letter != 't') {
			fprintf(stderr, "espctl: wait-client: what is \"%s\"?\n", argv[optind - 1]);
			return EXIT_USAGE;
		}
		if (letter == 'p' ? !number_read("--pid", optarg, 1L << 22, &pid) :
				    !number_read("--timeout", optarg, 86400, &timeout))
			return EXIT_USAGE;
	}
	if (pid == 0 || optind < argc) {
		fputs("espctl: it is: wait-client --pid N [--timeout SECONDS]\n", stderr);
		return EXIT_USAGE;
	}
	return client_wait(o->path, pid, timeout) ? EXIT_FINE : EXIT_FAILED;
}

/* -1: there is a command to run; else the exit status. */
static int
options_read(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = getenv("ESPGW_SOCKET");
	int letter;

	*o = (struct options) { .path = path != NULL && path[0] != 0 ? path : IPC_PATH };
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "+:s:h", longs, NULL)) != -1) {
		if (letter == 's') {
			o->path = optarg;
		} else if (letter == 'j') {
			o->json = true;
		} else if (letter == 'h') {
			usage(stdout);
			return EXIT_FINE;
		} else if (letter == 'v') {
			puts("espctl " GW_VERSION);
			return EXIT_FINE;
		} else {
			fprintf(stderr, "espctl: %s %s: see espctl --help\n", argv[optind - 1],
				letter == ':' ? "wants an argument" : "is no option");
			return EXIT_USAGE;
		}
	}
	if (optind < argc)
		return -1;
	usage(stderr);
	return EXIT_USAGE;
}

/* A stream that was closed before the start would be the socket, and the answer go back by it. */
static void
streams_open(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct options o;
	int rc;

	streams_open();
	signal(SIGPIPE, SIG_IGN);
	rc = options_read(argc, argv, &o);
	if (rc >= 0)
		return rc;
	if (strcmp(argv[optind], "wait-client") == 0)
		return wait_run(&o, argc - optind, argv + optind);
	/* Behind the command, too. */
	while (argc > optind + 1 && strcmp(argv[argc - 1], "--json") == 0) {
		o.json = true;
		argc--;
	}
	return command_run(&o, argc - optind, argv + optind);
}
