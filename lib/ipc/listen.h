/* The socket in the file system: made for who may use it, instead of one that a dead gateway left,
 * and gone when its gateway is.
 */
#ifndef IPC_LISTEN_H
#define IPC_LISTEN_H

#include <sys/stat.h>

#include "base/err.h"
#include "ipc/access.h"

struct listener {
	int fd;
	char path[108];	  /* as long as an address of AF_UNIX may be */
	struct stat made; /* what the path named when it was ours */
};

/* Listens, without blocking, at path. Its directory is made if it is not there, 0750. -EADDRINUSE:
 * a gateway answers there; -EEXIST: what is there is no socket; -EINVAL: the path is too long; or
 * what else the system says. The sentence names the path.
 */
int listener_open(struct listener *l, const char *path, const struct access *access,
		  struct err *err);
/* Takes the socket away, if it is still ours. Also for one that is all zero. */
void listener_close(struct listener *l);

/* Gives socket and, if it is the gateway's own, directory to the groups. */
void listener_share(struct listener *l, const struct access *access);

#endif
