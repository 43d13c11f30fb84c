/* Path MTU probes (ctl/paths.h) by ESP echo. */
#ifndef ECHO_PROBES_H
#define ECHO_PROBES_H

#include "base/err.h"

struct gw;

/* From now on the paths of SAs with pmtu.probe are probed; after echo_init(). Ends with the
 * gateway. -ENOMEM. */
int echo_probes_begin(struct gw *gw, struct err *err);

#endif
