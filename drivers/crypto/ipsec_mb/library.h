/* The library as one worker uses it.
 *
 * Each call of intel-ipsec-mb 1.3 writes its error number, 0, to a variable of the process: one
 * cache line that every worker wants for every packet, and that goes from core to core. Workers
 * with nothing else in common lose up to a third of their speed by it, the more the farther apart
 * their cores are. So each worker but the first has a copy of the library, with data of its own;
 * a copy takes as much memory as the library's file (13 MB).
 */
#ifndef IPSEC_MB_LIBRARY_H
#define IPSEC_MB_LIBRARY_H

#include <intel-ipsec-mb.h>

/* What makes a manager; all else is called by the manager's own pointers. */
struct library {
	IMB_MGR *(*set_pointers)(void *memory, uint64_t flags, unsigned int reset);
	void (*init_auto)(IMB_MGR *mgr, IMB_ARCH *arch);
	void (*init_avx2)(IMB_MGR *mgr);
	int (*errno_of)(IMB_MGR *mgr);
	/* The copy; NULL and -1: the library that all who have no copy share. */
	void *handle;
	int fd;
};

/* The shared one if nobody has it yet, else a copy; where none can be had, the shared one again.
 * Control only. */
void library_open(struct library *l);
void library_close(struct library *l);

#endif
