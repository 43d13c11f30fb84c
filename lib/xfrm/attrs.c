#include "xfrm/attrs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum size_rule {
	SIZE_EXACT,
	SIZE_LEAST,  /* something of its own length follows */
	SIZE_TIMES,  /* one or more */
	SIZE_NOBODY, /* known, and of no meaning */
};

static const struct attr_row {
	const char *name;
	uint16_t size;
	uint8_t rule;
} rows[ATTR_SLOTS] = {
	[XFRM_A_ALG_AUTH] = { "XFRMA_ALG_AUTH", sizeof(struct xw_alg), SIZE_LEAST },
	[XFRM_A_ALG_CRYPT] = { "XFRMA_ALG_CRYPT", sizeof(struct xw_alg), SIZE_LEAST },
	[XFRM_A_ALG_COMP] = { "XFRMA_ALG_COMP", sizeof(struct xw_alg), SIZE_LEAST },
	[XFRM_A_ENCAP] = { "XFRMA_ENCAP", sizeof(struct xw_encap), SIZE_EXACT },
	[XFRM_A_TMPL] = { "XFRMA_TMPL", sizeof(struct xw_tmpl), SIZE_TIMES },
	[XFRM_A_SA] = { "XFRMA_SA", sizeof(struct xw_sa), SIZE_EXACT },
	[XFRM_A_POLICY] = { "XFRMA_POLICY", sizeof(struct xw_policy), SIZE_EXACT },
	[XFRM_A_SEC_CTX] = { "XFRMA_SEC_CTX", 8, SIZE_LEAST },
	[XFRM_A_LTIME_VAL] = { "XFRMA_LTIME_VAL", sizeof(struct xw_used), SIZE_EXACT },
	[XFRM_A_REPLAY_VAL] = { "XFRMA_REPLAY_VAL", sizeof(struct xw_replay), SIZE_EXACT },
	[XFRM_A_REPLAY_THRESH] = { "XFRMA_REPLAY_THRESH", 4, SIZE_EXACT },
	[XFRM_A_ETIMER_THRESH] = { "XFRMA_ETIMER_THRESH", 4, SIZE_EXACT },
	[XFRM_A_SRCADDR] = { "XFRMA_SRCADDR", 16, SIZE_EXACT },
	[XFRM_A_COADDR] = { "XFRMA_COADDR", 16, SIZE_EXACT },
	[XFRM_A_LASTUSED] = { "XFRMA_LASTUSED", 8, SIZE_EXACT },
	[XFRM_A_POLICY_TYPE] = { "XFRMA_POLICY_TYPE", sizeof(struct xw_policy_type), SIZE_EXACT },
	[XFRM_A_MIGRATE] = { "XFRMA_MIGRATE", sizeof(struct xw_migrate), SIZE_TIMES },
	[XFRM_A_ALG_AEAD] = { "XFRMA_ALG_AEAD", sizeof(struct xw_alg_icv), SIZE_LEAST },
	[XFRM_A_KMADDRESS] = { "XFRMA_KMADDRESS", sizeof(struct xw_kmaddress), SIZE_EXACT },
	[XFRM_A_ALG_AUTH_TRUNC] = { "XFRMA_ALG_AUTH_TRUNC", sizeof(struct xw_alg_icv), SIZE_LEAST },
	/* `ip xfrm policy deleteall` takes the header's length for that of the mark. */
	[XFRM_A_MARK] = { "XFRMA_MARK", sizeof(struct xw_mark), SIZE_LEAST },
	[XFRM_A_TFCPAD] = { "XFRMA_TFCPAD", 4, SIZE_EXACT },
	[XFRM_A_REPLAY_ESN_VAL] = { "XFRMA_REPLAY_ESN_VAL", sizeof(struct xw_replay_esn),
				    SIZE_LEAST },
	[XFRM_A_SA_EXTRA_FLAGS] = { "XFRMA_SA_EXTRA_FLAGS", 4, SIZE_EXACT },
	[XFRM_A_PROTO] = { "XFRMA_PROTO", 1, SIZE_EXACT },
	[XFRM_A_ADDRESS_FILTER] = { "XFRMA_ADDRESS_FILTER", sizeof(struct xw_filter), SIZE_EXACT },
	[XFRM_A_PAD] = { "XFRMA_PAD", 0, SIZE_NOBODY },
	[XFRM_A_OFFLOAD_DEV] = { "XFRMA_OFFLOAD_DEV", sizeof(struct xw_offload), SIZE_EXACT },
	[XFRM_A_SET_MARK] = { "XFRMA_SET_MARK", 4, SIZE_EXACT },
	[XFRM_A_SET_MARK_MASK] = { "XFRMA_SET_MARK_MASK", 4, SIZE_EXACT },
	[XFRM_A_IF_ID] = { "XFRMA_IF_ID", 4, SIZE_EXACT },
	[XFRM_A_MTIMER_THRESH] = { "XFRMA_MTIMER_THRESH", 4, SIZE_EXACT },
	[XFRM_A_SA_DIR] = { "XFRMA_SA_DIR", 1, SIZE_EXACT },
	[XFRM_A_NAT_KEEPALIVE] = { "XFRMA_NAT_KEEPALIVE_INTERVAL", 4, SIZE_EXACT },
	[XFRM_A_SA_PCPU] = { "XFRMA_SA_PCPU", 4, SIZE_EXACT },
	[XFRM_A_IPTFS_DROP_TIME] = { "XFRMA_IPTFS_DROP_TIME", 4, SIZE_EXACT },
	[XFRM_A_IPTFS_REORDER_WINDOW] = { "XFRMA_IPTFS_REORDER_WINDOW", 2, SIZE_EXACT },
	[XFRM_A_IPTFS_DONT_FRAG] = { "XFRMA_IPTFS_DONT_FRAG", 0, SIZE_EXACT },
	[XFRM_A_IPTFS_INIT_DELAY] = { "XFRMA_IPTFS_INIT_DELAY", 4, SIZE_EXACT },
	[XFRM_A_IPTFS_MAX_QSIZE] = { "XFRMA_IPTFS_MAX_QSIZE", 4, SIZE_EXACT },
	[XFRM_A_IPTFS_PKT_SIZE] = { "XFRMA_IPTFS_PKT_SIZE", 4, SIZE_EXACT },
#define OURS(type) [XFRM_A_END + (type)-XFRM_A_PRIVATE - 1]
	OURS(XFRM_A_SUBSPACES) = { "subspaces", sizeof(struct xw_subspaces), SIZE_EXACT },
	OURS(XFRM_A_IPTFS_RATE) = { "IP-TFS rate", sizeof(struct xw_iptfs_rate), SIZE_EXACT },
	OURS(XFRM_A_EESP) = { "EESP", 0, SIZE_LEAST },
	OURS(XFRM_A_OUTER) = { "DF and fragments", sizeof(struct xw_outer), SIZE_EXACT },
	OURS(XFRM_A_LANE_STATS) = { "lane statistics", sizeof(struct xw_lane_stats), SIZE_TIMES },
	OURS(XFRM_A_WANT_LANES) = { "wish for lane statistics", 0, SIZE_EXACT },
	OURS(XFRM_A_CLASSES) = { "classes", sizeof(struct xw_classes), SIZE_EXACT },
	OURS(XFRM_A_ESP_PING) = { "ESP ping", 1, SIZE_EXACT },
	OURS(XFRM_A_PATH) = { "path MTU", sizeof(struct xw_path), SIZE_EXACT },
	OURS(XFRM_A_IPTFS_OPTIONS) = { "IP-TFS options", sizeof(struct xw_iptfs_options),
				       SIZE_EXACT },
	OURS(XFRM_A_IPTFS_STATE) = { "IP-TFS state", sizeof(struct xw_iptfs_state), SIZE_EXACT },
#undef OURS
};

