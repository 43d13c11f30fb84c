/* What is believed of ICMP too-big. */
#include "pmtu_rig.h"

#include "eal.h"

#define LANE(id, number) ((uint64_t)(id) << LANE_ID_SHIFT | (number))

static const struct {
	const char *what;
	struct message message;
	enum pmtu_count verdict;
	uint16_t mtu; /* what is in use then */
	uint64_t used;
} cases[] = {
	{ "the last packet sent",
	  { V4, .number = USED, .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  0 },
	{ "eight octets are all that an old router quotes",
	  { V4, .number = USED, .mtu = 1400, .octets = 8 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  0 },
	{ "the oldest that still counts",
	  { V4, .number = USED - PMTU_RECENT + 1, .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  0 },
	{ "one older",
	  { V4, .number = USED - PMTU_RECENT, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "a number not sent yet",
	  { V4, .number = USED + 1, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "number 0 is never sent",
	  { V4, .number = 0, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  10 },
	{ "the first of few", { V4, .number = 1, .mtu = 1400 }, PMTU_COUNT_ICMP_OBEYED, 1400, 10 },
	{ "before the first, were numbers to wrap",
	  { V4, .number = UINT32_MAX - 5, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  10 },
	{ "the low half of a number behind 2^32",
	  { V4, .number = 3, .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  (UINT64_C(7) << 32) + 9 },
	{ "lately is before the last 2^32, too",
	  { V4, .number = UINT32_MAX, .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  (UINT64_C(7) << 32) + 9 },
	{ "nothing was sent yet",
	  { V4, .number = 1, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  UINT64_MAX },
	{ "another SPI",
	  { V4, .spi = 0x100a, .number = USED, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "the SPI at another peer",
	  { V4, .number = USED, .mtu = 1400, .dst = 10 },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "another source of ours",
	  { V4, .number = USED, .mtu = 1400, .src = 2, .to = 2 },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "to somebody else than who sent the packet",
	  { V4, .number = USED, .mtu = 1400, .to = 2 },
	  PMTU_COUNT_ICMP_IGNORED_FORM,
	  1500,
	  0 },
	{ "TCP is quoted",
	  { V4, .number = USED, .mtu = 1400, .proto = 6 },
	  PMTU_COUNT_ICMP_IGNORED_FORM,
	  1500,
	  0 },
	{ "a later fragment is quoted",
	  { V4, .number = USED, .mtu = 1400, .later = true },
	  PMTU_COUNT_ICMP_IGNORED_FORM,
	  1500,
	  0 },
	{ "seven octets are too few",
	  { V4, .number = USED, .mtu = 1400, .octets = 7 },
	  PMTU_COUNT_ICMP_IGNORED_FORM,
	  1500,
	  0 },
	{ "host unreachable is none",
	  { V4, .number = USED, .mtu = 1400, .code = 1 },
	  PMTU_COUNT_ICMP_IGNORED_FORM,
	  1500,
	  0 },
	{ "as large as what is in use",
	  { V4, .number = USED, .mtu = 1500 },
	  PMTU_COUNT_ICMP_IGNORED_LARGER,
	  1500,
	  0 },
	{ "larger", { V4, .number = USED, .mtu = 9000 }, PMTU_COUNT_ICMP_IGNORED_LARGER, 1500, 0 },
	{ "the floor", { V4, .number = USED, .mtu = 1280 }, PMTU_COUNT_ICMP_OBEYED, 1280, 0 },
	{ "below the floor",
	  { V4, .number = USED, .mtu = 1279 },
	  PMTU_COUNT_ICMP_IGNORED_FLOOR,
	  1500,
	  0 },
	{ "68", { V4, .number = USED, .mtu = 68 }, PMTU_COUNT_ICMP_IGNORED_FLOOR, 1500, 0 },
	{ "67", { LOW, .number = USED, .mtu = 67 }, PMTU_COUNT_ICMP_IGNORED_FLOOR, 1500, 0 },
	{ "576, where that is the floor",
	  { LOW, .number = USED, .mtu = 576 },
	  PMTU_COUNT_ICMP_OBEYED,
	  576,
	  0 },
	{ "575", { LOW, .number = USED, .mtu = 575 }, PMTU_COUNT_ICMP_IGNORED_FLOOR, 1500, 0 },
	{ "a router that does not say: the next plateau",
	  { V4, .number = USED },
	  PMTU_COUNT_ICMP_OBEYED,
	  1492,
	  0 },
	{ "likewise, of a packet that was smaller",
	  { V4, .number = USED, .quoted = 1492 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1280,
	  0 },
	{ "likewise, of one that was too small for that",
	  { V4, .number = USED, .quoted = 1280 },
	  PMTU_COUNT_ICMP_IGNORED_FLOOR,
	  1500,
	  0 },
	{ "likewise, of one that is none",
	  { V4, .number = USED, .quoted = 40 },
	  PMTU_COUNT_ICMP_IGNORED_FLOOR,
	  1500,
	  0 },
	{ "it believes no ICMP",
	  { OFF, .number = USED, .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_OFF,
	  1500,
	  0 },
	{ "IPv6", { V6, .number = USED, .mtu = 1400 }, PMTU_COUNT_ICMP_OBEYED, 1400, 0 },
	{ "IPv6: 1280 is the floor, whatever the file says",
	  { V6, .number = USED, .mtu = 1279 },
	  PMTU_COUNT_ICMP_IGNORED_FLOOR,
	  1500,
	  0 },
	{ "IPv6: 0 is nothing", { V6, .number = USED }, PMTU_COUNT_ICMP_IGNORED_FLOOR, 1500, 0 },
	{ "IPv6: 32 bits of it",
	  { V6, .number = USED, .mtu = 0x10000 + 1400 },
	  PMTU_COUNT_ICMP_IGNORED_LARGER,
	  1500,
	  0 },
	{ "in UDP, with SPI and number",
	  { UDP, .number = USED, .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  0 },
	{ "in UDP, another port",
	  { UDP, .number = USED, .mtu = 1400, .port = 4500 },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "in UDP, the ports alone prove nothing",
	  { UDP, .number = USED, .mtu = 1400, .octets = 8 },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "in UDP, ports and SPI without the number",
	  { UDP, .number = USED, .mtu = 1400, .octets = 12 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "not in UDP, of an SA that is",
	  { UDP, .number = USED, .mtu = 1400, .raw = true },
	  PMTU_COUNT_ICMP_IGNORED_SPI,
	  1500,
	  0 },
	{ "subspaces: id and number",
	  { SUBSPACES, .number = LANE(3, USED), .mtu = 1400 },
	  PMTU_COUNT_ICMP_OBEYED,
	  1400,
	  0 },
	{ "subspaces: a number that another lane has sent",
	  { SUBSPACES, .number = LANE(3, USED + 1), .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "subspaces: an id that is not there",
	  { SUBSPACES, .number = LANE(LANES, USED), .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "subspaces: the upper half of the number counts",
	  { SUBSPACES, .number = LANE(1, (UINT64_C(1) << 40) + USED), .mtu = 1400 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
	{ "subspaces: cut before the number's end",
	  { SUBSPACES, .number = LANE(3, USED), .mtu = 1400, .octets = 8 },
	  PMTU_COUNT_ICMP_IGNORED_NUMBER,
	  1500,
	  0 },
};

static void
reports_are_judged(void **state)
{
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct bed *b;
		enum pmtu_count what;
		uint32_t sa;

		setup((void **)&b);
		sa_add(b, cases[i].message.flavour, 8, 0x1008);
		sa = sa_add(b, cases[i].message.flavour, 9, 0x1009);
		if (cases[i].used != 0)
			lane_init(sa_at(&b->sas, sa)->lane,
				  cases[i].used == UINT64_MAX ? 0 : cases[i].used, UINT64_MAX);
		what = take(b, &cases[i].message);
		if (what != cases[i].verdict)
			fail_msg("%s: %s", cases[i].what, pmtu_count_names[what].name);
		if (pmtu_outer(b->pmtu, sa, 1500) != cases[i].mtu)
			fail_msg("%s: %u", cases[i].what, pmtu_outer(b->pmtu, sa, 1500));
		assert_int_equal(pmtu_counted(b->pmtu, what), 1);
		assert_int_equal(b->told, cases[i].mtu != 1500);
		teardown((void **)&b);
	}
}

/* What is AH's is quoted with its SPI behind four octets; the two protocols' SPIs are not one's. */
static void
ah_is_quoted_likewise(void **state)
{
	const struct message m = { V4, .number = USED, .mtu = 1400, .proto = IPPROTO_AH };
	struct bed *b = *state;
	uint32_t sa = sa_add(b, V4, 9, 0x1009);
	uint8_t octets[256];
	size_t len = message_make(&m, octets);

	memmove(octets + 52, octets + 48, 8);
	memset(octets + 48, 4, 4);
	sum_put(octets, len, false);
	assert_int_equal(pmtu_icmp(b->pmtu, octets, (uint32_t)len, b->now),
			 PMTU_COUNT_ICMP_IGNORED_SPI);
	sa_at(&b->sas, sa)->flags |= SA_AH;
	assert_int_equal(take(b, &(struct message) { V4, .number = USED, .mtu = 1400 }),
			 PMTU_COUNT_ICMP_IGNORED_SPI);
	assert_int_equal(pmtu_icmp(b->pmtu, octets, (uint32_t)len, b->now), PMTU_COUNT_ICMP_OBEYED);
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1400);
}

static void
no_cut_or_bent_message_counts(void **state)
{
	const struct message m = { V4, .number = USED, .mtu = 1400 };
	struct bed *b = *state;
	uint32_t sa = sa_add(b, V4, 9, 0x1009);
	uint8_t octets[256];
	size_t len = message_make(&m, octets);

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		memcpy(exact, octets, cut);
		assert_int_equal(pmtu_icmp(b->pmtu, exact, (uint32_t)cut, b->now),
				 PMTU_COUNT_ICMP_IGNORED_FORM);
		free(exact);
	}
	/* From the ICMP header on a checksum covers each octet. */
	for (size_t at = 20; at < len; at++) {
		octets[at] ^= 0x10;
		assert_int_equal(pmtu_icmp(b->pmtu, octets, (uint32_t)len, b->now),
				 PMTU_COUNT_ICMP_IGNORED_FORM);
		octets[at] ^= 0x10;
	}
	assert_int_equal(pmtu_outer(b->pmtu, sa, 1500), 1500);
	assert_int_equal(pmtu_icmp(b->pmtu, octets, (uint32_t)len, b->now), PMTU_COUNT_ICMP_OBEYED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reports_are_judged),
		cmocka_unit_test_setup_teardown(ah_is_quoted_likewise, setup, teardown),
		cmocka_unit_test_setup_teardown(no_cut_or_bent_message_counts, setup, teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
