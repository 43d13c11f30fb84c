/* Outbound packets of SAs with SA_INLINE: what their port's device does of them (port/offload.h).
 *
 * With OFFLOAD_CRYPTO the device runs the cipher, and a packet goes to it with headers and trailer
 * written. With OFFLOAD_PROTOCOL it makes all of ESP, and a packet goes down ESP's line as it is.
 * Both are marked in esp_encap: the stages behind it have nothing left to do (ENGINES_DONE). What
 * no device takes is software's.
 */
#ifndef ESP_MARK_H
#define ESP_MARK_H

#include <stdint.h>

#include "port/offload.h"

struct crypto_op;

/* Who does an SA's packets, found for the first of several. */
struct mark {
	const struct offload_entry *entry;
	struct offload_session *session; /* NULL: software does them */
	uint8_t kind, serial;		 /* enum offload_kind; the entry's */
};

/* Of the SA that the packet is of. */
void mark_find(const struct worker *w, const struct pkt *p, struct mark *mark);

/* How many of n > 0 packets of that SA, from the first on, the device may have: they leave by its
 * port, whole, and as it makes them. */
uint16_t mark_alike(const struct worker *w, const struct mark *mark, struct rte_mbuf *const *pkts,
		    uint16_t n);

/* Marks such packets, and says of their operations that they are done. Returns how many: a prefix;
 * what the device did not take is as it was.
 */
uint16_t mark_all(const struct worker *w, const struct mark *mark, struct rte_mbuf *const *pkts,
		  struct crypto_op *ops, uint16_t n);

#endif
