#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

struct prefix
prefix_of(const struct addr *a, uint8_t len)
{
	struct prefix p = { .addr = *a, .len = len };

	for (uint8_t i = 0; i < sizeof(p.addr.octets); i++) {
		uint8_t bits = len > 8 * i ? len - 8 * i : 0;

		if (bits < 8)
			p.addr.octets[i] &= (uint8_t)(0xff00 >> bits);
	}
	return p;
}

bool
prefix_covers(const struct prefix *p, const struct addr *a)
{
	struct prefix other;

	if (a->family != p->addr.family)
		return false;
	other = prefix_of(a, p->len);
	return addr_equal(&other.addr, &p->addr);
}

const char *
addr_text(const struct addr *a, char text[ADDR_TEXT_SIZE])
{
	int family = a->family == 6 ? AF_INET6 : AF_INET;

	if (a->family == 0 || inet_ntop(family, a->octets, text, ADDR_TEXT_SIZE) == NULL)
		snprintf(text, ADDR_TEXT_SIZE, "none");
	return text;
}

const char *
prefix_text(const struct prefix *p, char text[ADDR_TEXT_SIZE])
{
	size_t n;

	addr_text(&p->addr, text);
	n = strlen(text);
	snprintf(text + n, ADDR_TEXT_SIZE - n, "/%u", p->len);
	return text;
}

bool
addr_parse(const char *text, struct addr *a)
{
	*a = (struct addr) { .family = 4 };
	if (inet_pton(AF_INET, text, a->octets) == 1)
		return true;
	*a = (struct addr) { .family = 6 };
	return inet_pton(AF_INET6, text, a->octets) == 1;
}
