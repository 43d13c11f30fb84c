/* What an XFRM policy says of packets, in the SPD's words. */
#ifndef DAEMON_POLICY_SPEC_H
#define DAEMON_POLICY_SPEC_H

#include "ctl/policies.h"
#include "xfrm/xfrm.h"

/* All of spec but group, name and SA. *apart: it is kept, but not asked (policies.h). protect says
 * whether it has a template. -EINVAL: with a sentence for what the SPD cannot say.
 */
int policy_spec_fill(const struct xfrm_policy *p, bool protect, struct policy_spec *spec,
		     bool *apart, struct err *err);

#endif
