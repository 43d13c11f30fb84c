/* Captures that net_pcap ports are to read: what DPDK says of a bad one names neither line nor
 * remedy, and of one that is not of Ethernet it says nothing. */
#ifndef APP_CAPTURE_H
#define APP_CAPTURE_H

#include "conf/conf.h"
#include "conf/errors.h"

/* Complains of each capture that cannot be read or holds no Ethernet frames. Only plain files are
 * looked into, and only their headers. */
void captures_check(const struct conf *c, struct conf_errors *errors);

#endif