static const char *const types[XFRM_TYPE_END - XFRM_NEWSA] = {
	"NEWSA",      "DELSA",	    "GETSA",   "NEWPOLICY",   "DELPOLICY",
	"GETPOLICY",  "ALLOCSPI",   "ACQUIRE", "EXPIRE",      "UPDPOLICY",
	"UPDSA",      "POLEXPIRE",  "FLUSHSA", "FLUSHPOLICY", "NEWAE",
	"GETAE",      "REPORT",	    "MIGRATE", "NEWSADINFO",  "GETSADINFO",
	"NEWSPDINFO", "GETSPDINFO", "MAPPING", "SETDEFAULT",  "GETDEFAULT",
};

/* -1: nobody knows it. */
static int
slot_of(uint16_t type)
{
	if (type > 0 && type < XFRM_A_END)
		return type;
	if (type > XFRM_A_PRIVATE && type < XFRM_A_PRIVATE_END)
		return XFRM_A_END + type - XFRM_A_PRIVATE - 1;
	return -1;
}

const char *
xfrm_type_name(uint16_t type, char buf[XFRM_NAME_SIZE])
{
	if (type >= XFRM_NEWSA && type < XFRM_TYPE_END)
		snprintf(buf, XFRM_NAME_SIZE, "XFRM_MSG_%s", types[type - XFRM_NEWSA]);
	else
		snprintf(buf, XFRM_NAME_SIZE, "message %u", type);
	return buf;
}

