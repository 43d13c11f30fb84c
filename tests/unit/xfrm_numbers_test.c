/* Our copy of the numbers and layouts against the machine's own header, as far as that goes: Debian
 * 12's ends at XFRMA_MTIMER_THRESH.
 */
#include "unit.h"

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include "xfrm/layout.h"
#include "xfrm/numbers.h"

static const struct {
	const char *name;
	uint64_t ours, linux_;
} numbers[] = {
#define N(ours, linux_)             \
	{                           \
#ours, ours, linux_ \
	}
	N(XFRM_NOOP, NLMSG_NOOP),
	N(XFRM_ERROR, NLMSG_ERROR),
	N(XFRM_DONE, NLMSG_DONE),
	N(XFRM_OVERRUN, NLMSG_OVERRUN),
	N(XFRM_NEWSA, XFRM_MSG_NEWSA),
	N(XFRM_DELSA, XFRM_MSG_DELSA),
	N(XFRM_GETSA, XFRM_MSG_GETSA),
	N(XFRM_NEWPOLICY, XFRM_MSG_NEWPOLICY),
	N(XFRM_DELPOLICY, XFRM_MSG_DELPOLICY),
	N(XFRM_GETPOLICY, XFRM_MSG_GETPOLICY),
	N(XFRM_ALLOCSPI, XFRM_MSG_ALLOCSPI),
	N(XFRM_ACQUIRE, XFRM_MSG_ACQUIRE),
	N(XFRM_EXPIRE, XFRM_MSG_EXPIRE),
	N(XFRM_UPDPOLICY, XFRM_MSG_UPDPOLICY),
	N(XFRM_UPDSA, XFRM_MSG_UPDSA),
	N(XFRM_POLEXPIRE, XFRM_MSG_POLEXPIRE),
	N(XFRM_FLUSHSA, XFRM_MSG_FLUSHSA),
	N(XFRM_FLUSHPOLICY, XFRM_MSG_FLUSHPOLICY),
	N(XFRM_NEWAE, XFRM_MSG_NEWAE),
	N(XFRM_GETAE, XFRM_MSG_GETAE),
	N(XFRM_REPORT, XFRM_MSG_REPORT),
	N(XFRM_MIGRATE, XFRM_MSG_MIGRATE),
	N(XFRM_NEWSADINFO, XFRM_MSG_NEWSADINFO),
	N(XFRM_GETSADINFO, XFRM_MSG_GETSADINFO),
	N(XFRM_NEWSPDINFO, XFRM_MSG_NEWSPDINFO),
	N(XFRM_GETSPDINFO, XFRM_MSG_GETSPDINFO),
	N(XFRM_MAPPING, XFRM_MSG_MAPPING),
	N(XFRM_SETDEFAULT, XFRM_MSG_SETDEFAULT),
	N(XFRM_GETDEFAULT, XFRM_MSG_GETDEFAULT),
	N(XFRM_F_REQUEST, NLM_F_REQUEST),
	N(XFRM_F_MULTI, NLM_F_MULTI),
	N(XFRM_F_ACK, NLM_F_ACK),
	N(XFRM_F_DUMP_INTR, NLM_F_DUMP_INTR),
	N(XFRM_F_REPLACE, NLM_F_REPLACE),
	N(XFRM_F_EXCL, NLM_F_EXCL),
	N(XFRM_F_CREATE, NLM_F_CREATE),
	N(XFRM_F_DUMP, NLM_F_DUMP),
	N(XFRM_F_CAPPED, NLM_F_CAPPED),
	N(XFRM_F_ACK_TLVS, NLM_F_ACK_TLVS),
	N(XFRM_A_ALG_AUTH, XFRMA_ALG_AUTH),
	N(XFRM_A_ALG_CRYPT, XFRMA_ALG_CRYPT),
	N(XFRM_A_ALG_COMP, XFRMA_ALG_COMP),
	N(XFRM_A_ENCAP, XFRMA_ENCAP),
	N(XFRM_A_TMPL, XFRMA_TMPL),
	N(XFRM_A_SA, XFRMA_SA),
	N(XFRM_A_POLICY, XFRMA_POLICY),
	N(XFRM_A_SEC_CTX, XFRMA_SEC_CTX),
	N(XFRM_A_LTIME_VAL, XFRMA_LTIME_VAL),
	N(XFRM_A_REPLAY_VAL, XFRMA_REPLAY_VAL),
	N(XFRM_A_REPLAY_THRESH, XFRMA_REPLAY_THRESH),
	N(XFRM_A_ETIMER_THRESH, XFRMA_ETIMER_THRESH),
	N(XFRM_A_SRCADDR, XFRMA_SRCADDR),
	N(XFRM_A_COADDR, XFRMA_COADDR),
	N(XFRM_A_LASTUSED, XFRMA_LASTUSED),
	N(XFRM_A_POLICY_TYPE, XFRMA_POLICY_TYPE),
	N(XFRM_A_MIGRATE, XFRMA_MIGRATE),
	N(XFRM_A_ALG_AEAD, XFRMA_ALG_AEAD),
	N(XFRM_A_KMADDRESS, XFRMA_KMADDRESS),
	N(XFRM_A_ALG_AUTH_TRUNC, XFRMA_ALG_AUTH_TRUNC),
	N(XFRM_A_MARK, XFRMA_MARK),
	N(XFRM_A_TFCPAD, XFRMA_TFCPAD),
	N(XFRM_A_REPLAY_ESN_VAL, XFRMA_REPLAY_ESN_VAL),
	N(XFRM_A_SA_EXTRA_FLAGS, XFRMA_SA_EXTRA_FLAGS),
	N(XFRM_A_PROTO, XFRMA_PROTO),
	N(XFRM_A_ADDRESS_FILTER, XFRMA_ADDRESS_FILTER),
	N(XFRM_A_PAD, XFRMA_PAD),
	N(XFRM_A_OFFLOAD_DEV, XFRMA_OFFLOAD_DEV),
	N(XFRM_A_SET_MARK, XFRMA_SET_MARK),
	N(XFRM_A_SET_MARK_MASK, XFRMA_SET_MARK_MASK),
	N(XFRM_A_IF_ID, XFRMA_IF_ID),
	N(XFRM_A_MTIMER_THRESH, XFRMA_MTIMER_THRESH),
	N(XFRM_A_SAD_COUNT, XFRMA_SAD_CNT),
	N(XFRM_A_SAD_HASH, XFRMA_SAD_HINFO),
	N(XFRM_A_SPD_INFO, XFRMA_SPD_INFO),
	N(XFRM_A_SPD_HASH, XFRMA_SPD_HINFO),
	N(XFRM_A_SPD_THRESH_V4, XFRMA_SPD_IPV4_HTHRESH),
	N(XFRM_A_SPD_THRESH_V6, XFRMA_SPD_IPV6_HTHRESH),
	N(XFRM_A_ERROR_MESSAGE, NLMSGERR_ATTR_MSG),
	N(XFRM_GROUP_ACQUIRE, XFRMNLGRP_ACQUIRE),
	N(XFRM_GROUP_EXPIRE, XFRMNLGRP_EXPIRE),
	N(XFRM_GROUP_SA, XFRMNLGRP_SA),
	N(XFRM_GROUP_POLICY, XFRMNLGRP_POLICY),
	N(XFRM_GROUP_AEVENTS, XFRMNLGRP_AEVENTS),
	N(XFRM_GROUP_REPORT, XFRMNLGRP_REPORT),
	N(XFRM_GROUP_MIGRATE, XFRMNLGRP_MIGRATE),
	N(XFRM_GROUP_MAPPING, XFRMNLGRP_MAPPING),
	N(XFRM_GROUP_BIT(XFRM_GROUP_POLICY), XFRMGRP_POLICY),
	N(XFRM_TRANSPORT, XFRM_MODE_TRANSPORT),
	N(XFRM_TUNNEL, XFRM_MODE_TUNNEL),
	N(XFRM_BEET, XFRM_MODE_BEET),
	N(XFRM_SA_NOECN, XFRM_STATE_NOECN),
	N(XFRM_SA_DECAP_DSCP, XFRM_STATE_DECAP_DSCP),
	N(XFRM_SA_NOPMTUDISC, XFRM_STATE_NOPMTUDISC),
	N(XFRM_SA_WILDRECV, XFRM_STATE_WILDRECV),
	N(XFRM_SA_ICMP, XFRM_STATE_ICMP),
	N(XFRM_SA_AF_UNSPEC, XFRM_STATE_AF_UNSPEC),
	N(XFRM_SA_ALIGN4, XFRM_STATE_ALIGN4),
	N(XFRM_SA_ESN, XFRM_STATE_ESN),
	N(XFRM_SA_DONT_ENCAP_DSCP, XFRM_SA_XFLAG_DONT_ENCAP_DSCP),
	N(XFRM_SA_OSEQ_MAY_WRAP, XFRM_SA_XFLAG_OSEQ_MAY_WRAP),
	N(XFRM_DIR_IN, XFRM_POLICY_IN),
	N(XFRM_DIR_OUT, XFRM_POLICY_OUT),
	N(XFRM_DIR_FWD, XFRM_POLICY_FWD),
	N(XFRM_ALLOW, XFRM_POLICY_ALLOW),
	N(XFRM_BLOCK, XFRM_POLICY_BLOCK),
	N(XFRM_POLICY_F_LOCALOK, XFRM_POLICY_LOCALOK),
	N(XFRM_POLICY_F_ICMP, XFRM_POLICY_ICMP),
	N(XFRM_DEFAULT_BLOCK, XFRM_USERPOLICY_BLOCK),
	N(XFRM_DEFAULT_ACCEPT, XFRM_USERPOLICY_ACCEPT),
	N(XFRM_AE_F_RVAL, XFRM_AE_RVAL),
	N(XFRM_AE_F_LVAL, XFRM_AE_LVAL),
	N(XFRM_AE_F_UPDATE, XFRM_AE_CU),
	N(XFRM_NO_LIMIT, XFRM_INF),
	N(XFRM_REPLAY_WORDS * 32, XFRMA_REPLAY_ESN_MAX),
#undef N
};

