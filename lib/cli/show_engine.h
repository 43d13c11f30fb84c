/* Which engine does an SA, where, and why not another. Inside lib/cli only. */
#ifndef CLI_SHOW_ENGINE_H
#define CLI_SHOW_ENGINE_H

#include <stdint.h>

struct form;
struct gw;

void engine_show(struct form *f, const struct gw *gw, uint32_t sa);

#endif
