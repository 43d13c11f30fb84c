/* What a crypto engine is. drivers/crypto/ fills this in; lib/ knows nothing else of an engine.
 *
 * There are three kinds. A synchronous engine has done an operation when its call returns. An
 * asynchronous one (lookaside: a crypto device beside the CPU) takes the packet with it, and gives
 * it back later. Inline means that the port's device does it when the packet passes: there is no
 * call at all, and the border is port/offload.h.
 *
 * A session is the keying material of one direction of one SA in 128 octets: raw keys, no expanded
 * schedule (beyond the L2 a schedule costs more to fetch than to derive). Each worker's part of an
 * engine keeps a bounded cache of expanded keys, found by (session id, generation).
 *
 * An operation is one packet's text, in place. esp_encap and replay_check fill an array of them,
 * one pass ahead of the ciphers, so that wide loads do not meet narrow stores just made.
 */
#ifndef CRYPTO_ENGINE_H
#define CRYPTO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_common.h>
#include <rte_mbuf.h>

#include "alg/alg.h"
#include "base/err.h"

#define CRYPTO_BURST_MAX 64
#define CRYPTO_BEFORE \
	8 /* octets before IV and text that are authenticated with them: ESP's header */

struct session {
	/* Unique among all live sessions of the process, both directions; never UINT32_MAX. An
	 * index of a slab: the same id comes back with another generation.
	 */
	uint32_t id;
	uint32_t generation;
	struct suite suite;	  /* 8 octets */
	uint8_t key[ALG_KEY_MAX]; /* cipher key, without salt */
	uint8_t iv_key[16];	  /* CBC: AES-128 key that makes the IVs, derived */
	uint8_t auth_key[ALG_AUTH_KEY_MAX];
} __rte_cache_aligned;

/* The text is what is enciphered: payload, padding, pad length, next header. It is either at
 * `text`, in one piece, with the IV (suite.iv_len octets) and the ESP header (8 octets) right
 * before it; or, with chain set, it starts at offset text_off of that mbuf chain (IV and ESP header
 * before it in the chain, each maybe split) and runs over its segments.
 *
 * nonce: counter modes: salt followed by the 8-octet IV (CCM: 3 + 8). CBC, decrypt: the IV of the
 *        packet. CBC, encrypt: a block unique to the packet; the engine enciphers it under iv_key
 *        with AES-128, writes the result as the packet's IV and goes on from it.
 * aad:   SPI, [high half of the number with ESN,] low half: 8 or 12 octets, big-endian. Separate
 *        integrity authenticates ESP header, IV and text as they lie in the packet, then aad[4..7]
 *        if ESN. GMAC authenticates aad, the IV (nonce[4..11]), text.
 *        With GMAC and suite.iv_len 0, which is AH's, it is as with separate integrity: 8 octets
 *        before the text, text, aad[4..7] if ESN; the nonce is salt and IV as ever.
 * tag:   suite.icv_len octets in one piece; written by encrypt; compared, in constant time, by
 *        decrypt. It must not be inside the text. Right behind the text is fastest: with ESN and
 *        separate integrity any other place costs a copy.
 * text_len: never 0, whole blocks for CBC; what is not is refused or worth nothing.
 * ok:    written: true; false when the tag did not hold or the engine failed: the text is then
 *        undefined and the packet must not go on, in either direction.
 */
struct crypto_op {
	const struct session *session;
	union {
		uint8_t *text;
		size_t text_off;
	};
	uint8_t *tag;
	struct rte_mbuf *chain;
	uint8_t nonce[16];
	uint8_t aad[12];
	uint16_t text_len;
	bool ok;
	uint8_t engine; /* which of the worker's list (crypto.h); engines do not look at it */
};
_Static_assert(sizeof(struct crypto_op) == RTE_CACHE_LINE_SIZE, "one line an operation");

struct engine_worker;
struct json;

enum engine_kind {
	ENGINE_SYNC,
	ENGINE_ASYNC,
	ENGINE_INLINE,
};

/* How an asynchronous operation ended. */
enum engine_verdict {
	ENGINE_DONE,
	ENGINE_BAD_ICV, /* decrypt: the tag did not hold */
	ENGINE_FAILED,	/* the device refused it; the text is undefined */
	ENGINE_LOST,	/* the device stopped answering, and was stopped: likewise */
};

/* Why submit() did not take an operation. */
enum engine_refusal {
	ENGINE_TAKEN,
	ENGINE_FULL, /* no room: later */
	ENGINE_DOWN, /* its device does not answer, or lost the session: software is to do it */
};

