/* Netlink messages that the socket itself makes. Inside lib/ipc only. */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#define MESSAGE_ERROR_SIZE 640 /* enough for a sentence of struct err */

/* The answer to a request (its header), error being 0 or a negative errno, sentence NULL or what is
 * wrong. Returns its length.
 */
size_t message_error(uint8_t buf[MESSAGE_ERROR_SIZE], const struct nlmsghdr *request, uint32_t pid,
		     int error, const char *sentence);

/* A header of that type around n octets that follow, in answer to a request. */
struct nlmsghdr message_header(uint16_t type, uint16_t flags, size_t n,
			       const struct nlmsghdr *request, uint32_t pid);

#endif
