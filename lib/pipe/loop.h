/* A worker's life. */
#ifndef PIPE_LOOP_H
#define PIPE_LOOP_H

struct worker;

/* An lcore's function: runs until w->stop is set. arg: struct worker *. Returns 0. */
int worker_main(void *arg);

/* Control, after every worker has returned: sends on what waits between them. Again while any gives
 * nonzero. */
int worker_drain(struct worker *w);

#endif
