#include "conf/net.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/bind.h"

void
net_text(const struct conf_net *n, char *buf, size_t size)
{
	struct addr first = { .family = n->family }, last = { .family = n->family };
	char a[ADDR_TEXT_SIZE], b[ADDR_TEXT_SIZE];

	memcpy(first.octets, n->first, 16);
	memcpy(last.octets, n->last, 16);
	addr_text(&first, a);
	addr_text(&last, b);
	if (n->prefix_len != CONF_NOT_PREFIX)
		snprintf(buf, size, "%s/%u", a, n->prefix_len);
	else
		snprintf(buf, size, "%s-%s", a, b);
}

bool
addr_no_host(const struct addr *a)
{
	static const uint8_t zero[16];

	if (memcmp(a->octets, zero, 16) == 0)
		return true;
	return a->family == 4 ? a->octets[0] >= 224 : a->octets[0] == 0xff;
}

/* The octets with all bits behind the prefix cleared or set. */
static void
prefix_edge(uint8_t *to, const uint8_t *from, uint8_t family, uint8_t len, bool set)
{
	for (int i = 0; i < (family == 4 ? 4 : 16); i++) {
		int bits = len > i * 8 ? len - i * 8 : 0;
		uint8_t host = bits >= 8 ? 0 : 0xff >> bits;

		to[i] = set ? from[i] | host : from[i] & (uint8_t)~host;
	}
}

static struct conf_net
net_make(const struct addr *a, uint8_t len)
{
	struct conf_net n = { .family = a->family, .prefix_len = len };

	prefix_edge(n.first, a->octets, a->family, len, false);
	prefix_edge(n.last, a->octets, a->family, len, true);
	return n;
}

struct conf_net
net_of_addr(const struct addr *a)
{
	return net_make(a, addr_bits(a));
}

/* first-last as a prefix, where it is one. */
static void
net_settle(struct conf_net *n)
{
	struct addr a = { .family = n->family };

	memcpy(a.octets, n->first, 16);
	n->prefix_len = CONF_NOT_PREFIX;
	for (int len = 0; len <= addr_bits(&a); len++) {
		struct conf_net p = net_make(&a, len);

		if (memcmp(p.first, n->first, 16) == 0 && memcmp(p.last, n->last, 16) == 0)
			n->prefix_len = len;
	}
}

/* "a/len" into its parts. 0, or -EINVAL. */
static int
slash_parse(const char *text, struct addr *a, uint8_t *len)
{
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	char *end;
	unsigned long bits;

	if (slash == NULL || slash - text >= (long)sizeof(address) ||
	    !isdigit((unsigned char)slash[1]))
		return -EINVAL;
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	bits = strtoul(slash + 1, &end, 10);
	if (*end != 0 || !addr_parse(address, a) || bits > addr_bits(a))
		return -EINVAL;
	*len = bits;
	return 0;
}

static bool
prefix_parse(struct load *l, const struct conf_key *k, const struct node *n, struct conf_net *net)
{
	struct addr a;
	uint8_t len;
	char right[NET_TEXT_SIZE];

	/* An address alone is one host. */
	if (strchr(n->text, '/') == NULL && addr_parse(n->text, &a)) {
		*net = net_make(&a, addr_bits(&a));
		return true;
	}
	if (slash_parse(n->text, &a, &len) < 0)
		return value_error(l, k, n, "'%.60s' is no prefix", n->text);
	*net = net_make(&a, len);
	if (memcmp(net->first, a.octets, 16) == 0)
		return true;
	net_text(net, right, sizeof(right));
	return load_error(l, n, right, "%s has host bits set", n->text);
}

static bool
range_parse(struct load *l, const struct conf_key *k, const struct node *n, const char *dash,
	    struct conf_net *net)
{
	struct addr first, last;
	char text[INET6_ADDRSTRLEN];

	snprintf(text, sizeof(text), "%.*s", (int)(dash - n->text), n->text);
	if (!addr_parse(text, &first) || !addr_parse(dash + 1, &last))
		return value_error(l, k, n, "'%.96s' is no range", n->text);
	if (first.family != last.family)
		return load_error(l, n, "one family", "%s mixes IPv4 and IPv6", n->text);
	if (memcmp(first.octets, last.octets, 16) > 0)
		return load_error(l, n, "the smaller one first", "%s runs backwards", n->text);
	*net = (struct conf_net) { .family = first.family };
	memcpy(net->first, first.octets, 16);
	memcpy(net->last, last.octets, 16);
	net_settle(net);
	return true;
}

