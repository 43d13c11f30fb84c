/* The ipsec_mb engine: burst in, runs of one session found, keys fetched, calls made. */
#include "ipsec_mb.h"

#include <errno.h>

#include <rte_malloc.h>

#include "drivers.h"

#define NEEDED_FEATURES (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SSE4_2)

/* A packet of up to this many octets of text uses the first round keys and the first and last
 * powers of the hash key only; a longer one uses all of them.
 */
#define SMALL_TEXT 320

static int
cpu_check(struct err *err)
{
	if ((imb_get_feature_flags() & NEEDED_FEATURES) == NEEDED_FEATURES)
		return 0;
	return err_set(
		err, -ENOTSUP,
		"intel-ipsec-mb wants a CPU with AES-NI, PCLMULQDQ and SSE 4.2: use openssl");
}

static int
ipsec_mb_serves(const struct suite *suite, struct err *err)
{
	switch (suite->cipher) {
	case ALG_AES_GCM_128:
	case ALG_AES_GCM_192:
	case ALG_AES_GCM_256:
		return cpu_check(err);
	default:
		return err_set(err, -ENOTSUP, "intel-ipsec-mb has no %s", algs[suite->cipher].name);
	}
}

static void
ipsec_mb_worker_fini(struct engine_worker *ew)
{
	if (ew == NULL)
		return;
	key_cache_fini(&ew->keys);
	if (ew->mgr != NULL)
		explicit_bzero(ew->mgr, imb_get_mb_mgr_size());
	rte_free(ew->mgr);
	explicit_bzero(ew, sizeof(*ew));
	rte_free(ew);
}

static int
manager_init(struct engine_worker *ew, int socket, struct err *err)
{
	void *memory =
		rte_zmalloc_socket("ipsec_mb", imb_get_mb_mgr_size(), RTE_CACHE_LINE_SIZE, socket);
	IMB_ARCH arch = IMB_ARCH_NONE;

	ew->mgr = memory;
	if (memory == NULL || imb_set_pointers_mb_mgr(memory, 0, 1) == NULL)
		return err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
	init_mb_mgr_auto(ew->mgr, &arch);
	if (imb_get_errno(ew->mgr) != 0 || arch == IMB_ARCH_NONE)
		return err_set(err, -ENOTSUP, "ipsec_mb: %s",
			       imb_get_strerror(imb_get_errno(ew->mgr)));
	if ((ew->mgr->features & IMB_FEATURE_SELF_TEST) != 0 &&
	    (ew->mgr->features & IMB_FEATURE_SELF_TEST_PASS) == 0)
		return err_set(err, -ENOTSUP, "ipsec_mb: the library's self-test failed");
	gcm_bind(ew);
	return 0;
}

static int
ipsec_mb_worker_init(size_t key_cache, int socket, struct engine_worker **out, struct err *err)
{
	struct engine_worker *ew;
	int rc = cpu_check(err);

	if (rc < 0)
		return rc;
	ew = rte_zmalloc_socket("ipsec_mb", sizeof(*ew), RTE_CACHE_LINE_SIZE, socket);
	if (ew == NULL)
		return err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
	rc = manager_init(ew, socket, err);
	if (rc == 0 && key_cache_init(&ew->keys, key_cache, socket) < 0)
		rc = err_set(err, -ENOMEM, "ipsec_mb: no memory for a key cache of %zu octets",
			     key_cache);
	if (rc < 0) {
		ipsec_mb_worker_fini(ew);
		return rc;
	}
	*out = ew;
	return 0;
}

static inline void
key_prefetch(const uint8_t *key, uint16_t text_len)
{
	const uint32_t line = RTE_CACHE_LINE_SIZE, end = KEY_CACHE_ENTRY;

	if (text_len <= SMALL_TEXT) {
		for (uint32_t i = 0; i < 3 * line; i += line) {
			rte_prefetch0(key + i);
			rte_prefetch0(key + end - line - i);
		}
		return;
	}
	for (uint32_t i = 0; i < end; i += line)
		rte_prefetch0(key + i);
}

/* The expanded key of a session, made if it is not there; NULL when this round has no room for it.
 */
static inline const void *
key_of(struct engine_worker *ew, const struct session *s, uint16_t text_len)
{
	bool fresh;
	void *key = key_cache_get(&ew->keys, s, &fresh);

	if (likely(!fresh))
		key_prefetch(key, text_len);
	else if (key != NULL)
		gcm_expand(ew, s, key);
	return key;
}

/* Splits the burst into runs of one session, as far as the keys of all of them fit into the cache
 * together. Returns how many operations that are; at least one.
 */
static uint16_t
runs_find(struct engine_worker *ew, const struct crypto_op *ops, uint16_t n, uint16_t *n_runs)
{
	const struct session *last = NULL;
	struct run *run = ew->runs - 1;
	uint16_t i;

	key_cache_round(&ew->keys);
	for (i = 0; i < n; i++) {
		const struct session *s = ops[i].session;

		if (likely(s == last)) {
			run->n++;
			continue;
		}
		const void *key = key_of(ew, s, ops[i].text_len);

		if (unlikely(key == NULL))
			break;
		*++run = (struct run) { .key = key, .first = i, .n = 1 };
		last = s;
	}
	*n_runs = (uint16_t)(run + 1 - ew->runs);
	return i;
}

static inline void
ipsec_mb_crypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	while (n > 0) {
		uint16_t n_runs, done = runs_find(ew, ops, n, &n_runs);

		for (uint16_t i = 0; i < n_runs; i++) {
			const struct run *run = &ew->runs[i];

			gcm_run(ew, run->key, &ops[run->first], run->n, dir);
		}
		ops += done;
		n -= done;
	}
}

static void
ipsec_mb_encrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	ipsec_mb_crypt(ew, ops, n, DIR_ENCRYPT);
}

static void
ipsec_mb_decrypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n)
{
	ipsec_mb_crypt(ew, ops, n, DIR_DECRYPT);
}

static void
ipsec_mb_forget(struct engine_worker *ew, uint32_t id)
{
	key_cache_forget(&ew->keys, id);
}

static uint64_t
ipsec_mb_bounced(const struct engine_worker *ew)
{
	return cell_get(&ew->bounced);
}

const struct engine engine_ipsec_mb = {
	.name = "ipsec_mb",
	.serves = ipsec_mb_serves,
	.worker_init = ipsec_mb_worker_init,
	.worker_fini = ipsec_mb_worker_fini,
	.encrypt = ipsec_mb_encrypt,
	.decrypt = ipsec_mb_decrypt,
	.forget = ipsec_mb_forget,
	.bounced = ipsec_mb_bounced,
};
