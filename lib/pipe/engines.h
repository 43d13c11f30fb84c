/* The way back from asynchronous engines: crypto devices beside the CPU, which take packets at
 * crypto_encrypt and crypto_decrypt (esp/engines.h).
 *
 * What a device has names its SA by index and generation, and is looked up again when it is back;
 * then it goes on behind the stage at which it was taken (pkt.resume). Nothing is lost for want of
 * room that a port could have kept: a worker whose device has little room left reads no port and
 * takes nothing from other workers (PAUSED_ENGINE). It does not empty the device, either, while the
 * ring to another worker has no room for what it deciphers; unless the device is short of room
 * itself, so that nobody waits in a circle.
 */
#ifndef PIPE_ENGINES_H
#define PIPE_ENGINES_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/stage.h"

struct worker;

/* Adds the source engine_poll, behind the ports; nothing where all engines are of another kind.
 * Before the worker runs. */
void engines_sources_add(struct worker *w);

/* Mask of the rows that the engines of this worker have no use for, for pipe_build(). */
uint64_t engines_absent(const struct worker *w);

/* Takes what devices have done, and runs it from where it is to go on. Gives nothing itself. Drops
 * no_sa, no_outbound_sa, crypto_lost, and inbound crypto_fail.
 */
source_fn engine_poll;

/* Packets inside devices. Any thread. */
uint32_t engines_held(const struct worker *w);
/* Packets that came back until now: the owner's count. */
uint64_t engines_through(const struct worker *w);

/* The owner: when all that is inside at engines_turn() is back, engines_turned() says so. It is
 * asked until it does before the next engines_turn(). */
void engines_turn(struct worker *w);
bool engines_turned(const struct worker *w);

/* Control, after the worker has returned: waits for a device with packets inside. False: nothing
 * is inside, or none of it has come for so long that the device is to be given up.
 */
bool engines_wait(struct worker *w);
/* Control, after the devices were closed: what they still had is dropped as `stopped`. */
void engines_drop(struct worker *w);

#endif
