/* The socket served by lib/daemon. */
#ifndef IPC_XFRM_H
#define IPC_XFRM_H

#include "ipc/ipc.h"

struct daemons;
struct gw;

/* From now on the socket's clients may install SAs and policies. The daemons are to be freed when
 * the socket is gone. -ENOMEM.
 */
int ipc_serve_xfrm(struct ipc *ipc, struct gw *gw, struct daemons **daemons, struct err *err);

#endif
