/* Who may use the control socket: by the credentials that the kernel noted when a client called.
 *
 * Root and the members of gateway.socket_group may read, root and the members of espgw-admin may
 * change. A member is whose process has the group, or whom the group's list names.
 */
#ifndef IPC_ACCESS_H
#define IPC_ACCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define ACCESS_ADMIN_GROUP "espgw-admin"

enum access_level {
	ACCESS_NONE,
	ACCESS_READ,
	ACCESS_CHANGE,
};

struct access {
	bool has_reader, has_admin; /* there is such a group here */
	gid_t reader, admin;
};

/* reader: the group's name; "" is none. Asks the machine's databases, as access_of does for any but
 * root. */
void access_init(struct access *a, const char *reader);

/* Of the other end of a connected socket. */
enum access_level access_of(const struct access *a, int fd, uid_t *uid, pid_t *pid);

#endif