const char *
xfrm_attr_name(uint16_t type, char buf[XFRM_NAME_SIZE])
{
	int slot = slot_of(type & ~XFRM_A_FLAGS);

	if (slot > 0)
		snprintf(buf, XFRM_NAME_SIZE, "%s", rows[slot].name);
	else
		snprintf(buf, XFRM_NAME_SIZE, "attribute %u", type & ~XFRM_A_FLAGS);
	return buf;
}

static int
refuse(const char *what, int rc, struct err *err, const char *format, va_list ap)
{
	char why[ERR_TEXT_SIZE];

	if (err == NULL)
		return rc;
	vsnprintf(why, sizeof(why), format, ap);
	return err_set(err, rc, "%s: %s", what, why);
}

int
attr_refuse(const struct attr *a, int rc, struct err *err, const char *format, ...)
{
	char name[XFRM_NAME_SIZE], what[XFRM_NAME_SIZE + 32];
	va_list ap;

	snprintf(what, sizeof(what), "%s at offset %u", xfrm_attr_name(a->type, name), a->at);
	va_start(ap, format);
	rc = refuse(what, rc, err, format, ap);
	va_end(ap);
	return rc;
}

int
msg_refuse(const struct xfrm_msg *msg, int rc, struct err *err, const char *format, ...)
{
	char name[XFRM_NAME_SIZE];
	va_list ap;

	va_start(ap, format);
	rc = refuse(xfrm_type_name(msg->head.type, name), rc, err, format, ap);
	va_end(ap);
	return rc;
}

int
xfrm_next(const void *datagram, size_t len, size_t *at, struct xfrm_msg *msg, struct err *err)
{
	size_t left = len - *at, step;

	memset(msg, 0, sizeof(*msg));
	if (left == 0)
		return 0;
	if (left < sizeof(msg->head)) {
		*at = len;
		return err_set(err, -EBADMSG,
			       "%zu octets at the end of the datagram are no message: a header has "
			       "16",
			       left);
	}
	memcpy(&msg->head, (const uint8_t *)datagram + *at, sizeof(msg->head));
	if (msg->head.len < sizeof(msg->head) || msg->head.len > left) {
		*at = len;
		return msg_refuse(msg, -EINVAL, err,
				  "nlmsg_len %u: 16 or more, and at most the %zu octets that came",
				  msg->head.len, left);
	}
	msg->body = (const uint8_t *)datagram + *at + sizeof(msg->head);
	msg->len = msg->head.len - sizeof(msg->head);
	/* The last one of a datagram need not be filled up to a multiple of 4. */
	step = XFRM_ALIGN((size_t)msg->head.len);
	*at += step < left ? step : left;
	return 1;
}

bool
xfrm_is_dump(const struct xfrm_msg *msg)
{
	return (msg->head.type == XFRM_GETSA || msg->head.type == XFRM_GETPOLICY) &&
	       (msg->head.flags & XFRM_F_DUMP) != 0;
}

int
body_load(const struct xfrm_msg *msg, void *body, size_t size, struct err *err)
{
	if (msg->len < size)
		return msg_refuse(msg, -EINVAL, err, "a body of %u octets: it has %zu", msg->len,
				  size);
	memcpy(body, msg->body, size);
	return 0;
}

