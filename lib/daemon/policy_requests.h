/* The socket's requests about policies. */
#ifndef DAEMON_POLICY_REQUESTS_H
#define DAEMON_POLICY_REQUESTS_H

#include "daemon/policies.h"

/* One request, of which policy_request_is_ours() says that it is about policies: runs it, and
 * writes its answer, if it has one beside the ACK, behind what is in reply. Whether the client may
 * change anything was asked before. Returns 0 or a negative errno with a sentence; then there is no
 * answer. A dump is policy_dump_more()'s.
 */
bool policy_request_is_ours(uint16_t type);
/* The same types: does the request change anything? */
bool policy_request_changes(uint16_t type);
int policy_request(struct dpolicies *dp, const struct xfrm_msg *msg,
		   const struct dpolicies_cause *cause, struct xfrm_out *reply, struct err *err);

/* Where a dump of the policies stands: all zero but changes, from dpolicies_changes(). */
struct policy_dump {
	uint32_t cursor, changes;
	uint32_t seq, pid; /* of the request, of the client */
	bool is_through;   /* all policies were listed; the end is still to be said */
};

/* Writes the next messages of a dump, as many as fit; DONE goes into a datagram of its own. False:
 * that was the end.
 */
bool policy_dump_more(const struct dpolicies *dp, struct policy_dump *dump, struct xfrm_out *out);

#endif
