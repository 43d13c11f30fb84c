/* A client of the control socket that installs very many SAs: how fast, and how long one takes.
 *
 *	ipc_load SOCKET PAIRS OUTSTANDING SINGLES [alloc]
 *
 * Each pair is an inbound and an outbound SA of a tunnel, AES-GCM-128 with ESN and keys of its own,
 *as a daemon sends them: each message in a datagram of its own, OUTSTANDING of them unanswered at a
 * time. With `alloc` the inbound SA's SPI is asked for first (ALLOCSPI, UPDSA), as in a
 *negotiation. Then SINGLES pairs more, one request at a time, each timed. One line of JSON on
 *standard output; it stops at the line "stop" on standard input, so that who started it can look at
 *the gateway meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/proto.h"
#include "xfrm/xfrm.h"

#define OUTSTANDING_MAX 4096
#define BODY_SPI	(sizeof(struct xw_head) + offsetof(struct xw_sa, id.spi_be))

enum step {
	STEP_ALLOC,
	STEP_IN,
	STEP_OUT,
};

struct load {
	int fd;
	uint32_t first, pairs; /* numbers of pairs */
	uint32_t outstanding;
	bool alloc;
	uint32_t sent, answered;
	uint32_t *spis; /* of inbound SAs that were asked for, by pair */
};

