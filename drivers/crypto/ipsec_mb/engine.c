/* The ipsec_mb engine: burst in, runs of one session found, keys fetched, calls made. */
#include "ipsec_mb.h"

#include <errno.h>

#include <rte_malloc.h>

#include "../../drivers.h"

#define NEEDED_FEATURES (IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_SSE4_2)

/* A packet of up to this many octets of text uses the first round keys and the first and last
 * powers of the hash key only; a longer one uses all of them.
 */
#define SMALL_TEXT 320
#define KEYS_AHEAD 3 /* runs whose keys are on their way to the cache */

/* The library asks the CPU anew each time, and in a virtual machine that costs as much as the rest
 * of an SA. Any thread: whoever comes first finds out the same.
 */
static bool
cpu_fits(void)
{
	static uint8_t answer; /* 0: not asked yet, 1: no, 2: yes */
	uint8_t known = __atomic_load_n(&answer, __ATOMIC_RELAXED);

	if (known == 0) {
		known = (imb_get_feature_flags() & NEEDED_FEATURES) == NEEDED_FEATURES ? 2 : 1;
		__atomic_store_n(&answer, known, __ATOMIC_RELAXED);
	}
	return known == 2;
}

static int
cpu_check(struct err *err)
{
	if (cpu_fits())
		return 0;
	return err_set(
		err, -ENOTSUP,
		"intel-ipsec-mb wants a CPU with AES-NI, PCLMULQDQ and SSE 4.2: use openssl");
}

static int
ipsec_mb_serves(const struct suite *suite, struct err *err)
{
	if (kind_of(suite) != KIND_NONE)
		return cpu_check(err);
	return err_set(err, -ENOTSUP, "intel-ipsec-mb has no %s", algs[suite->cipher].name);
}

static void
manager_free(IMB_MGR *mgr)
{
	if (mgr != NULL)
		explicit_bzero(mgr, imb_get_mb_mgr_size());
	rte_free(mgr);
}

static void
ipsec_mb_worker_fini(struct engine_worker *ew)
{
	if (ew == NULL)
		return;
	key_cache_fini(&ew->keys);
	if (ew->narrow != ew->wide)
		manager_free(ew->narrow);
	manager_free(ew->wide);
	library_close(&ew->library);
	if (ew->batch.arena != NULL)
		explicit_bzero(ew->batch.arena, ARENA_SIZE);
	rte_free(ew->batch.arena);
	explicit_bzero(ew, sizeof(*ew));
	rte_free(ew);
}

/* A manager in memory of ours, so that it lies on the right socket and can be wiped. */
static IMB_MGR *
manager_new(const struct library *l, int socket)
{
	void *memory =
		rte_zmalloc_socket("ipsec_mb", imb_get_mb_mgr_size(), RTE_CACHE_LINE_SIZE, socket);

	return memory != NULL ? l->set_pointers(memory, 0, 1) : NULL;
}

static int
manager_check(const struct library *l, IMB_MGR *mgr, struct err *err)
{
	int rc = l->errno_of(mgr);

	if (rc != 0)
		return err_set(err, -ENOTSUP, "ipsec_mb: %s", imb_get_strerror(rc));
	if ((mgr->features & IMB_FEATURE_SELF_TEST) != 0 &&
	    (mgr->features & IMB_FEATURE_SELF_TEST_PASS) == 0)
		return err_set(err, -ENOTSUP, "ipsec_mb: the library's self-test failed");
	return 0;
}

static int
managers_init(struct engine_worker *ew, int socket, struct err *err)
{
	const struct library *l = &ew->library;
	IMB_ARCH arch = IMB_ARCH_NONE;
	int rc;

	ew->narrow = ew->wide = manager_new(l, socket);
	if (ew->wide == NULL)
		return err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
	l->init_auto(ew->wide, &arch);
	rc = manager_check(l, ew->wide, err);
	if (rc < 0 || arch != IMB_ARCH_AVX512)
		return rc;
	ew->narrow = manager_new(l, socket);
	if (ew->narrow == NULL)
		return err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
	l->init_avx2(ew->narrow);
	return manager_check(l, ew->narrow, err);
}

static int
ipsec_mb_worker_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
		     struct err *err)
{
	struct engine_worker *ew;
	int rc = cpu_check(err);

