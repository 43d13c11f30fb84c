/* Keys at rest: what keeps them from files, core dumps and debuggers. */
#ifndef APP_SECURE_H
#define APP_SECURE_H

/* No core dumps, not traceable. */
void secure_process(void);

/* DPDK's arguments with what keeps its memory out of files: --in-memory, or --no-shconf where there
 * are no hugepages. Returns an array that stays for the process's life; *argc is its new length.
 * NULL: no memory.
 */
char **secure_arguments(int *argc, char **argv);

#endif