static void
die(const char *what)
{
	fprintf(stderr, "ipc_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t
mixed(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

static void
fill_key(struct xfrm_key *key, uint64_t seed)
{
	uint64_t words[3] = { mixed(seed * 3 + 1), mixed(seed * 3 + 2), mixed(seed * 3 + 3) };

	key->len = 20;
	memcpy(key->octets, words, key->len);
}

/* The gateway is 192.0.2.1, the peers are all of 198.18.0.0/15. */
static void
fill_sa(struct xfrm_sa *sa, uint32_t pair, bool in, uint32_t spi)
{
	struct addr us = { 4, { 192, 0, 2, 1 } };
	struct addr peer = {
		4, { 198, (uint8_t)(18 + (pair >> 16 & 1)), (uint8_t)(pair >> 8), (uint8_t)pair }
	};

	xfrm_sa_init(sa);
	sa->has = XFRM_HAS_SUITE | XFRM_HAS_DIR | XFRM_HAS_REPLAY_ESN;
	sa->family = 4;
	sa->sel.family = 4;
	sa->sel.src.addr.family = sa->sel.dst.addr.family = 4;
	sa->src = in ? peer : us;
	sa->id.dst = in ? us : peer;
	sa->id.proto = XFRM_PROTO_ESP;
	sa->id.spi = spi;
	sa->mode = XFRM_TUNNEL;
	sa->reqid = pair + 1;
	sa->flags = XFRM_SA_ESN;
	sa->dir = in ? XFRM_SA_DIR_IN : XFRM_SA_DIR_OUT;
	sa->replay.window = in ? 64 : 0;
	sa->replay.words = 2;
	memset(sa->replay.bitmap, 0, 8);
	if (suite_init(&sa->suite, &algs[ALG_AES_GCM_128], NULL, 0, false, true, NULL) < 0)
		abort();
	fill_key(&sa->key, (uint64_t)pair * 2 + in);
}

static void
send_all(int fd, const uint8_t *octets, const struct xfrm_out *out)
{
	size_t len = (size_t)(out->at - octets);

	if (send(fd, octets, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

static void
send_step(struct load *l, uint32_t pair, enum step step)
{
	static struct xfrm_spi_range range;
	static struct xfrm_sa sa;
	static uint8_t octets[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { octets, octets + sizeof(octets) };
	uint32_t at = pair - l->first;
	struct xfrm_head h = { .flags = XFRM_F_REQUEST | XFRM_F_ACK, .seq = at * 4 + step };

	switch (step) {
	case STEP_ALLOC:
		fill_sa(&range.sa, pair, true, 0);
		range.sa.has = XFRM_HAS_DIR;
		range.min = 0xc0000000;
		range.max = 0xcfffffff;
		h.type = XFRM_ALLOCSPI;
		h.flags = XFRM_F_REQUEST;
		xfrm_put_spi_range(&out, &h, &range);
		break;
	case STEP_IN:
		fill_sa(&sa, pair, true, l->alloc ? l->spis[at] : 0x40000000 + pair);
		h.type = l->alloc ? XFRM_UPDSA : XFRM_NEWSA;
		xfrm_put_sa(&out, &h, &sa, true);
		break;
	default:
		fill_sa(&sa, pair, false, 0x20000000 + pair);
		h.type = XFRM_NEWSA;
		xfrm_put_sa(&out, &h, &sa, true);
		break;
	}
	send_all(l->fd, octets, &out);
	l->sent++;
}

static void
refused(const struct xw_error *e, const uint8_t *octets, ssize_t n)
{
	const char *why = n > 40 ? (const char *)octets + 40 : strerror(-e->error);

	fprintf(stderr, "ipc_load: request %u is refused (%d): %.*s\n", e->of.seq, e->error,
		(int)(n > 40 ? n - 40 : 100), why);
	exit(1);
}

/* One datagram of answers, and what follows from them. */
static void
take(struct load *l)
{
	uint8_t octets[XFRM_DATAGRAM_MAX];
	ssize_t n = recv(l->fd, octets, sizeof(octets), 0);
	struct xfrm_msg m;
	size_t at = 0;

	if (n <= 0)
		die("recv");
	while (xfrm_next(octets, (size_t)n, &at, &m, NULL) == 1) {
		uint32_t pair = m.head.seq / 4;
		enum step step = m.head.seq % 4;
		struct xw_error e;

		if (m.head.type == XFRM_ERROR) {
			memcpy(&e, m.body, sizeof(e));
			if (e.error != 0)
				refused(&e, octets, n);
		} else if (step == STEP_ALLOC) {
			uint32_t spi_be;

			memcpy(&spi_be, octets + BODY_SPI, sizeof(spi_be));
			l->spis[pair] = __builtin_bswap32(spi_be);
		}
		l->answered++;
		if (step == STEP_ALLOC)
			send_step(l, l->first + pair, STEP_IN);
		else if (step == STEP_IN)
			send_step(l, l->first + pair, STEP_OUT);
	}
}

/* Seconds that it took. */
static double
install(struct load *l)
{
	uint32_t chains = l->outstanding < l->pairs ? l->outstanding : l->pairs;
	uint32_t steps = l->alloc ? 3 : 2, begun = 0;
	double begin = seconds();

	l->spis = calloc(l->pairs, sizeof(*l->spis));
	if (l->spis == NULL)
		die("memory");
	l->sent = l->answered = 0;
	while (l->answered < l->pairs * steps) {
		/* A pair's steps follow each other; a new one begins where one is through. */
		while (begun < l->pairs && l->sent - l->answered < chains)
			send_step(l, l->first + begun++, l->alloc ? STEP_ALLOC : STEP_IN);
		take(l);
	}
	free(l->spis);
	return seconds() - begin;
}

static int
by_size(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void
singles(struct load *l, uint32_t n, double *median, double *p99)
{
	double *took = calloc(n, sizeof(*took));

	if (took == NULL)
		die("memory");
	l->alloc = false;
	l->pairs = 1;
	l->outstanding = 1;
	for (uint32_t i = 0; i < n; i++, l->first++)
		took[i] = install(l) / 2;
	qsort(took, n, sizeof(*took), by_size);
	*median = n > 0 ? took[n / 2] : 0;
	*p99 = n > 0 ? took[n * 99 / 100] : 0;
	free(took);
}

static void
say_hello(int fd)
{
	struct {
		struct xw_head head;
		struct ipc_hello hello;
		char program[12];
	} m = {
		.head = { sizeof(m), IPC_HELLO, XFRM_F_REQUEST | XFRM_F_ACK, 0, 0 },
		.hello = { .version = IPC_VERSION, .nl_pid = 1, .role = IPC_DAEMON, .instance = 7 },
		.program = "ipc_load",
	};
	uint8_t answer[XFRM_DATAGRAM_MAX];
	struct xw_error e;

	m.hello.nl_pid = (uint32_t)getpid();
	if (send(fd, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
		die("hello");
	if (recv(fd, answer, sizeof(answer), 0) < 36)
		die("hello");
	memcpy(&e, answer + sizeof(struct xw_head), sizeof(e));
	if (e.error != 0) {
		errno = -e.error;
		die("hello");
	}
}

static int
call(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size = 4 << 20;

	if (fd < 0 || strlen(path) >= sizeof(to.sun_path))
		die("socket");
	strcpy(to.sun_path, path);
	/* What is outstanding must fit: who sends must not wait for who waits for him. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		die(path);
	return fd;
}

int
main(int argc, char **argv)
{
	struct load l = { .first = 0 };
	double took, tail_took, median, p99;
	uint32_t pairs, tail;

	if (argc < 5 || atol(argv[3]) < 1 || atol(argv[3]) > OUTSTANDING_MAX) {
		fprintf(stderr, "usage: ipc_load SOCKET PAIRS OUTSTANDING SINGLES [alloc]\n");
		return 2;
	}
	l.fd = call(argv[1]);
	say_hello(l.fd);
	pairs = (uint32_t)atol(argv[2]);
	l.outstanding = (uint32_t)atol(argv[3]);
	l.alloc = argc > 5;
	/* The last tenth by itself: what it costs with the table full. */
	tail = pairs / 10;
	l.pairs = pairs - tail;
	took = install(&l);
	l.first += l.pairs;
	l.pairs = tail;
	tail_took = tail > 0 ? install(&l) : 0;
	l.first += tail;
	printf("{\"pairs\": %u, \"seconds\": %.3f, \"sas_per_second\": %.0f, "
	       "\"sas_per_second_at_the_end\": %.0f",
	       pairs, took + tail_took, 2 * pairs / (took + tail_took),
	       tail > 0 ? 2 * tail / tail_took : 0);
	singles(&l, (uint32_t)atol(argv[4]), &median, &p99);
	printf(", \"single_median_us\": %.1f, \"single_p99_us\": %.1f}\n", median * 1e6, p99 * 1e6);
	fflush(stdout);
	/* Its SAs are a daemon's, and stay for as long as it does. */
	while (getchar() != EOF)
		;
	return 0;
}