static int
size_check(const struct attr *a, const struct attr_row *row, struct err *err)
{
	switch (row->rule) {
	case SIZE_EXACT:
		if (a->len != row->size)
			return attr_refuse(a, -EINVAL, err, "%u octets: it has %u", a->len,
					   row->size);
		return 0;
	case SIZE_LEAST:
		if (a->len < row->size)
			return attr_refuse(a, -EINVAL, err, "%u octets: it has %u or more", a->len,
					   row->size);
		return 0;
	case SIZE_TIMES:
		if (a->len == 0 || a->len % row->size != 0)
			return attr_refuse(a, -EINVAL, err,
					   "%u octets: it has %u, or some times %u", a->len,
					   row->size, row->size);
		return 0;
	default:
		return 0;
	}
}

/* An address update of charon copies what GETSA answered, and appends the counters of GETAE. Two
 * keys or two directions in one message are a contradiction, and not to be guessed at.
 */
static bool
last_counts(uint16_t type)
{
	return type == XFRM_A_REPLAY_ESN_VAL || type == XFRM_A_REPLAY_VAL ||
	       type == XFRM_A_LTIME_VAL;
}

static int
attr_take(struct attrs *list, const struct attr *a, struct err *err)
{
	int slot = slot_of(a->type), rc;

	if (slot < 0)
		return attr_refuse(a, -EINVAL, err,
				   "not known here: leave it out (1 to %u and %#x to %#x are)",
				   XFRM_A_END - 1, XFRM_A_PRIVATE + 1, XFRM_A_PRIVATE_END - 1);
	rc = size_check(a, &rows[slot], err);
	if (rc < 0)
		return rc;
	if (rows[slot].rule == SIZE_NOBODY)
		return 0;
	if ((list->present >> slot & 1) && !last_counts(a->type))
		return attr_refuse(a, -EINVAL, err, "a second one (the first is at offset %u): one",
				   list->list[slot].at);
	list->present |= UINT64_C(1) << slot;
	list->list[slot] = *a;
	return 0;
}

int
attrs_load(const struct xfrm_msg *msg, size_t size, struct attrs *list, struct err *err)
{
	uint32_t at = XFRM_ALIGN((uint32_t)size);
	struct xw_attr head;

	list->present = 0;
	while (at < msg->len) {
		uint32_t offset = (uint32_t)sizeof(msg->head) + at, left = msg->len - at;
		struct attr a;
		int rc;

		if (left < sizeof(head))
			return msg_refuse(
				msg, -EINVAL, err,
				"%u octets at offset %u are no attribute: its header has 4", left,
				offset);
		memcpy(&head, msg->body + at, sizeof(head));
		a = (struct attr) {
			.octets = msg->body + at + sizeof(head),
			.at = offset,
			.type = head.type & (uint16_t)~XFRM_A_FLAGS,
		};
		if (head.len < sizeof(head) || head.len > left)
			return attr_refuse(&a, -EINVAL, err,
					   "a length of %u: 4 or more, and at most the %u that are "
					   "left of the message",
					   head.len, left);
		a.len = head.len - (uint16_t)sizeof(head);
		rc = attr_take(list, &a, err);
		if (rc < 0)
			return rc;
		at += XFRM_ALIGN((uint32_t)head.len);
	}
	return 0;
}

int
attrs_load_request(const struct xfrm_msg *msg, size_t size, struct attrs *list, struct err *err)
{
	static const uint16_t kinds[] = { XFRM_A_SA_DIR, XFRM_A_SA_PCPU };
	uint16_t type = msg->head.type;
	int rc = attrs_load(msg, size, list, err);

	if (rc < 0 || type == XFRM_NEWSA || type == XFRM_UPDSA || type == XFRM_ALLOCSPI)
		return rc;
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		const struct attr *a = attr_find(list, kinds[i]);

		if (a != NULL)
			return attr_refuse(a, -EINVAL, err,
					   "only with XFRM_MSG_NEWSA, UPDSA and ALLOCSPI");
	}
	return 0;
}

const struct attr *
attr_find(const struct attrs *list, uint16_t type)
{
	int slot = slot_of(type);

	return list->present >> slot & 1 ? &list->list[slot] : NULL;
}

bool
attr_copy(const struct attrs *list, uint16_t type, void *to, size_t size)
{
	const struct attr *a = attr_find(list, type);

	if (a == NULL)
		return false;
	memcpy(to, a->octets, a->len < size ? a->len : size);
	return true;
}