	if (rc < 0)
		return rc;
	ew = rte_zmalloc_socket("ipsec_mb", sizeof(*ew), RTE_CACHE_LINE_SIZE, socket);
	if (ew == NULL)
		return err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
	library_open(&ew->library);
	rc = managers_init(ew, socket, err);
	if (rc == 0)
		gcm_bind(ew);
	ew->batch.arena =
		rte_malloc_socket("ipsec_mb_arena", ARENA_SIZE, RTE_CACHE_LINE_SIZE, socket);
	if (rc == 0 && ew->batch.arena == NULL)
		rc = err_set(err, -ENOMEM, "ipsec_mb: no memory on socket %d", socket);
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

/* In a small packet GCM uses the round keys, and the first and last powers of the hash key; the
 * other kinds use nearly all there is, whatever the size.
 */
static inline void
key_prefetch(const uint8_t *key, const struct crypto_op *op)
{
	const uint32_t line = RTE_CACHE_LINE_SIZE, end = KEY_CACHE_ENTRY;

	if (op->text_len <= SMALL_TEXT && op->session->suite.aead) {
		for (uint32_t i = 0; i < 3 * line; i += line) {
			rte_prefetch0(key + i);
			rte_prefetch0(key + end - line - i);
		}
		return;
	}
	for (uint32_t i = 0; i < end; i += line)
		rte_prefetch0(key + i);
}

/* The expanded key for a run, made if it is not there. */
static inline void
key_find(struct engine_worker *ew, const struct session *s, struct run *run)
{
	enum key_state state;
	void *key;

	run->cold = false;
	run->key = s->key;
	if (s->suite.cipher == ALG_CHACHA20_POLY1305)
		return;
	key = key_cache_get(&ew->keys, s, &state);
	if (unlikely(state == KEY_FRESH))
		keys_expand(ew, s, key);
	run->cold = state == KEY_COLD;
	run->key = key;
}

/* Splits the burst into runs of one session. Returns how many. */
static inline uint16_t
runs_find(struct engine_worker *ew, const struct crypto_op *ops, uint16_t n)
{
	const struct session *last = NULL;
	struct run *run = ew->runs - 1;

	for (uint16_t i = 0; i < n; i++) {
		const struct session *s = ops[i].session;

		if (likely(s == last)) {
			run->n++;
			continue;
		}
		rte_prefetch0(s);
		*++run = (struct run) { .first = i, .n = 1 };
		last = s;
	}
	return (uint16_t)(run + 1 - ew->runs);
}

/* The keys of all runs. With very many sessions all of this is far memory: one pass for what leads
 * to the next, so that a burst waits once for all and not for each.
 */
static inline void
keys_find(struct engine_worker *ew, const struct crypto_op *ops, uint16_t n_runs)
{
	key_cache_round(&ew->keys);
	for (uint16_t i = 0; i < n_runs && n_runs > 1; i++)
		key_cache_prefetch(&ew->keys, ops[ew->runs[i].first].session->id);
	for (uint16_t i = 0; i < n_runs; i++)
		key_find(ew, ops[ew->runs[i].first].session, &ew->runs[i]);
}

/* Comes while the packets before it are enciphered: all of a burst's keys at once are more than the
 * core can ask for, and it would stand still.
 */
static inline void
run_prefetch(const struct engine_worker *ew, uint16_t i, uint16_t n_runs,
	     const struct crypto_op *ops)
{
	if (i < n_runs && ew->runs[i].cold)
		key_prefetch(ew->runs[i].key, &ops[ew->runs[i].first]);
}

static inline void
run_crypt(struct engine_worker *ew, const struct run *run, struct crypto_op *ops, enum dir dir)
{
	enum kind kind = kind_of(&ops->session->suite);

	if (likely(kind == KIND_GCM))
		gcm_run(ew, run->key, ops, run->n, dir);
	else if (kind == KIND_CHACHA)
		chacha_run(ew, ops, run->n, dir);
	else if (kind == KIND_GMAC)
		gmac_run(ew, run->key, ops, run->n, dir);
	else
		batch_add(ew, run->key, ops, run->n, dir);
}

static inline void
ipsec_mb_crypt(struct engine_worker *ew, struct crypto_op *ops, uint16_t n, enum dir dir)
{
	uint16_t n_runs = runs_find(ew, ops, n);

	keys_find(ew, ops, n_runs);
	for (uint16_t i = 0; i < KEYS_AHEAD; i++)
		run_prefetch(ew, i, n_runs, ops);
	for (uint16_t i = 0; i < n_runs; i++) {
		run_prefetch(ew, i + KEYS_AHEAD, n_runs, ops);
		run_crypt(ew, &ew->runs[i], &ops[ew->runs[i].first], dir);
	}
	/* Before the next round overwrites keys. */
	if (ew->batch.n != 0)
		batch_run(ew, dir);
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
