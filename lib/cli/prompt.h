/* Commands from a terminal, with line editing, history and completion, or one a line from a pipe or
 * file.
 *
 * Never blocks: reads what is there, and what a slow reader does not take waits here; until it is
 * taken no further command is run. A terminal's settings are put back by prompt_free(). Control's
 * thread only.
 */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include <stdbool.h>

#include "cli/cli.h"

struct prompt;

/* in is watched by epoll, which is borrowed as long as the prompt lives; so are cli, in and out.
 * -ENOMEM.
 */
int prompt_create(struct cli *cli, int epoll, int in, int out, struct prompt **prompt,
		  struct err *err);
/* Writes what waits, for at most a second. NULL is fine. */
void prompt_free(struct prompt *p);

/* To be called whenever epoll says so, and now and then. Returns false when the input has ended:
 * the gateway goes on.
 */
bool prompt_poll(struct prompt *p);

#endif
