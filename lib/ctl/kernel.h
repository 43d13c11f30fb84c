/* The kernel at the ports: what it knows of the mirrors' interfaces becomes the gateway's. */
#ifndef CTL_KERNEL_H
#define CTL_KERNEL_H

#include <stdio.h>

#include "ctl/gw.h"

struct json;
struct link;

/* A part: see gw.c. Behind the mirrors and routes; puts the addresses of the file on the taps. */
int kernel_init(struct gw *gw, struct err *err);
void kernel_fini(struct gw *gw);

/* At every tick: takes over what changed. */
void kernel_tick(struct gw *gw, uint64_t now);

/* The addresses that the file gives a port from now on, in link: they are put on its tap, and those
 * that the kernel has beside them are added to it. What the kernel does not take is an error that
 * harms nothing else.
 */
int kernel_addresses(struct gw *gw, struct link *link, struct err *err);

/* "show route": one line about what is followed, or a member of an open JSON object; nothing where
 * nothing is. */
void kernel_print(const struct gw *gw, FILE *f);
void kernel_json(const struct gw *gw, struct json *j);

#endif
