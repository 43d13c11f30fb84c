/* What is known of the paths of SAs. Inside lib/cli only. */
#ifndef CLI_SHOW_PATH_H
#define CLI_SHOW_PATH_H

#include "cli/form.h"
#include "ctl/gw.h"

/* Of one SA: out, its path's MTU, where that is from, for how long; in, what came in fragments. */
void path_show(struct form *f, const struct gw *gw, uint32_t sa);

#endif
