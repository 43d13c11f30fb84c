#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/if_addr.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

#include "mirror/follow_state.h"

static bool
is_same(const struct link_address *a, const struct link_address *b)
{
	return a->len == b->len && addr_equal(&a->addr, &b->addr);
}

static uint8_t
list_find(const struct link_address *list, uint8_t n, const struct link_address *a)
{
	uint8_t i = 0;

	while (i < n && !is_same(&list[i], a))
		i++;
	return i;
}

static uint8_t
address_find(const struct fport *p, const struct link_address *a)
{
	uint8_t i = 0;

	while (i < p->n_addresses && !is_same(&p->addresses[i].a, a))
		i++;
	return i;
}

static void
address_drop(struct fport *p, uint8_t i)
{
	p->addresses[i] = p->addresses[--p->n_addresses];
	p->changed = true;
}

/* Until nobody objected to it, an address is not ours (RFC 4862 section 5.4). */
static bool
is_ours(uint32_t flags)
{
	if ((flags & IFA_F_DADFAILED) != 0)
		return false;
	return (flags & IFA_F_TENTATIVE) == 0 || (flags & IFA_F_OPTIMISTIC) != 0;
}

void
addresses_take(struct follow *f, const struct kernel_message *m)
{
	uint8_t port = follow_port_of(f, m->ifindex), i;
	struct link_address a = { .addr = m->address.addr, .len = m->address.len, .kernel = true };
	struct fport *p;
	char text[ADDR_TEXT_SIZE];

	if (port == PORTS_MAX)
		return;
	p = &f->ports[port];
	i = address_find(p, &a);
	/* With an IPv4 address the kernel drops routes and says nothing of those. */
	if (m->gone && a.addr.family == 4)
		follow_resync(f, RESYNC_ROUTES);
	if (i < p->n_addresses && (m->gone || !is_ours(m->address.flags))) {
		address_drop(p, i);
	} else if (i < p->n_addresses) {
		p->addresses[i].mark = f->mark;
	} else if (!m->gone && is_ours(m->address.flags)) {
		if (p->n_addresses == FOLLOW_ADDRESSES_MAX) {
			follow_warn(f, "%s is address %u of one mirror, one too many",
				    addr_text(&a.addr, text), FOLLOW_ADDRESSES_MAX + 1);
			return;
		}
		p->addresses[p->n_addresses++] = (struct kaddress) { .a = a, .mark = f->mark };
		p->changed = true;
	}
}

void
addresses_sweep(struct follow *f)
{
	for (uint8_t port = 0; port < PORTS_MAX; port++) {
		struct fport *p = &f->ports[port];

		for (uint8_t i = p->n_addresses; i > 0; i--)
			if (p->addresses[i - 1].mark != f->mark)
				address_drop(p, i - 1);
	}
}

/* The file's own are known to whoever is told. */
void
addresses_tell(struct follow *f)
{
	f->count.addresses = 0;
	for (uint8_t port = 0; port < PORTS_MAX; port++) {
		struct fport *p = &f->ports[port];
		struct link_address list[LINK_ADDRESSES_MAX];
		uint8_t n = 0, left_out = 0;

		for (uint8_t i = 0; i < p->n_addresses; i++) {
			const struct link_address *a = &p->addresses[i].a;

			if (list_find(p->wanted, p->n_wanted, a) < p->n_wanted)
				continue;
			if (n < LINK_ADDRESSES_MAX - p->n_wanted)
				list[n++] = *a;
			else
				left_out++;
		}
		f->count.addresses += n;
		if (!p->changed)
			continue;
		p->changed = false;
		if (left_out > 0)
			follow_warn(f, "a mirror has %u addresses more than the %u a port can have",
				    left_out, LINK_ADDRESSES_MAX);
		f->params.addresses(f->params.ctx, port, list, n);
	}
}

/* Waits for the kernel's answer to one request. */
static int
ask_and_wait(struct follow *f, const void *message, size_t size, uint32_t seq)
{
	uint8_t room[MNL_SOCKET_BUFFER_SIZE] __rte_aligned(8);
	ssize_t n;

	if (f->params.send != NULL)
		return f->params.send(f->params.ctx, message, size);
	if (mnl_socket_sendto(f->put, message, size) < 0)
		return -errno;
	for (;;) {
		n = mnl_socket_recvfrom(f->put, room, sizeof(room));
		if (n < 0)
			return -errno;
		/* An answer to an earlier request that was given up is passed over. */
		if (((struct nlmsghdr *)room)->nlmsg_seq == seq)
			break;
	}
	return mnl_cb_run(room, (size_t)n, seq, mnl_socket_get_portid(f->put), NULL, NULL) < 0 ?
		       -errno :
		       0;
}

static int
address_put(struct follow *f, uint8_t port, const struct link_address *a, bool gone)
{
	uint8_t room[KERNEL_REQUEST_SIZE] __rte_aligned(8);
	uint32_t seq = ++f->seq;
	size_t size = kernel_address(room, seq, f->ports[port].ifindex, &a->addr, a->len, gone);

	return ask_and_wait(f, room, size, seq);
}

/* A host that wants no IPv6 may want none on new interfaces; the file says that this one has it. */
static void
ipv6_enable(uint32_t ifindex)
{
	char name[IF_NAMESIZE], path[64 + IF_NAMESIZE];
	FILE *f;

	if (if_indextoname(ifindex, name) == NULL)
		return;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	f = fopen(path, "we");
	if (f == NULL)
		return;
	fputs("0", f);
	fclose(f);
}

static int
address_add(struct follow *f, uint8_t port, const struct link_address *a)
{
	int rc = address_put(f, port, a, false);

	if (rc != -EACCES || a->addr.family != 6)
		return rc;
	ipv6_enable(f->ports[port].ifindex);
	return address_put(f, port, a, false);
}

/* What the file does not give any more. Whoever took it away by hand has done it for us. */
static void
addresses_unput(struct follow *f, uint8_t port, const struct link_address *list, uint8_t n)
{
	struct fport *p = &f->ports[port];
	char text[ADDR_TEXT_SIZE];

	for (uint8_t i = 0; i < p->n_wanted; i++) {
		const struct link_address *a = &p->wanted[i];
		int rc = 0;

		if (list_find(list, n, a) < n)
			continue;
		if (p->ifindex != 0)
			rc = address_put(f, port, a, true);
		if (rc < 0 && rc != -EADDRNOTAVAIL && rc != -ENODEV)
			follow_warn(f, "%s stays on its mirror: %s", addr_text(&a->addr, text),
				    strerror(-rc));
		else if (address_find(p, a) < p->n_addresses)
			address_drop(p, address_find(p, a));
	}
}

int
follow_addresses_set(struct follow *f, uint8_t port, const struct link_address *list, uint8_t n,
		     struct err *err)
{
	struct fport *p = &f->ports[port];
	struct link_address before[LINK_ADDRESSES_MAX];
	uint8_t n_before = p->n_wanted;
	char text[ADDR_TEXT_SIZE];

	memcpy(before, p->wanted, sizeof(before));
	addresses_unput(f, port, list, n);
	p->n_wanted = 0;
	p->changed = true;
	for (uint8_t i = 0; i < n; i++) {
		int rc = 0;

		if (p->ifindex != 0 && list_find(before, n_before, &list[i]) == n_before)
			rc = address_add(f, port, &list[i]);
		if (rc < 0)
			return err_set(err, rc, "%s cannot be put on its mirror: %s",
				       addr_text(&list[i].addr, text), strerror(-rc));
		p->wanted[p->n_wanted++] = list[i];
	}
	return 0;
}
