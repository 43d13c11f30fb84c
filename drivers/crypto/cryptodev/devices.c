#include "cryptodev.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>

#define NAME_SIZE RTE_CRYPTODEV_NAME_MAX_LEN

struct cryptodev cd;

/* The machine's own time: packets' stamps, which gateway time may follow, say nothing of how long a
 * device takes. */
uint64_t
ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* The name in front of the device's arguments. */
static int
args_name(const char *args, char *name, struct err *err)
{
	size_t n = strcspn(args, ",");

	if (n == 0 || n >= NAME_SIZE)
		return err_set(err, -EINVAL, "cryptodev: \"%s\" names no device", args);
	memcpy(name, args, n);
	name[n] = 0;
	return 0;
}

/* What DPDK answers is of the kind "Bad address". */
static const char *
probe_reason(int rc)
{
	switch (-rc) {
	case EFAULT:
		return "DPDK has no driver of this name: a PCI address, or a name such as "
		       "crypto_aesni_gcm0, whose driver (librte-crypto-...) is installed";
	case ENODEV:
		return "there is no such device";
	case EINVAL:
		return "its driver does not take these arguments";
	}
	return rte_strerror(-rc);
}

/* Plugs the device in if nobody has. */
static int
device_probe(const char *args, uint8_t *id, struct err *err)
{
	char name[NAME_SIZE];
	int at, rc = args_name(args, name, err);

	if (rc < 0)
		return rc;
	at = rte_cryptodev_get_dev_id(name);
	if (at < 0) {
		rc = rte_dev_probe(args);
		if (rc < 0)
			return err_set(err, -EINVAL, "gateway.crypto_devices: %s: %s", args,
				       probe_reason(rc));
		at = rte_cryptodev_get_dev_id(name);
	}
	if (at < 0)
		return err_set(err, -EINVAL, "cryptodev: %s is no crypto device", args);
	*id = (uint8_t)at;
	return 0;
}

int
device_start(struct device *d, struct err *err)
{
	struct rte_cryptodev_config conf = { .socket_id = d->socket,
					     .nb_queue_pairs = cd.n_workers,
					     .ff_disable = RTE_CRYPTODEV_FF_ASYMMETRIC_CRYPTO |
							   RTE_CRYPTODEV_FF_SECURITY };
	struct rte_cryptodev_qp_conf queue = { .nb_descriptors = RING_SIZE };
	int rc = rte_cryptodev_configure(d->id, &conf);

	if (rc < 0)
		return err_set(err, rc, "cryptodev: %s does not take %u queue pairs: %s", d->name,
			       cd.n_workers, rte_strerror(-rc));
	for (uint16_t i = 0; i < cd.n_workers; i++) {
		rc = rte_cryptodev_queue_pair_setup(d->id, i, &queue, d->socket);
		if (rc < 0)
			return err_set(err, rc, "cryptodev: %s: queue pair %u: %s", d->name, i,
				       rte_strerror(-rc));
	}
	rc = rte_cryptodev_start(d->id);
	if (rc < 0)
		return err_set(err, rc, "cryptodev: %s does not start: %s", d->name,
			       rte_strerror(-rc));
	d->session_size = rte_cryptodev_sym_get_private_session_size(d->id);
	return 0;
}

static bool
is_scheduler(const char *driver)
{
	return strcmp(driver, "crypto_scheduler") == 0;
}

/* -ENOTSUP: one that is of no use, for the reason in err. */
static int
device_add(uint8_t id, struct err *err)
{
	struct device *d = &cd.devices[cd.n_devices];
	struct rte_cryptodev_info info;
	int rc;

	if (cd.n_devices == DEVICES_MAX)
		return err_set(err, -ENOTSUP, "cryptodev: at most %u devices", DEVICES_MAX);
	rte_cryptodev_info_get(id, &info);
	memset(d, 0, sizeof(*d));
	d->id = id;
	d->index = (uint8_t)cd.n_devices;
	d->socket = rte_cryptodev_socket_id(id);
	snprintf(d->name, sizeof(d->name), "%s", rte_cryptodev_name_get(id));
	d->driver = info.driver_name;
	d->pool_size = POOL_FIRST;
	d->sessions_max = info.sym.max_nb_sessions;
	/* A scheduler's session is one of each of its workers, too, out of the same pool. */
	d->objects = is_scheduler(d->driver) ? 9 : 1;
	if ((info.feature_flags & RTE_CRYPTODEV_FF_SYMMETRIC_CRYPTO) == 0)
		return err_set(err, -ENOTSUP, "cryptodev: %s does no symmetric crypto", d->name);
	if (info.max_nb_queue_pairs < cd.n_workers)
		return err_set(err, -ENOTSUP,
			       "cryptodev: %s has %u queue pairs, one for each of %u workers is "
			       "wanted (of virtual devices, max_nb_queue_pairs= says how many)",
			       d->name, info.max_nb_queue_pairs, cd.n_workers);
	rc = device_start(d, err);
	if (rc < 0)
		return rc;
	d->since_ms = ms_now();
	cd.n_devices++;
	return 0;
}

