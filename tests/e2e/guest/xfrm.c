/* What ip(8) of the guest cannot say: SAs and policies of mode iptfs (RFC 9347). Understands the
 * part of ip-xfrm's language that the tests speak, one command a line:
 *
 *   xfrm FILE
 *
 * An SA further takes `dir in` or `dir out`, which the kernel wants with that mode, and its
 * options, `iptfs-dont-frag`, and with a number `iptfs-init-delay`, `iptfs-drop-time` (us),
 * `iptfs-max-queue`, `iptfs-pkt-size` (octets) and `iptfs-reorder` (packets).
 *
 * The kernel tells by a message of its own what it does not like; the first such ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/xfrm.h>

/* Younger than the headers of Debian 12; the guest's own kernel knows them. */
enum {
	MODE_IPTFS = 5,
	SA_DIR = 33,
	IPTFS_DROP_TIME = 36,
	IPTFS_REORDER_WINDOW = 37,
	IPTFS_DONT_FRAG = 38,
	IPTFS_INIT_DELAY = 39,
	IPTFS_MAX_QSIZE = 40,
	IPTFS_PKT_SIZE = 41,
	DIR_IN = 1,
	DIR_OUT = 2,
};

#define ESN_WORDS 128 /* the widest replay window, in words of 32 */

static unsigned line_number;

/* The words of the line, one after the other. */
static char *
next(void)
{
	return strtok(NULL, " \t\n");
}

static int
die(const char *what, const char *which)
{
	fprintf(stderr, "xfrm: line %u: %s %s\n", line_number, what, which == NULL ? "" : which);
	exit(1);
}

static char *
word(const char *of)
{
	char *w = next();

	if (w == NULL)
		die("nothing behind", of);
	return w;
}

static uint32_t
number(const char *of)
{
	char *end, *w = word(of);
	unsigned long value = strtoul(w, &end, 0);

	if (*end != '\0' || end == w || value > UINT32_MAX)
		die("not a number:", w);
	return (uint32_t)value;
}

/* An address, or a prefix where `bits` is not NULL; gives the family. */
static uint16_t
address(const char *of, xfrm_address_t *to, uint8_t *bits)
{
	char *w = word(of), *slash = strchr(w, '/');
	uint16_t family = strchr(w, ':') != NULL ? AF_INET6 : AF_INET;

	if (slash != NULL)
		*slash = '\0';
	if (inet_pton(family, w, to) != 1)
		die("not an address:", w);
	if (bits != NULL)
		*bits = slash != NULL ? (uint8_t)atoi(slash + 1) : family == AF_INET6 ? 128 : 32;
	return family;
}

static uint8_t
mode_of(const char *name)
{
	if (strcmp(name, "iptfs") == 0)
		return MODE_IPTFS;
	if (strcmp(name, "tunnel") == 0)
		return XFRM_MODE_TUNNEL;
	return (uint8_t)die("no mode this program knows:", name);
}

/* ---- the message ---- */

static struct {
	struct nlmsghdr head;
	uint8_t body[8192];
} msg;

static void
begin(uint16_t type, const void *fixed, size_t len)
{
	memset(&msg, 0, sizeof(msg));
	msg.head.nlmsg_type = type;
	msg.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
	msg.head.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	memcpy(msg.body, fixed, len);
}

