#include "ipc/message.h"

#include <string.h>

#include "base/err.h"

struct nlmsghdr
message_header(uint16_t type, uint16_t flags, size_t n, const struct nlmsghdr *request,
	       uint32_t pid)
{
	return (struct nlmsghdr) {
		.nlmsg_len = NLMSG_ALIGN(NLMSG_HDRLEN + n),
		.nlmsg_type = type,
		.nlmsg_flags = flags,
		.nlmsg_seq = request->nlmsg_seq,
		.nlmsg_pid = pid,
	};
}

size_t
message_error(uint8_t buf[MESSAGE_ERROR_SIZE], const struct nlmsghdr *request, uint32_t pid,
	      int error, const char *sentence)
{
	struct nlmsgerr body = { .error = error, .msg = *request };
	uint16_t flags = NLM_F_CAPPED;
	size_t text = 0, n = sizeof(body);
	struct nlmsghdr header;
	struct nlattr attr;

	memset(buf, 0, MESSAGE_ERROR_SIZE);
	memcpy(buf + NLMSG_HDRLEN, &body, sizeof(body));
	if (sentence != NULL && sentence[0] != 0) {
		text = strnlen(sentence, ERR_TEXT_SIZE - 1);
		attr.nla_len = sizeof(attr) + text + 1;
		attr.nla_type = NLMSGERR_ATTR_MSG;
		memcpy(buf + NLMSG_HDRLEN + n, &attr, sizeof(attr));
		memcpy(buf + NLMSG_HDRLEN + n + sizeof(attr), sentence, text);
		n += attr.nla_len;
		flags |= NLM_F_ACK_TLVS;
	}
	header = message_header(NLMSG_ERROR, flags, n, request, pid);
	memcpy(buf, &header, sizeof(header));
	return header.nlmsg_len;
}
