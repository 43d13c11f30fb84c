/* Addresses, prefixes and ranges as text. Inside lib/conf, but for net_text(). */
#ifndef CONF_NET_H
#define CONF_NET_H

#include "conf/conf.h"

#define NET_TEXT_SIZE 96 /* two IPv6 addresses and a dash */

void net_text(const struct conf_net *n, char *buf, size_t size);
/* 0.0.0.0, ::, or a group. */
bool addr_no_host(const struct addr *a);
/* The prefix of one address. */
struct conf_net net_of_addr(const struct addr *a);
/* Appends; -ENOMEM. */
int nets_add(struct conf_nets *nets, const struct conf_net *n);
int nets_copy(struct conf_nets *to, const struct conf_nets *from);

#endif