/* Adds an attribute of `len` octets; its data are given back, to be filled in. */
static void *
attribute(uint16_t type, size_t len)
{
	struct nlattr *a = (struct nlattr *)((uint8_t *)&msg + NLMSG_ALIGN(msg.head.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	msg.head.nlmsg_len = NLMSG_ALIGN(msg.head.nlmsg_len) + NLA_ALIGN(a->nla_len);
	return (uint8_t *)a + NLA_HDRLEN;
}

static void
attribute_u32(uint16_t type, uint32_t value)
{
	memcpy(attribute(type, sizeof(value)), &value, sizeof(value));
}

static void
send_it(void)
{
	static uint8_t answer[sizeof(msg) + 1024];
	struct nlmsghdr *head = (struct nlmsghdr *)answer;
	struct nlmsgerr *error = NLMSG_DATA(head);
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), on = 1;
	const char *text = "";

	if (fd < 0)
		die("no netlink:", strerror(errno));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (send(fd, &msg, msg.head.nlmsg_len, 0) < 0 ||
	    recv(fd, answer, sizeof(answer) - 1, 0) < 0)
		die("netlink:", strerror(errno));
	close(fd);
	if (head->nlmsg_type != NLMSG_ERROR)
		die("the kernel answers something else", NULL);
	if (error->error == 0)
		return;
	/* The text is the first attribute, if there is one. */
	if (head->nlmsg_flags & NLM_F_ACK_TLVS)
		text = (char *)(error + 1) + NLA_HDRLEN;
	fprintf(stderr, "%s\n", text);
	die("the kernel says", strerror(-error->error));
}

/* ---- keys ---- */

/* Hexadecimal behind 0x; gives how many octets there are. */
static size_t
key(const char *of, uint8_t *to, size_t room)
{
	char *w = word(of);
	size_t n = strlen(w) / 2 - 1;

	if (strncmp(w, "0x", 2) != 0 || n > room)
		die("not a key behind", of);
	for (size_t i = 0; i < n; i++) {
		unsigned octet;

		if (sscanf(w + 2 + 2 * i, "%2x", &octet) != 1)
			die("not a key behind", of);
		to[i] = (uint8_t)octet;
	}
	return n;
}

/* The three structures are a name, one or two lengths in bits, and the key. */
static void
algorithm(const char *kind)
{
	char name[64] = "";
	uint8_t octets[256];
	size_t n;

	strncpy(name, word(kind), sizeof(name) - 1);
	n = key(kind, octets, sizeof(octets));
	if (strcmp(kind, "enc") == 0) {
		struct xfrm_algo *a = attribute(XFRMA_ALG_CRYPT, sizeof(*a) + n);

		memcpy(a->alg_name, name, sizeof(name));
		a->alg_key_len = (unsigned)(8 * n);
		memcpy(a->alg_key, octets, n);
		return;
	}
	if (strcmp(kind, "aead") == 0) {
		struct xfrm_algo_aead *a = attribute(XFRMA_ALG_AEAD, sizeof(*a) + n);

		memcpy(a->alg_name, name, sizeof(name));
		a->alg_key_len = (unsigned)(8 * n);
		a->alg_icv_len = number(kind);
		memcpy(a->alg_key, octets, n);
	} else {
		struct xfrm_algo_auth *a = attribute(XFRMA_ALG_AUTH_TRUNC, sizeof(*a) + n);

		memcpy(a->alg_name, name, sizeof(name));
		a->alg_key_len = (unsigned)(8 * n);
		a->alg_trunc_len = number(kind);
		memcpy(a->alg_key, octets, n);
	}
}

/* ---- xfrm state add ---- */

static const struct {
	const char *name;
	uint16_t type;
} numbers32[] = {
	{ "iptfs-drop-time", IPTFS_DROP_TIME },
	{ "iptfs-init-delay", IPTFS_INIT_DELAY },
	{ "iptfs-max-queue", IPTFS_MAX_QSIZE },
	{ "iptfs-pkt-size", IPTFS_PKT_SIZE },
};

static bool
iptfs_word(const char *w)
{
	for (size_t i = 0; i < sizeof(numbers32) / sizeof(numbers32[0]); i++) {
		if (strcmp(w, numbers32[i].name) == 0) {
			attribute_u32(numbers32[i].type, number(w));
			return true;
		}
	}
	if (strcmp(w, "iptfs-reorder") == 0) {
		uint16_t value = (uint16_t)number(w);

		memcpy(attribute(IPTFS_REORDER_WINDOW, sizeof(value)), &value, sizeof(value));
		return true;
	}
	if (strcmp(w, "iptfs-dont-frag") == 0) {
		(void)attribute(IPTFS_DONT_FRAG, 0);
		return true;
	}
	return false;
}

static void
encap(void)
{
	struct xfrm_encap_tmpl *e = attribute(XFRMA_ENCAP, sizeof(*e));

	if (strcmp(word("encap"), "espinudp") != 0)
		die("encap is espinudp", NULL);
	e->encap_type = 2; /* UDP_ENCAP_ESPINUDP */
	e->encap_sport = htons((uint16_t)number("encap"));
	e->encap_dport = htons((uint16_t)number("encap"));
	(void)word("encap");
}

/* The window of an SA that receives, and the numbers that were used; one that sends has none, but
 * must say so where it has ESN.
 */
static void
window(bool esn, uint8_t dir, uint32_t packets, const struct xfrm_replay_state_esn *numbers)
{
	struct xfrm_replay_state_esn *r;
	uint32_t words = dir == DIR_OUT ? 0 : (packets + 31) / 32;

	if (words > ESN_WORDS)
		die("the window is too wide", NULL);
	if (!esn && dir == DIR_OUT)
		return;
	r = attribute(XFRMA_REPLAY_ESN_VAL, sizeof(*r) + words * 4);
	*r = *numbers;
	r->bmp_len = words;
	r->replay_window = dir == DIR_OUT ? 0 : packets;
}

static bool
number_word(const char *w, struct xfrm_replay_state_esn *r)
{
	if (strcmp(w, "replay-seq") == 0)
		r->seq = number(w);
	else if (strcmp(w, "replay-seq-hi") == 0)
		r->seq_hi = number(w);
	else if (strcmp(w, "replay-oseq") == 0)
		r->oseq = number(w);
	else if (strcmp(w, "replay-oseq-hi") == 0)
		r->oseq_hi = number(w);
	else
		return false;
	return true;
}

static uint8_t
state_flag(const char *w)
{
	if (strcmp(w, "af-unspec") == 0)
		return XFRM_STATE_AF_UNSPEC;
	if (strcmp(w, "esn") == 0)
		return XFRM_STATE_ESN;
	return 0;
}

static void
state_add(void)
{
	struct xfrm_usersa_info sa = { .id.proto = IPPROTO_ESP, .family = AF_INET };
	struct xfrm_usersa_info *info = NLMSG_DATA(&msg.head);
	struct xfrm_replay_state_esn numbers = { 0 };
	uint8_t dir = 0;
	uint32_t packets = 32;

	sa.lft.soft_byte_limit = sa.lft.hard_byte_limit = XFRM_INF;
	sa.lft.soft_packet_limit = sa.lft.hard_packet_limit = XFRM_INF;
	begin(XFRM_MSG_NEWSA, &sa, sizeof(sa));
	for (char *w = next(); w != NULL; w = next()) {
		if (strcmp(w, "src") == 0)
			info->family = address(w, &info->saddr, NULL);
		else if (strcmp(w, "dst") == 0)
			(void)address(w, &info->id.daddr, NULL);
		else if (strcmp(w, "spi") == 0)
			info->id.spi = htonl(number(w));
		else if (strcmp(w, "reqid") == 0)
			info->reqid = number(w);
		else if (strcmp(w, "mode") == 0)
			info->mode = mode_of(word(w));
		else if (strcmp(w, "replay-window") == 0)
			packets = number(w);
		else if (strcmp(w, "dir") == 0)
			*(uint8_t *)attribute(SA_DIR, 1) = dir =
				strcmp(word(w), "in") == 0 ? DIR_IN : DIR_OUT;
		else if (strcmp(w, "aead") == 0 || strcmp(w, "enc") == 0 ||
			 strcmp(w, "auth-trunc") == 0)
			algorithm(w);
		else if (strcmp(w, "encap") == 0)
			encap();
		else if (state_flag(w) != 0)
			info->flags |= state_flag(w);
		else if (strcmp(w, "proto") == 0)
			(void)word(w);
		else if (strcmp(w, "flag") != 0 && !iptfs_word(w) && !number_word(w, &numbers))
			die("no word this program knows:", w);
	}
	window((info->flags & XFRM_STATE_ESN) != 0, dir, packets, &numbers);
	send_it();
}

/* ---- xfrm policy add ---- */

static void template(struct xfrm_user_tmpl *t)
{
	*t = (struct xfrm_user_tmpl) {
		.id.proto = IPPROTO_ESP, .aalgos = ~0u, .ealgos = ~0u, .calgos = ~0u
	};
	for (char *w = next(); w != NULL; w = next()) {
		if (strcmp(w, "src") == 0)
			t->family = address(w, &t->saddr, NULL);
		else if (strcmp(w, "dst") == 0)
			(void)address(w, &t->id.daddr, NULL);
		else if (strcmp(w, "reqid") == 0)
			t->reqid = number(w);
		else if (strcmp(w, "mode") == 0)
			t->mode = mode_of(word(w));
		else if (strcmp(w, "proto") == 0)
			(void)word(w);
		else
			die("no word of a template that this program knows:", w);
	}
}

static void
policy_add(void)
{
	static const char *const dirs[] = { "in", "out", "fwd" };
	struct xfrm_userpolicy_info policy = { .action = XFRM_POLICY_ALLOW,
					       .share = XFRM_SHARE_ANY };
	struct xfrm_userpolicy_info *info = NLMSG_DATA(&msg.head);
	bool templated = false;

	policy.lft.soft_byte_limit = policy.lft.hard_byte_limit = XFRM_INF;
	policy.lft.soft_packet_limit = policy.lft.hard_packet_limit = XFRM_INF;
	begin(XFRM_MSG_NEWPOLICY, &policy, sizeof(policy));
	for (char *w = next(); w != NULL; w = next()) {
		if (strcmp(w, "src") == 0) {
			info->sel.family = address(w, &info->sel.saddr, &info->sel.prefixlen_s);
		} else if (strcmp(w, "dst") == 0) {
			(void)address(w, &info->sel.daddr, &info->sel.prefixlen_d);
		} else if (strcmp(w, "dir") == 0) {
			char *dir = word(w);

			for (info->dir = 0; info->dir < 3 && strcmp(dir, dirs[info->dir]) != 0;)
				info->dir++;
		} else if (strcmp(w, "tmpl") == 0) {
			template(attribute(XFRMA_TMPL, sizeof(struct xfrm_user_tmpl)));
			templated = true;
		} else {
			die("no word of a policy that this program knows:", w);
		}
	}
	if (!templated)
		die("a policy without tmpl", NULL);
	send_it();
}

int
main(int argc, char **argv)
{
	char line[4096];
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (file == NULL)
		die("cannot read", argv[1]);
	while (fgets(line, sizeof(line), file) != NULL) {
		char *what;

		line_number++;
		if (strtok(line, " \t\n") == NULL)
			continue;
		what = next();
		if (what == NULL || next() == NULL)
			die("a line is: xfrm state|policy add ...", NULL);
		if (strcmp(what, "state") == 0)
			state_add();
		else if (strcmp(what, "policy") == 0)
			policy_add();
		else
			die("no command this program knows:", what);
	}
	return 0;
}
