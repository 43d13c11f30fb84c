/* Any octets as what a routing socket received: the follower reads none behind them, and what it
 * has told lib/route it can take back.
 */
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_eal.h>

#include "mirror/follow.h"
#include "route/route.h"
#include "worker/mailbox.h"

#define MS UINT64_C(1000000)

const char *__asan_default_options(void);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct route *route;

/* Routes keep memory for later, and keep it by way of memory of EAL's, where nobody looks. */
const char *
__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
addresses(void *ctx, uint8_t port, const struct link_address *list, uint8_t n)
{
	must(n <= LINK_ADDRESSES_MAX);
	for (uint8_t i = 0; i < n; i++)
		must(list[i].len <= addr_bits(&list[i].addr));
}

static void
warn(void *ctx, const char *sentence)
{
	must(strlen(sentence) > 0);
}

/* Ends every dump at once, so that what is swept is swept. */
static int
ended(void *ctx, const void *message, size_t size)
{
	const struct nlmsghdr *nlh = message;
	struct nlmsghdr *done = ctx;

	if ((nlh->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		done->nlmsg_seq = nlh->nlmsg_seq;
	return 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char args[][32] = { "netlink_fuzz", "--no-huge",      "-m",	      "128", "--no-shconf",
			    "--no-pci",	    "--no-telemetry", "--log-level=1" };
	char *eal[RTE_DIM(args)];
	struct link link = { .mtu = 1500 };
	const struct route_params params = { .max_v4 = 64, .max_v6 = 64, .socket = SOCKET_ID_ANY };

	for (size_t i = 0; i < RTE_DIM(args); i++)
		eal[i] = args[i];
	must(rte_eal_init(RTE_DIM(args), eal) >= 0);
	must(route_create(&params, &route, NULL) == 0);
	for (link.index = 0; link.index < 2; link.index++)
		must(route_link_set(route, &link, NULL) == 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct nlmsghdr done = { .nlmsg_len = sizeof(done), .nlmsg_type = NLMSG_DONE };
	struct follow_params params = {
		.route = route, .ctx = &done, .addresses = addresses, .warn = warn, .send = ended
	};
	struct addr nowhere = { .family = 4, .octets = { 10, 9, 8, 7 } };
	uint8_t *exact = malloc(size + 1);
	struct follow *f;

	must(exact != NULL);
	memcpy(exact, octets, size);
	must(follow_create(&params, &f, NULL) == 0);
	follow_port_set(f, 0, 11);
	follow_port_set(f, 1, 12);
	for (uint64_t turn = 1; turn < 8; turn++) {
		follow_feed(f, exact, size);
		follow_tick(f, turn * 1000 * MS);
		follow_feed(f, &done, sizeof(done));
	}
	follow_free(f);
	free(exact);
	must(route_of(route, &nowhere) == NEXT_HOP_NONE);
	return 0;
}
