/* What goes over the control socket beside XFRM messages: for the gateway, espctl and the preload
 * library.
 *
 * AF_UNIX, SOCK_SEQPACKET. A datagram holds one or several netlink messages (struct nlmsghdr, host
 * order, each padded to 4 octets). Types from 0x400 on are ours:
 *
 *	hello     who is calling; answered by NLMSG_ERROR, 0 when taken. May come again, with other
 *		  groups. Requests before it are served too.
 *	command   struct ipc_command and a line of the prompt's: answered by any number of IPC_TEXT,
 *		  then IPC_END with struct ipc_end and, where it failed, the sentence why.
 *	stop      the command that runs is to say what it has, and end; not answered by itself.
 *	pids      answered by IPC_PIDS with the ids (u32) of the processes whose hello said that
 *they are daemons.
 *
 * Who may not is answered by NLMSG_ERROR with EPERM and a sentence, and the connection is closed.
 * NLMSG_OVERRUN says that events were lost: the reader was too slow.
 */
#ifndef IPC_PROTO_H
#define IPC_PROTO_H

#include <stdint.h>

#define IPC_PATH	 "/run/espgw/control.sock"
#define IPC_VERSION	 1
#define IPC_DATAGRAM_MAX 65536
#define IPC_PROGRAM_SIZE 32

enum ipc_type {
	IPC_HELLO = 0x0400,
	IPC_COMMAND,
	IPC_TEXT,
	IPC_END,
	IPC_PIDS,
	IPC_STOP,
};

enum ipc_role {
	IPC_SCRIPT,
	IPC_DAEMON, /* wants to hear of what it has to negotiate */
};

struct ipc_hello {
	uint32_t version;  /* IPC_VERSION */
	uint32_t nl_pid;   /* what replies are to carry as nlmsg_pid */
	uint32_t groups;   /* bit n - 1: group n of XFRM */
	uint32_t role;	   /* enum ipc_role */
	uint64_t instance; /* random, of a process: what was installed under it stays its own when
			      it calls again. 0: none */
			   /* The program's name follows; its end is the message's or a 0. */
};

#define IPC_JSON 1u

struct ipc_command {
	uint32_t flags; /* IPC_JSON */
			/* The line follows; its end is the message's or a 0. */
};

struct ipc_end {
	int32_t status; /* 0 or a negative errno */
			/* A sentence follows where it is not 0. */
};

#endif
