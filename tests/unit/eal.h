/* An EAL for tests that need mbufs or rte_malloc: no hugepages, no devices, nothing left on disk.
 */
#ifndef TESTS_EAL_H
#define TESTS_EAL_H

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <stdio.h>

/* Call once, first thing in main(). Returns 0 or -1 with a line on stderr. */
static inline int
test_eal_init(void)
{
	static char args[][32] = {
		"unit",		  "--no-huge",	   "-m", "64", "--no-shconf", "--no-pci",
		"--no-telemetry", "--log-level=5", "-l", "0"
	};
	char *argv[RTE_DIM(args) + 1] = { NULL };

	for (size_t i = 0; i < RTE_DIM(args); i++)
		argv[i] = args[i];
	if (rte_eal_init(RTE_DIM(args), argv) < 0) {
		fprintf(stderr, "EAL does not start: %s\n", rte_strerror(rte_errno));
		return -1;
	}
	return 0;
}

#endif
