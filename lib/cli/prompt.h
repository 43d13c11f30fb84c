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

struct poller;
struct prompt;

/* All it does from then on is done when the poller calls it. cli, poller, in and out are borrowed
 * as long as the prompt lives. -ENOMEM.
 */
int prompt_create(struct cli *cli, struct poller *poller, int in, int out, struct prompt **prompt,
		  struct err *err);
/* Writes what waits, for at most a second. NULL is fine. */
void prompt_free(struct prompt *p);

/* Now and then: goes on with a command that takes time. NULL is fine. */
void prompt_tick(struct prompt *p);

/* Whether the input has ended: the prompt is to be freed, and the gateway goes on. */
bool prompt_ended(const struct prompt *p);

#endif
