/* Crypto devices that fail when they are told to, for tests of the real binary: preloaded, this
 * stands between DPDK and whoever starts a crypto device.
 *
 *	CRYPTO_FAULTS=FILE	while FILE is there, its first word says how all devices behave:
 *		silent	they take what they are given, and give nothing back
 *		full	they take nothing
 *		tight	they take no more while they have 16 packets
 *		slow	they give back 8 packets at a time
 *		When the program ends it says how many packets each had at most.
 *	CRYPTO_FAULTS_SESSIONS=N	each says that it has room for N sessions
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_common.h>
#include <rte_cryptodev.h>

#define LOOK_EVERY_US 1000
#define TIGHT_ROOM    16u
#define SLOW_OPS      8u

enum fault {
	FAULT_NONE,
	FAULT_SILENT,
	FAULT_FULL,
	FAULT_TIGHT,
	FAULT_SLOW,
};

static const char *const words[] = {
	[FAULT_SILENT] = "silent",
	[FAULT_FULL] = "full",
	[FAULT_TIGHT] = "tight",
	[FAULT_SLOW] = "slow",
};

static enum fault fault;
static struct rte_crypto_fp_ops genuine[RTE_CRYPTO_MAX_DEVS];

static enum fault
fault_now(void)
{
	return __atomic_load_n(&fault, __ATOMIC_RELAXED);
}

/* What the first few devices have inside, and had at most. */
static struct {
	uint32_t inside, most;
} books[RTE_CRYPTO_MAX_DEVS];

static uint16_t
enqueue(uint8_t n, void *qp, struct rte_crypto_op **ops, uint16_t n_ops)
{
	uint32_t inside = __atomic_load_n(&books[n].inside, __ATOMIC_RELAXED);
	enum fault f = fault_now();
	uint32_t room;

	if (f == FAULT_FULL)
		return 0;
	room = inside < TIGHT_ROOM ? TIGHT_ROOM - inside : 0;
	if (f == FAULT_TIGHT && n_ops > room)
		n_ops = (uint16_t)room;
	n_ops = genuine[n].enqueue_burst(qp, ops, n_ops);
	inside = __atomic_add_fetch(&books[n].inside, n_ops, __ATOMIC_RELAXED);
	if (inside > __atomic_load_n(&books[n].most, __ATOMIC_RELAXED))
		__atomic_store_n(&books[n].most, inside, __ATOMIC_RELAXED);
	return n_ops;
}

static uint16_t
dequeue(uint8_t n, void *qp, struct rte_crypto_op **ops, uint16_t n_ops)
{
	enum fault f = fault_now();

	if (f == FAULT_SILENT)
		return 0;
	if (f == FAULT_SLOW && n_ops > SLOW_OPS)
		n_ops = SLOW_OPS;
	n_ops = genuine[n].dequeue_burst(qp, ops, n_ops);
	__atomic_sub_fetch(&books[n].inside, n_ops, __ATOMIC_RELAXED);
	return n_ops;
}

/* A device's calls know a queue pair, not the device: so each of the first few has its own. */
#define DEVICE_CALLS(n)                                                                   \
	static uint16_t enqueue_##n(void *qp, struct rte_crypto_op **ops, uint16_t n_ops) \
	{                                                                                 \
		return enqueue(n, qp, ops, n_ops);                                        \
	}                                                                                 \
	static uint16_t dequeue_##n(void *qp, struct rte_crypto_op **ops, uint16_t n_ops) \
	{                                                                                 \
		return dequeue(n, qp, ops, n_ops);                                        \
	}
DEVICE_CALLS(0)
DEVICE_CALLS(1)
DEVICE_CALLS(2)
DEVICE_CALLS(3)

static const struct {
	enqueue_pkt_burst_t enqueue;
	dequeue_pkt_burst_t dequeue;
} calls[] = {
	{ enqueue_0, dequeue_0 },
	{ enqueue_1, dequeue_1 },
	{ enqueue_2, dequeue_2 },
	{ enqueue_3, dequeue_3 },
};

static enum fault
fault_in(const char *path)
{
	enum fault found = FAULT_NONE;
	char word[16] = "";
	FILE *f = fopen(path, "r");

	if (f == NULL)
		return FAULT_NONE;
	if (fscanf(f, "%15s", word) == 1)
		for (enum fault i = FAULT_SILENT; i < RTE_DIM(words); i++)
			if (strcmp(word, words[i]) == 0)
				found = i;
	fclose(f);
	return found;
}

static void *
file_watch(void *path)
{
	for (;;) {
		__atomic_store_n(&fault, fault_in(path), __ATOMIC_RELAXED);
		usleep(LOOK_EVERY_US);
	}
	return NULL;
}

static void
file_watch_start(void)
{
	static bool started;
	const char *path = getenv("CRYPTO_FAULTS");
	pthread_t thread;

	if (started || path == NULL)
		return;
	started = true;
	__atomic_store_n(&fault, fault_in(path), __ATOMIC_RELAXED);
	if (pthread_create(&thread, NULL, file_watch, (void *)(uintptr_t)path) == 0)
		pthread_detach(thread);
}

__attribute__((destructor)) static void
books_say(void)
{
	if (getenv("CRYPTO_FAULTS") == NULL)
		return;
	for (unsigned int i = 0; i < RTE_DIM(calls); i++)
		if (books[i].most > 0)
			fprintf(stderr, "crypto_faults: device %u had %u packets at most\n", i,
				books[i].most);
}

int
rte_cryptodev_start(uint8_t dev_id)
{
	int (*start)(uint8_t) = (int (*)(uint8_t))dlsym(RTLD_NEXT, "rte_cryptodev_start");
	int rc = start(dev_id);

	if (rc < 0 || dev_id >= RTE_DIM(calls))
		return rc;
	__atomic_store_n(&books[dev_id].inside, 0, __ATOMIC_RELAXED);
	genuine[dev_id] = rte_crypto_fp_ops[dev_id];
	rte_crypto_fp_ops[dev_id].enqueue_burst = calls[dev_id].enqueue;
	rte_crypto_fp_ops[dev_id].dequeue_burst = calls[dev_id].dequeue;
	file_watch_start();
	return rc;
}

void
rte_cryptodev_info_get(uint8_t dev_id, struct rte_cryptodev_info *info)
{
	void (*get)(uint8_t, struct rte_cryptodev_info *) =
		(void (*)(uint8_t, struct rte_cryptodev_info *))dlsym(RTLD_NEXT,
								      "rte_cryptodev_info_get");
	const char *sessions = getenv("CRYPTO_FAULTS_SESSIONS");

	get(dev_id, info);
	if (sessions != NULL)
		info->sym.max_nb_sessions = (unsigned int)strtoul(sessions, NULL, 10);
}
