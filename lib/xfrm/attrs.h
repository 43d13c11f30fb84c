/* Inside the codec: bodies and attributes of a message, lengths checked. */
#ifndef XFRM_ATTRS_H
#define XFRM_ATTRS_H

#include "xfrm/xfrm.h"

/* Linux's attributes by their number, ours behind them. */
#define ATTR_SLOTS (XFRM_A_END + XFRM_A_PRIVATE_END - XFRM_A_PRIVATE - 1)
_Static_assert(ATTR_SLOTS <= 64, "attrs.present has 64 bits");

struct attr {
	const uint8_t *octets;
	uint32_t at; /* offset of its header from that of the message */
	uint16_t len;
	uint16_t type;
};

struct attrs {
	uint64_t present; /* bit n: slot n; the others are undefined */
	struct attr list[ATTR_SLOTS];
};

/* The first octets of the body. -EINVAL when there are fewer. */
int body_load(const struct xfrm_msg *msg, void *body, size_t size, struct err *err);

/* All attributes behind a body of `size`, each with the length its type has. */
int attrs_load(const struct xfrm_msg *msg, size_t size, struct attrs *a, struct err *err);

/* The same of a request, in which XFRMA_SA_DIR and XFRMA_SA_PCPU stand only where Linux has them.
 */
int attrs_load_request(const struct xfrm_msg *msg, size_t size, struct attrs *a, struct err *err);

/* NULL: was not there. */
const struct attr *attr_find(const struct attrs *a, uint16_t type);

/* attr_find, and its octets into *to, `size` of them at most. */
bool attr_copy(const struct attrs *a, uint16_t type, void *to, size_t size);

/* "XFRMA_MARK at offset 240: " and the sentence; returns rc. */
int attr_refuse(const struct attr *a, int rc, struct err *err, const char *format, ...)
	__rte_format_printf(4, 5);
/* "XFRM_MSG_NEWSA: " and the sentence. */
int msg_refuse(const struct xfrm_msg *msg, int rc, struct err *err, const char *format, ...)
	__rte_format_printf(4, 5);

#endif