/* "worker=NAME" among a scheduler's arguments: NAME is the scheduler's own. */
static bool
args_have_worker(const char *args, const char *name)
{
	static const char key[] = "worker=";
	size_t n = strlen(name);

	for (; args != NULL; args = strchr(args, ',')) {
		args += *args == ',';
		if (strncmp(args, key, sizeof(key) - 1) != 0)
			continue;
		args += sizeof(key) - 1;
		if (strncmp(args, name, n) == 0 && (args[n] == ',' || args[n] == 0))
			return true;
	}
	return false;
}

static bool
belongs_to_scheduler(uint8_t id)
{
	const char *name = rte_cryptodev_name_get(id);
	struct rte_cryptodev_info info;

	for (uint8_t other = 0; other < RTE_CRYPTO_MAX_DEVS; other++) {
		const struct rte_devargs *args;

		if (other == id || rte_cryptodev_is_valid_dev(other) == 0)
			continue;
		rte_cryptodev_info_get(other, &info);
		args = info.device != NULL ? rte_dev_devargs(info.device) : NULL;
		if (args != NULL && args->args != NULL && args_have_worker(args->args, name))
			return true;
	}
	return false;
}

/* All that are there. One that is of no use is passed over; the last reason stays in err. */
static int
devices_find(struct err *err)
{
	for (uint8_t id = 0; id < RTE_CRYPTO_MAX_DEVS; id++)
		if (rte_cryptodev_is_valid_dev(id) != 0 && !belongs_to_scheduler(id))
			device_add(id, err);
	return 0;
}

/* All are plugged in before one is asked: a scheduler's workers stand in the list before it, and
 * are its own.
 */
static int
devices_take(const struct engine_setup *setup, struct err *err)
{
	uint8_t ids[DEVICES_MAX] = { 0 };
	int rc = 0;

	if (setup->n_devices > DEVICES_MAX)
		return err_set(err, -EINVAL, "cryptodev: %u devices, at most %u", setup->n_devices,
			       DEVICES_MAX);
	for (uint16_t i = 0; i < setup->n_devices && rc == 0; i++) {
		rc = device_probe(setup->devices[i], &ids[i], err);
		for (uint16_t k = 0; rc == 0 && k < i; k++)
			if (ids[k] == ids[i])
				rc = err_set(err, -EINVAL, "cryptodev: %s is named twice",
					     rte_cryptodev_name_get(ids[i]));
	}
	for (uint16_t i = 0; i < setup->n_devices && rc == 0; i++)
		if (!belongs_to_scheduler(ids[i]))
			rc = device_add(ids[i], err);
	return rc == -ENOTSUP ? -EINVAL : rc;
}

int
devices_open(const struct engine_setup *setup, struct err *err)
{
	int rc;

	if (setup->n_workers == 0 || setup->n_workers > QUEUES_MAX)
		return err_set(err, -EINVAL, "cryptodev: %u workers, 1 to %u can have queues",
			       setup->n_workers, QUEUES_MAX);
	cd.n_workers = setup->n_workers;
	cd.max_sessions = setup->max_sessions;
	cd.n_devices = 0;
	err_set(err, 0, "cryptodev: there is no crypto device");
	rc = setup->n_devices != 0 ? devices_take(setup, err) : devices_find(err);
	if (rc == 0 && cd.n_devices == 0)
		rc = -ENODEV;
	if (rc < 0)
		devices_close();
	return rc;
}

static void
devices_stop_one(struct device *d)
{
	if (device_state(d) != DEVICE_STOPPED)
		rte_cryptodev_stop(d->id);
	device_state_set(d, DEVICE_STOPPED);
	probe_end(d);
}

void
devices_stop(void)
{
	for (uint16_t i = 0; i < cd.n_devices; i++)
		devices_stop_one(&cd.devices[i]);
}

/* The devices stay plugged in, stopped: they may be opened again. But a scheduler goes: when the
 * EAL takes all devices out, the scheduler's workers are gone before it, which it does not bear.
 */
void
devices_close(void)
{
	for (uint16_t i = 0; i < cd.n_devices; i++) {
		struct device *d = &cd.devices[i];

		devices_stop_one(d);
		for (uint16_t k = 0; k < d->n_pools; k++)
			rte_mempool_free(d->pools[k]);
		d->n_pools = 0;
		if (is_scheduler(d->driver))
			rte_eal_hotplug_remove("vdev", d->name);
	}
}