static const struct {
	const char *name;
	size_t ours, linux_;
} sizes[] = {
#define S(ours, linux_)                                             \
	{                                                           \
#linux_, sizeof(struct ours), sizeof(struct linux_) \
	}
#define F(ours, field, linux_, its)                                                          \
	{                                                                                    \
#linux_ "." #its, offsetof(struct ours, field), offsetof(struct linux_, its) \
	}
	S(xw_head, nlmsghdr),
	S(xw_attr, nlattr),
	S(xw_error, nlmsgerr),
	S(xw_sel, xfrm_selector),
	F(xw_sel, dport_be, xfrm_selector, dport),
	F(xw_sel, family, xfrm_selector, family),
	F(xw_sel, plen_s, xfrm_selector, prefixlen_s),
	F(xw_sel, ifindex, xfrm_selector, ifindex),
	S(xw_id, xfrm_id),
	S(xw_life, xfrm_lifetime_cfg),
	F(xw_life, hard_packets, xfrm_lifetime_cfg, hard_packet_limit),
	F(xw_life, soft_use_s, xfrm_lifetime_cfg, soft_use_expires_seconds),
	S(xw_used, xfrm_lifetime_cur),
	S(xw_sa, xfrm_usersa_info),
	F(xw_sa, used, xfrm_usersa_info, curlft),
	F(xw_sa, seq, xfrm_usersa_info, seq),
	F(xw_sa, reqid, xfrm_usersa_info, reqid),
	F(xw_sa, family, xfrm_usersa_info, family),
	F(xw_sa, flags, xfrm_usersa_info, flags),
	S(xw_sa_id, xfrm_usersa_id),
	F(xw_sa_id, family, xfrm_usersa_id, family),
	S(xw_ae, xfrm_aevent_id),
	F(xw_ae, reqid, xfrm_aevent_id, reqid),
	S(xw_spi, xfrm_userspi_info),
	S(xw_policy, xfrm_userpolicy_info),
	F(xw_policy, index, xfrm_userpolicy_info, index),
	F(xw_policy, share, xfrm_userpolicy_info, share),
	S(xw_policy_id, xfrm_userpolicy_id),
	F(xw_policy_id, dir, xfrm_userpolicy_id, dir),
	S(xw_tmpl, xfrm_user_tmpl),
	F(xw_tmpl, saddr, xfrm_user_tmpl, saddr),
	F(xw_tmpl, optional, xfrm_user_tmpl, optional),
	F(xw_tmpl, calgos, xfrm_user_tmpl, calgos),
	S(xw_acquire, xfrm_user_acquire),
	F(xw_acquire, policy, xfrm_user_acquire, policy),
	F(xw_acquire, seq, xfrm_user_acquire, seq),
	S(xw_expire, xfrm_user_expire),
	F(xw_expire, hard, xfrm_user_expire, hard),
	S(xw_polexpire, xfrm_user_polexpire),
	S(xw_report, xfrm_user_report),
	S(xw_migrate, xfrm_user_migrate),
	F(xw_migrate, reqid, xfrm_user_migrate, reqid),
	S(xw_kmaddress, xfrm_user_kmaddress),
	F(xw_kmaddress, family, xfrm_user_kmaddress, family),
	S(xw_mapping, xfrm_user_mapping),
	F(xw_mapping, old_sport_be, xfrm_user_mapping, old_sport),
	S(xw_encap, xfrm_encap_tmpl),
	F(xw_encap, oa, xfrm_encap_tmpl, encap_oa),
	S(xw_alg, xfrm_algo),
	S(xw_alg_icv, xfrm_algo_auth),
	S(xw_alg_icv, xfrm_algo_aead),
	F(xw_alg_icv, icv_bits, xfrm_algo_aead, alg_icv_len),
	S(xw_replay, xfrm_replay_state),
	S(xw_replay_esn, xfrm_replay_state_esn),
	F(xw_replay_esn, seq_hi, xfrm_replay_state_esn, seq_hi),
	S(xw_mark, xfrm_mark),
	S(xw_filter, xfrm_address_filter),
	F(xw_filter, splen, xfrm_address_filter, splen),
	S(xw_offload, xfrm_user_offload),
	S(xw_policy_type, xfrm_userpolicy_type),
	S(xw_default, xfrm_userpolicy_default),
	S(xw_spd_counts, xfrmu_spdinfo),
	S(xw_hash_sizes, xfrmu_sadhinfo),
	S(xw_thresh, xfrmu_spdhthresh),
#undef S
#undef F
};

