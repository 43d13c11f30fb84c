/* Random but valid SAs and policies, and messages made of them. */
#ifndef TESTS_XFRM_RIG_H
#define TESTS_XFRM_RIG_H

#include "unit.h"

#include "xfrm/xfrm.h"

/* The same row of numbers in every run. */
uint64_t rig_random(void);
void rig_seed(uint64_t seed);

/* An SA that xfrm_parse_sa takes, all optional parts by chance; octets that nobody reads are 0. */
void rig_sa(struct xfrm_sa *sa);
void rig_policy(struct xfrm_policy *p);
void rig_sel(struct xfrm_sel *sel, uint8_t family);
struct addr rig_addr(uint8_t family);

/* What one xfrm_put_* wrote, as a message. */
struct rig_msg {
	_Alignas(8) uint8_t octets[XFRM_DATAGRAM_MAX];
	struct xfrm_out out;
	struct xfrm_msg msg;
};
/* Ready for one xfrm_put_*; what is not written holds 0xa5. */
struct xfrm_out *rig_begin(struct rig_msg *m);
/* The message that was put; fails the test unless it is one, whole and filled up to 4. */
const struct xfrm_msg *rig_end(struct rig_msg *m);

#endif
