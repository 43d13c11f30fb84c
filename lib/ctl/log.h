/* Lines for the operator: to standard error and syslog, by DPDK's log. Control only, never with a
 * key in them. */
#ifndef CTL_LOG_H
#define CTL_LOG_H

#include <rte_log.h>

extern int gw_logtype;

#define GW_LOG(level, ...) rte_log(RTE_LOG_##level, gw_logtype, "espgw: " __VA_ARGS__)

#endif
