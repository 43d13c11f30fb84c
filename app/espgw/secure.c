#include "secure.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void
secure_process(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

static bool
has(int argc, char **argv, const char *what)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], what) == 0)
			return true;
	return false;
}

char **
secure_arguments(int *argc, char **argv)
{
	static char in_memory[] = "--in-memory", no_shconf[] = "--no-shconf";
	char *more = has(*argc, argv, "--no-huge") ? no_shconf : in_memory;
	char **all = calloc(*argc + 2, sizeof(all[0]));

	if (all == NULL)
		return NULL;
	memcpy(all, argv, *argc * sizeof(all[0]));
	if (!has(*argc, argv, more))
		all[(*argc)++] = more;
	return all;
}
