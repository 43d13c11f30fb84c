/* Prints espgw.yaml(5): build/man/mkman > man/espgw.yaml.5 after a change of lib/conf/schema.c. */
#include <stdio.h>

#include "conf/conf.h"

int
main(void)
{
	conf_man(stdout);
	return ferror(stdout) != 0;
}
