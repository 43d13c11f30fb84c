#include "ipc/access.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>

#define GROUPS_MAX 65536 /* NGROUPS_MAX of the kernel */

struct groups {
	gid_t *list;
	size_t n;
};

static bool
group_find(const char *name, gid_t *gid)
{
	const struct group *group = name[0] != 0 ? getgrnam(name) : NULL;

	if (group != NULL)
		*gid = group->gr_gid;
	return group != NULL;
}

void
access_init(struct access *a, const char *reader)
{
	*a = (struct access) { .has_reader = false };
	a->has_reader = group_find(reader, &a->reader);
	a->has_admin = group_find(ACCESS_ADMIN_GROUP, &a->admin);
}

static void
look(const struct access *a, const gid_t *groups, size_t n, enum access_level *level)
{
	for (size_t i = 0; i < n; i++) {
		if (a->has_admin && groups[i] == a->admin)
			*level = ACCESS_CHANGE;
		else if (a->has_reader && groups[i] == a->reader && *level == ACCESS_NONE)
			*level = ACCESS_READ;
	}
}

/* The supplementary groups of the process that called. */
static void
process_look(const struct access *a, int fd, gid_t *groups, enum access_level *level)
{
	socklen_t size = GROUPS_MAX * sizeof(gid_t);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
		look(a, groups, size / sizeof(gid_t), level);
}

/* Those that the databases give the user: a daemon may have been started without them. */
static void
user_look(const struct access *a, const struct ucred *cred, gid_t *groups, enum access_level *level)
{
	const struct passwd *user = getpwuid(cred->uid);
	int n = GROUPS_MAX;

	if (user != NULL && getgrouplist(user->pw_name, user->pw_gid, groups, &n) >= 0)
		look(a, groups, n, level);
}

enum access_level
access_of(const struct access *a, int fd, uid_t *uid, pid_t *pid)
{
	enum access_level level = ACCESS_NONE;
	struct ucred cred;
	socklen_t size = sizeof(cred);
	gid_t *groups;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return ACCESS_NONE;
	*uid = cred.uid;
	*pid = cred.pid;
	if (cred.uid == 0)
		return ACCESS_CHANGE;
	look(a, &cred.gid, 1, &level);
	groups = malloc(GROUPS_MAX * sizeof(*groups));
	if (groups == NULL)
		return level;
	process_look(a, fd, groups, &level);
	if (level != ACCESS_CHANGE)
		user_look(a, &cred, groups, &level);
	free(groups);
	return level;
}
