/* A connection to the gateway, and what is asked and answered over it (ipc/proto.h). */
#ifndef ESPCTL_ASK_H
#define ESPCTL_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

struct answer {
	uint16_t kind; /* NLMSG_ERROR, or enum ipc_type */
	int32_t status;
	char sentence[1024];
	const uint8_t *octets; /* IPC_TEXT, IPC_PIDS: what is told */
	size_t n;
	uint8_t buf[IPC_DATAGRAM_MAX];
};

/* A connected socket, or -1 and, if aloud, a line on standard error. */
int gateway_call(const char *path, bool aloud);
void gateway_leave(int fd);

/* False: the gateway is gone; a line says so. */
bool command_ask(int fd, bool json, const char *line);
/* From now on the first SIGINT asks the gateway to end the command; the second ends us. */
void stop_on_interrupt(int fd);
bool pids_ask(int fd);
/* Waits for the next message. False: none came; a line says why. */
bool answer_read(int fd, struct answer *a);

#endif
