#include "ah/ah.h"

#include <errno.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_malloc.h>

#include "crypto/engine.h"
#include "sa/sa.h"
#include "worker/pkt.h"

int
ah_worker_init(int socket, struct ah_worker **out, struct err *err)
{
	*out = rte_zmalloc_socket("ah", sizeof(**out), RTE_CACHE_LINE_SIZE, socket);
	return *out != NULL ? 0 : err_set(err, -ENOMEM, "no memory for AH on socket %d", socket);
}

void
ah_worker_fini(struct ah_worker *ah)
{
	rte_free(ah);
}

void
ah_op_fill(struct ah_worker *ah, struct rte_mbuf *m, uint16_t i, struct crypto_op *op)
{
	const struct pkt *p = pkt_of(m);
	const struct sa *sa = p->hot;
	uint64_t seq_be = rte_cpu_to_be_64(p->seq);

	memcpy(op->nonce, sa->salt, 4);
	memcpy(op->nonce + 4, ah->icv[i], AH_GMAC_IV);
	memcpy(op->aad, &sa->spi_be, 4);
	memcpy(op->aad + 4, &seq_be, 8);
	op->session = sa_session(sa);
	op->engine = sa->engine;
	op->tag = ah->icv[i] + ah_iv_len(&sa->suite);
	op->text_len = m->pkt_len - CRYPTO_BEFORE;
	if (m->nb_segs == 1) {
		op->chain = NULL;
		op->text = rte_pktmbuf_mtod(m, uint8_t *) + CRYPTO_BEFORE;
	} else {
		op->chain = m;
		op->text_off = CRYPTO_BEFORE;
	}
}
