/* A crypto device that does as it is told: an asynchronous engine for tests of who uses one. It
 * enciphers with a real engine as soon as it takes a packet, and gives it back when asked.
 *
 * One worker's at a time: the last one that was made.
 */
#ifndef TESTS_ENGINE_FAKE_H
#define TESTS_ENGINE_FAKE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers.h"

#define FAKE_MAX 1024

static struct fake_device {
	struct engine_worker *inner; /* of engine_ipsec_mb */
	uint32_t room;		     /* packets that it holds at most */
	bool down;		     /* takes nothing, and gives nothing */
	bool stuck;		     /* gives nothing */
	bool backwards;		     /* gives the newest first */
	uint16_t least;		     /* takes at most so many at once; 0: all */
	uint64_t submits, encrypted, decrypted;
	uint32_t n;
	struct {
		struct rte_mbuf *m;
		enum engine_verdict verdict;
	} in[FAKE_MAX];
} fake;

static int
fake_serves(const struct suite *suite, struct err *err)
{
	return engine_ipsec_mb.serves(suite, err);
}

static int
fake_worker_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
		 struct err *err)
{
	int rc = engine_ipsec_mb.worker_init(key_cache, index, socket, out, err);

	fake = (struct fake_device) { .inner = *out, .room = FAKE_MAX };
	return rc;
}

static uint16_t
fake_submit(struct engine_worker *ew, const struct crypto_op *ops, struct rte_mbuf *const *pkts,
	    uint16_t n, bool encrypt, uint64_t now, enum engine_refusal *why)
{
	uint16_t i;

	fake.submits++;
	for (i = 0; i < n; i++) {
		struct crypto_op op = ops[i];

		*why = fake.down ? ENGINE_DOWN : ENGINE_FULL;
		if (fake.down || fake.n >= fake.room || (fake.least != 0 && i == fake.least))
			return i;
		op.ok = false;
		if (encrypt)
			engine_ipsec_mb.encrypt(ew, &op, 1);
		else
			engine_ipsec_mb.decrypt(ew, &op, 1);
		fake.encrypted += encrypt;
		fake.decrypted += !encrypt;
		fake.in[fake.n].m = pkts[i];
		fake.in[fake.n++].verdict = op.ok ? ENGINE_DONE : ENGINE_BAD_ICV;
	}
	*why = ENGINE_TAKEN;
	return n;
}

static uint16_t
fake_collect(struct engine_worker *ew, struct rte_mbuf **pkts, enum engine_verdict *verdicts,
	     uint16_t max, uint64_t now)
{
	uint16_t n = 0;

	if (fake.down || fake.stuck)
		return 0;
	for (; n < max && fake.n > 0; n++) {
		uint32_t at = fake.backwards ? fake.n - 1 : 0;

		pkts[n] = fake.in[at].m;
		verdicts[n] = fake.in[at].verdict;
		memmove(&fake.in[at], &fake.in[at + 1], (--fake.n - at) * sizeof(fake.in[0]));
	}
	return n;
}

static uint32_t
fake_room(const struct engine_worker *ew)
{
	return fake.room > fake.n ? fake.room - fake.n : 0;
}

static uint32_t
fake_held(const struct engine_worker *ew)
{
	return fake.n;
}

/* All that is inside ends so. */
static inline void
fake_verdicts(enum engine_verdict verdict)
{
	for (uint32_t i = 0; i < fake.n; i++)
		fake.in[i].verdict = verdict;
}

static void
fake_worker_fini(struct engine_worker *ew)
{
	engine_ipsec_mb.worker_fini(ew);
}

static void
fake_forget(struct engine_worker *ew, uint32_t id)
{
	engine_ipsec_mb.forget(ew, id);
}

static const struct engine_async fake_async = {
	.submit = fake_submit,
	.collect = fake_collect,
	.room = fake_room,
	.held = fake_held,
};

static const struct engine engine_fake = {
	.name = "fake",
	.kind = ENGINE_ASYNC,
	.serves = fake_serves,
	.worker_init = fake_worker_init,
	.worker_fini = fake_worker_fini,
	.forget = fake_forget,
	.async = &fake_async,
};

#endif
