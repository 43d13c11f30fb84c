/* espctl wait-client: whether a daemon's library found the gateway. */
#ifndef ESPCTL_WAIT_H
#define ESPCTL_WAIT_H

#include <stdbool.h>
#include <sys/types.h>

/* Waits until that process, or a child of it, has called the gateway as a daemon. False: it did not
 * within so many seconds, or has ended; a line on standard error says which.
 */
bool client_wait(const char *path, pid_t pid, long seconds);

#endif
