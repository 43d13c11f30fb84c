#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_byteorder.h>

#define LINK_ETHERNET 1

#define PCAP_HEADER  24
#define PCAP_LINK_AT 20 /* the upper bits say of frame check sequences */
#define PCAP_LINK    0xffff

#define PCAPNG_SECTION	 0x0a0d0d0a /* the same from both ends */
#define PCAPNG_ORDER	 0x1a2b3c4d
#define PCAPNG_INTERFACE 1

static uint32_t
load32(const uint8_t *at, bool swapped)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return swapped ? rte_bswap32(n) : n;
}

static bool
is_pcap(uint32_t magic)
{
	/* Microseconds, nanoseconds, and the one of patched libpcaps. */
	return magic == 0xa1b2c3d4 || magic == 0xa1b23c4d || magic == 0xa1b2cd34;
}

/* The first interface of a pcapng file stands behind the section header. -1: there is none. */
static int
pcapng_link(int fd, const uint8_t *head)
{
	bool swapped = load32(head + 8, false) != PCAPNG_ORDER;
	uint8_t block[12];

	if (pread(fd, block, sizeof(block), load32(head + 4, swapped)) != sizeof(block) ||
	    load32(block, swapped) != PCAPNG_INTERFACE)
		return -1;
	return (int)(swapped ? block[8] << 8 | block[9] : block[9] << 8 | block[8]);
}

/* The link type of a capture, or -1 for what is none. */
static int
capture_link(int fd)
{
	uint8_t head[PCAP_HEADER];
	uint32_t magic;

	if (pread(fd, head, sizeof(head), 0) != sizeof(head))
		return -1;
	magic = load32(head, false);
	if (magic == PCAPNG_SECTION)
		return pcapng_link(fd, head);
	if (is_pcap(magic) || is_pcap(rte_bswap32(magic)))
		return (int)(load32(head + PCAP_LINK_AT, !is_pcap(magic)) & PCAP_LINK);
	return -1;
}

static void
capture_check(const struct conf_port *port, const char *path, struct conf_errors *errors)
{
	int fd = -1, link = -1;
	struct stat st;

	/* A pipe is not opened: its writer would take the end of this look for the end of all. */
	if (stat(path, &st) < 0 ||
	    (S_ISREG(st.st_mode) && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)) {
		conf_complain(errors, false, &port->mark, "device", "a capture that can be read",
			      "%s cannot read %s: %s", port->name, path, strerror(errno));
		return;
	}
	if (fd >= 0) {
		link = capture_link(fd);
		close(fd);
	} else if (!S_ISDIR(st.st_mode)) {
		return;
	}
	if (link == -1)
		conf_complain(errors, false, &port->mark, "device",
			      "a file of tcpdump -w or of Wireshark",
			      "%s would read %s, which is no capture", port->name, path);
	else if (link != LINK_ETHERNET)
		conf_complain(errors, false, &port->mark, "device",
			      "one made on an Ethernet interface, not on \"any\" or a tunnel",
			      "the frames of %s are not Ethernet's (link type %d)", path, link);
}

void
captures_check(const struct conf *c, struct conf_errors *errors)
{
	static const char key[] = ",rx_pcap=";

	for (uint32_t i = 0; i < c->n_ports; i++) {
		const struct conf_port *port = &c->ports[i];
		const char *at = port->device;

		if (strncmp(at, "net_pcap", strlen("net_pcap")) != 0)
			continue;
		while ((at = strstr(at, key)) != NULL) {
			char path[256];

			at += strlen(key);
			snprintf(path, sizeof(path), "%.*s", (int)strcspn(at, ","), at);
			capture_check(port, path, errors);
		}
	}
}