bool
prefix_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_net net;

	if (!prefix_parse(l, k, n, &net))
		return false;
	memcpy(field, &net, sizeof(net));
	return true;
}

bool
addr_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct addr a;

	if (!addr_parse(n->text, &a))
		return value_error(l, k, n, "'%.60s' is no address", n->text);
	if (addr_no_host(&a))
		return load_error(l, n, "the address of one host", "%s is no host", n->text);
	memcpy(field, &a, sizeof(a));
	return true;
}

int
nets_add(struct conf_nets *nets, const struct conf_net *n)
{
	uint32_t have = nets->n;

	if ((have & (have - 1)) == 0) {
		void *p = realloc(nets->list, (have == 0 ? 2 : have * 2) * sizeof(*n));

		if (p == NULL)
			return -ENOMEM;
		nets->list = p;
	}
	nets->list[nets->n++] = *n;
	return 0;
}

int
nets_copy(struct conf_nets *to, const struct conf_nets *from)
{
	*to = (struct conf_nets) { 0 };
	for (uint32_t i = 0; i < from->n; i++)
		if (nets_add(to, &from->list[i]) < 0)
			return -ENOMEM;
	return 0;
}

static bool
net_add_text(struct load *l, const struct conf_key *k, const struct node *n, struct conf_nets *nets)
{
	const struct addr any4 = { .family = 4 }, any6 = { .family = 6 };
	struct conf_net net = net_make(&any4, 0), net6 = net_make(&any6, 0);
	bool any = n->kind == NODE_SCALAR && strcmp(n->text, "any") == 0;
	const char *dash;

	if (n->kind != NODE_SCALAR)
		return value_error(l, k, n, "neither a prefix nor a range");
	dash = strchr(n->text, '-');
	if (!any && dash != NULL && !range_parse(l, k, n, dash, &net))
		return false;
	if (!any && dash == NULL && !prefix_parse(l, k, n, &net))
		return false;
	if (nets_add(nets, &net) < 0 || (any && nets_add(nets, &net6) < 0))
		l->no_memory = true;
	return true;
}

bool
nets_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_nets nets = { 0 };
	bool ok = true;

	if (n->kind == NODE_LIST && n->child == NULL)
		return value_error(l, k, n, "an empty list");
	if (n->kind == NODE_SCALAR)
		ok = net_add_text(l, k, n, &nets);
	for (const struct node *one = n->child; n->kind == NODE_LIST && one != NULL;
	     one = one->next)
		ok &= net_add_text(l, k, one, &nets);
	memcpy(field, &nets, sizeof(nets));
	return ok;
}

static bool
ifaddr_parse(struct load *l, const struct conf_key *k, const struct node *n, struct conf_ifaddr *a)
{
	if (n->kind != NODE_SCALAR)
		return value_error(l, k, n, "not an address");
	if (slash_parse(n->text, &a->addr, &a->prefix_len) < 0)
		return value_error(l, k, n, "'%.60s' is no address with its prefix length",
				   n->text);
	if (addr_no_host(&a->addr))
		return load_error(l, n, "the address of one host", "%s is no host", n->text);
	return true;
}

bool
ifaddrs_read(struct load *l, const struct conf_key *k, const struct node *n, void *field)
{
	struct conf_ifaddrs addrs = { 0 };
	bool ok = true;

	if (n->kind != NODE_LIST)
		return value_error(l, k, n, "no list");
	if (n->n == 0)
		return true;
	addrs.list = calloc(n->n, sizeof(*addrs.list));
	if (addrs.list == NULL) {
		l->no_memory = true;
		return false;
	}
	for (const struct node *one = n->child; one != NULL; one = one->next) {
		size_t was = path_push(l, "[%u]", addrs.n);

		ok &= ifaddr_parse(l, k, one, &addrs.list[addrs.n++]);
		path_pop(l, was);
	}
	memcpy(field, &addrs, sizeof(addrs));
	return ok;
}
