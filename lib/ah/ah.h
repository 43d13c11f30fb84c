/* The Authentication Header (RFC 4302): its part of a worker, and what of a packet the ICV is made
 * over.
 *
 * The ICV covers the whole packet, so it is made where the packet lies: what may change on the way
 * is put aside and written over with zeros, or with what the receiver will find there; the engine
 * runs; then it is put back. The engines know nothing of this: to them the first 8 octets of the
 * packet are what stands before the text (crypto/engine.h).
 */
#ifndef AH_AH_H
#define AH_AH_H

#include <stdbool.h>
#include <stdint.h>

#include "alg/alg.h"
#include "base/err.h"
#include "worker/stage.h"

struct crypto_op;
struct rte_mbuf;

#define AH_HEADER  12  /* octets before the ICV */
#define AH_GMAC_IV 8   /* the first octets of the ICV field are the IV (RFC 4543 section 4) */
#define AH_BEFORE  320 /* octets of headers before AH, at most */
#define AH_ICV_MAX (AH_GMAC_IV + ALG_ICV_MAX)

/* GMAC's, the first octets of the ICV field. */
static inline uint8_t
ah_iv_len(const struct suite *s)
{
	return s->aead ? AH_GMAC_IV : 0;
}

/* Owner only. What is put aside of a burst's packets between ah_encap and ah_seal, or ah_check and
 * ah_accept; [i] belongs to packet i.
 */
struct ah_worker {
	uint8_t before[BURST_MAX][AH_BEFORE];
	uint8_t icv[BURST_MAX][AH_ICV_MAX];
};

int ah_worker_init(int socket, struct ah_worker **out, struct err *err);
void ah_worker_fini(struct ah_worker *ah);

/* Makes the headers of a packet, len octets of them up to AH, what they are for the ICV (RFC 4302
 * section 3.3.3.1 and appendix A), in place: fields and options that change on the way are zeros, a
 * source route is as its last host sees it. The lengths of the headers themselves were checked
 * before (wire/ip.h); those of options are not. Any octets will do; none behind len is touched.
 *
 * False: options that do not fit their header, or a routing header whose end cannot be foreseen.
 */
bool ah_mute(uint8_t *ip, bool v6, uint16_t len);

/* Tells the engine all of packet i of a burst, whose headers are muted: its number and SA are in
 * pkt_of(m), its IV, of 8 octets where there is one, at ah->icv[i], and its tag is, or will be,
 * behind that.
 */
void ah_op_fill(struct ah_worker *ah, struct rte_mbuf *m, uint16_t i, struct crypto_op *op);

#endif
