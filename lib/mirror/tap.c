#include "mirror/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include <rte_mbuf.h>

#define DEVICE	     "/dev/net/tun"
#define SEGMENTS_MAX 64

static int
device_open(const char *port, struct err *err)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int rc = -errno;

	if (fd >= 0)
		return fd;
	if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
		return err_set(err, rc,
			       "port %s: mirror: there is no " DEVICE
			       ": modprobe tun, or a container that is given the device",
			       port);
	return err_set(err, rc, "port %s: mirror: " DEVICE ": %s", port, strerror(-rc));
}

static int
interface_make(struct tap *tap, const char *port, struct err *err)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL };
	int rc;

	memcpy(r.ifr_name, tap->name, sizeof(tap->name));
	if (ioctl(tap->fd, TUNSETIFF, &r) == 0)
		return 0;
	rc = -errno;
	if (rc == -EBUSY || rc == -EEXIST || if_nametoindex(tap->name) != 0)
		return err_set(err, -EBUSY,
			       "port %s: mirror.tap %s: there is a kernel interface of this name: "
			       "give the mirror another, or end who made that one",
			       port, tap->name);
	if (rc == -EPERM)
		return err_set(err, rc,
			       "port %s: mirror.tap %s: this process may not make an interface: it "
			       "needs CAP_NET_ADMIN",
			       port, tap->name);
	return err_set(err, rc, "port %s: mirror.tap %s: the kernel does not make it: %s", port,
		       tap->name, strerror(-rc));
}

static int
request(const struct tap *tap, unsigned long what, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	memcpy(r->ifr_name, tap->name, sizeof(tap->name));
	rc = ioctl(fd, what, r) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

/* 0 as well where there is no such setting: no IPv6, then nothing that forwards it. */
static int
sysctl_clear(const char *family, const char *name)
{
	char path[96];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/forwarding", family, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (write(fd, "0\n", 2) != 2)
		rc = -errno;
	close(fd);
	return rc;
}

/* Between ports packets go through policies, never through the host. */
static void
forwarding_off(const struct tap *tap, struct err *warn)
{
	int rc = sysctl_clear("ipv4", tap->name), rc6 = sysctl_clear("ipv6", tap->name);

	rc = rc < 0 ? rc : rc6;
	if (rc < 0)
		err_set(warn, rc,
			"mirror %s: forwarding stays as the host has it, since /proc/sys cannot be "
			"written (%s): set net.ipv4.conf.%s.forwarding=0 and "
			"net.ipv6.conf.%s.forwarding=0",
			tap->name, strerror(-rc), tap->name, tap->name);
}

static int
interface_set(struct tap *tap, const struct rte_ether_addr *mac, uint16_t mtu)
{
	struct ifreq r = { .ifr_hwaddr.sa_family = ARPHRD_ETHER };
	int rc;

	memcpy(r.ifr_hwaddr.sa_data, mac, sizeof(*mac));
	rc = request(tap, SIOCSIFHWADDR, &r);
	if (rc < 0)
		return rc;
	r = (struct ifreq) { .ifr_mtu = mtu };
	rc = request(tap, SIOCSIFMTU, &r);
	if (rc < 0)
		return rc;
	tap->mtu = mtu;
	r = (struct ifreq) { .ifr_flags = 0 };
	rc = request(tap, SIOCGIFINDEX, &r);
	if (rc < 0)
		return rc;
	tap->ifindex = (uint32_t)r.ifr_ifindex;
	return 0;
}

static int
interface_up(struct tap *tap)
{
	struct ifreq r = { .ifr_flags = 0 };
	int rc = request(tap, SIOCGIFFLAGS, &r);

	if (rc < 0)
		return rc;
	r.ifr_flags |= IFF_UP;
	return request(tap, SIOCSIFFLAGS, &r);
}

int
tap_open(struct tap *tap, const char *port, const char *name, const struct rte_ether_addr *mac,
	 uint16_t mtu, struct err *warn, struct err *err)
{
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	int rc;

	*tap = (struct tap) { .fd = device_open(port, err), .carrier = true };
	if (tap->fd < 0)
		return tap->fd;
	snprintf(tap->name, sizeof(tap->name), "%s", name);
	rc = interface_make(tap, port, err);
	if (rc < 0)
		goto end;
	rc = interface_set(tap, mac, mtu);
	if (rc == 0) {
		/* Before it is up: nothing may be forwarded, not one packet. */
		forwarding_off(tap, warn);
		rc = interface_up(tap);
	}
	if (rc == 0)
		return 0;
	rte_ether_format_addr(text, sizeof(text), mac);
	err_set(err, rc,
		"port %s: mirror.tap %s: the interface does not take the port's MAC address %s, "
		"its mtu %u, or up: %s",
		port, name, text, mtu, strerror(-rc));
end:
	tap_close(tap);
	return rc;
}

void
tap_close(struct tap *tap)
{
	if (tap->fd >= 0)
		close(tap->fd);
	tap->fd = -1;
}

int
tap_read(const struct tap *tap, struct rte_mbuf *m)
{
	ssize_t n = read(tap->fd, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));

	if (n <= 0)
		return n == 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
	m->data_len = (uint16_t)n;
	m->pkt_len = (uint32_t)n;
	return (int)n;
}

int
tap_skip(const struct tap *tap)
{
	uint8_t octets[64];
	ssize_t n = read(tap->fd, octets, sizeof(octets));

	return n >= 0 || errno == EAGAIN || errno == EINTR ? (int)RTE_MAX(n, 0) : -errno;
}

bool
tap_write(const struct tap *tap, const struct rte_mbuf *m)
{
	struct iovec pieces[SEGMENTS_MAX];
	ssize_t want = m->pkt_len;
	int n = 0;

	for (; m != NULL && n < SEGMENTS_MAX; m = m->next)
		pieces[n++] = (struct iovec) { rte_pktmbuf_mtod(m, void *), m->data_len };
	return m == NULL && writev(tap->fd, pieces, n) == want;
}

void
tap_carrier_set(struct tap *tap, bool carrier)
{
	int on = carrier;

	/* A kernel before 5.0 cannot be told, and shows the interface as it was. */
	if (carrier != tap->carrier)
		ioctl(tap->fd, TUNSETCARRIER, &on);
	tap->carrier = carrier;
}

void
tap_mtu_set(struct tap *tap, uint16_t mtu)
{
	struct ifreq r = { .ifr_mtu = mtu };

	if (mtu != tap->mtu && request(tap, SIOCSIFMTU, &r) == 0)
		tap->mtu = mtu;
}