static void
numbers_are_linuxs(void **state)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].ours != numbers[i].linux_)
			fail_msg("%s: %#lx, Linux has %#lx", numbers[i].name, numbers[i].ours,
				 numbers[i].linux_);
}

static void
layouts_are_linuxs(void **state)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i].ours != sizes[i].linux_)
			fail_msg("%s: %zu, Linux has %zu", sizes[i].name, sizes[i].ours,
				 sizes[i].linux_);
}

/* The digest's table of what is newer than the machine's header. */
static void
newer_numbers(void **state)
{
	assert_int_equal(XFRM_A_SA_DIR, 33);
	assert_int_equal(XFRM_A_NAT_KEEPALIVE, 34);
	assert_int_equal(XFRM_A_SA_PCPU, 35);
	assert_int_equal(XFRM_A_IPTFS_DROP_TIME, 36);
	assert_int_equal(XFRM_A_IPTFS_REORDER_WINDOW, 37);
	assert_int_equal(XFRM_A_IPTFS_DONT_FRAG, 38);
	assert_int_equal(XFRM_A_IPTFS_INIT_DELAY, 39);
	assert_int_equal(XFRM_A_IPTFS_MAX_QSIZE, 40);
	assert_int_equal(XFRM_A_IPTFS_PKT_SIZE, 41);
	assert_int_equal(XFRM_A_OUTER, 0x2004);
	assert_int_equal(XFRM_A_WANT_LANES, 0x2006);
	assert_int_equal(XFRM_A_CLASSES, 0x2007);
	assert_int_equal(XFRM_A_ESP_PING, 0x2008);
	assert_int_equal(XFRM_A_PATH, 0x2009);
	assert_int_equal(XFRM_A_IPTFS_OPTIONS, 0x200a);
	assert_int_equal(XFRM_A_IPTFS_STATE, 0x200b);
	assert_int_equal(XFRM_IPTFS, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_linuxs),
		cmocka_unit_test(layouts_are_linuxs),
		cmocka_unit_test(newer_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