struct engine_setup {
	uint16_t n_workers;
	uint32_t max_sessions;	    /* session ids are below */
	const char *const *devices; /* DPDK device arguments, to be plugged in if they are not
				       there; n_devices 0: all that DPDK has found */
	uint16_t n_devices;
};

/* What an asynchronous engine has beyond a synchronous one, instead of encrypt and decrypt. A
 * packet it took is its own, `held`, until collect() gives it back: operations of one worker, in
 * either direction, come back in the order in which they were submitted to their device, whatever
 * order the device has. It holds no pointer to an SA or a session of ours: what the device needs of
 * the session is copied by session_open.
 */
struct engine_async {
	/* Control, before the workers. -ENODEV: there is no device, and the engine is passed over;
	 * -EINVAL: a device of the list is none. */
	int (*open)(const struct engine_setup *setup, struct err *err);
	void (*close)(void); /* after the workers; wipes all sessions, stops the devices */
	/* Control: makes the session on a device that serves it, for every worker, before any
	 * worker names it; encrypt: for packets that go out. -ENOSPC: no device has room for one
	 * more; -ENOTSUP: none serves it. */
	int (*session_open)(const struct session *s, bool encrypt, struct err *err);
	/* Control: no worker will name it any more. It goes, keys wiped, as soon as nothing of it
	 * is in a device: the id may be opened again at once, with another generation. */
	void (*session_close)(uint32_t id);
	/* Control, at every tick: stops and restarts devices that answer no more, frees what may
	 * go. What it says is a line of the log, at most one a call; false: nothing happened. */
	bool (*tick)(uint64_t now, struct err *event);
	/* Any thread: for `show crypto`. */
	void (*print)(FILE *f);
	void (*json)(struct json *j);	       /* members of an open object */
	const char *(*device_of)(uint32_t id); /* control: the device that has the session; NULL */

	/* The worker: takes a prefix of n operations, ops[i] of pkts[i], in place in the packet;
	 * the rest of pkt is the caller's to have filled (pkt.resume). *why: of the first not
	 * taken. now: w->now. ops is free for other use on return. */
	uint16_t (*submit)(struct engine_worker *ew, const struct crypto_op *ops,
			   struct rte_mbuf *const *pkts, uint16_t n, bool encrypt, uint64_t now,
			   enum engine_refusal *why);
	/* The worker: at most max packets that are through. Also what makes the device work: call
	 * it once a loop. */
	uint16_t (*collect)(struct engine_worker *ew, struct rte_mbuf **pkts,
			    enum engine_verdict *verdicts, uint16_t max, uint64_t now);
	/* The worker: how many operations would find room in every device; less than a few bursts
	 * means: read no port. */
	uint32_t (*room)(const struct engine_worker *ew);
	/* Any thread: packets that are inside. */
	uint32_t (*held)(const struct engine_worker *ew);
};

/* All calls of one engine_worker come from the worker that owns it; serves may be called by any
 * thread.
 */
struct engine {
	const char *name;
	enum engine_kind kind;
	/* 0, or -ENOTSUP with the reason. Of an asynchronous engine: before and after its open().
	 */
	int (*serves)(const struct suite *suite, struct err *err);
	/* key_cache: octets the cache of expanded keys may take. index: the worker's. NULL: inline.
	 */
	int (*worker_init)(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
			   struct err *err);
	void (*worker_fini)(struct engine_worker *ew); /* wipes; NULL is fine */
	/* Synchronous: on return every op is done. All sessions are ones this engine serves, in any
	 * mix; n <= CRYPTO_BURST_MAX. Nothing is left behind in the engine between calls.
	 */
	void (*encrypt)(struct engine_worker *ew, struct crypto_op *ops, uint16_t n);
	void (*decrypt)(struct engine_worker *ew, struct crypto_op *ops, uint16_t n);
	/* Wipes what is cached for a session about to die. NULL: nothing ever is. */
	void (*forget)(struct engine_worker *ew, uint32_t id);
	/* Operations that went through a copy because the text was in pieces. NULL: none ever. */
	uint64_t (*bounced)(const struct engine_worker *ew);
	const struct engine_async *async; /* ENGINE_ASYNC only */
};

/* Copies the keys in, as long as the suite's algorithms want them (auth_key NULL with an AEAD), and
 * derives iv_key for CBC. Returns 0, or -ENOMEM with nothing of the keys left in *s.
 */
int session_init(struct session *s, uint32_t id, uint32_t generation, const struct suite *suite,
		 const uint8_t *key, const uint8_t *auth_key);
/* Wipes all of it. */
void session_wipe(struct session *s);

#endif
