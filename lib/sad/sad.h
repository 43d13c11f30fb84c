/* Inbound SAs by SPI: one direct table, slot = low bits of the SPI, and a hash for those whose slot
 * is taken.
 *
 * A hit is one only when SPI, protocol and local address agree (RFC 4301 section 4.1: by SPI alone
 * would do for unicast, but a gateway has several addresses, and an SPI known at one is unknown at
 * the others). Control adds and removes while workers look up: entries are single 32-bit stores,
 * and an SA is destroyed only a grace period after its removal.
 */
#ifndef SAD_SAD_H
#define SAD_SAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sa/sa.h"

struct rte_rcu_qsbr;
struct sad;

/* qsbr tells when removed entries may be used again; NULL: at once, for a test without workers. */
int sad_create(const struct sa_table *sas, uint32_t max_sas, int socket, struct rte_rcu_qsbr *qsbr,
	       struct sad **out, struct err *err);
void sad_free(struct sad *sad);

/* Publishes an inbound SA. -EEXIST: another SA has this SPI at this address, unless it is
 * `replaces` (SA_NONE = none), which then is unpublished in the same step. -ENOSPC, -ENOMEM.
 */
int sad_add(struct sad *sad, uint32_t index, uint32_t replaces, struct err *err);
/* The inbound SA of an SPI (host order), of AH or ESP, at one of our addresses, or SA_NONE. Control
 * only. */
uint32_t sad_find(const struct sad *sad, uint32_t spi, bool ah, const struct addr *local);
void sad_del(struct sad *sad, uint32_t index);

/* Keeps the slot of an SPI (host order) for the SA that will have it, if it is free: other SAs go
 * elsewhere until sad_slot_give(), which comes right before that SA's sad_add().
 */
bool sad_slot_take(struct sad *sad, uint32_t spi);
void sad_slot_give(struct sad *sad, uint32_t spi);

#endif
