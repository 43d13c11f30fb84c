#include "cryptodev.h"

#include <errno.h>
#include <string.h>

#include <rte_malloc.h>

/* Before the devices are known: whether any could. */
static int
serves(const struct suite *suite, struct err *err)
{
	struct err why = { "" };
	struct plan plan;
	size_t used = 0;
	int rc = plan_suite(suite, &plan, err);

	if (rc < 0 || !cd.open)
		return rc;
	err_set(err, 0, "there is no crypto device");
	for (uint16_t i = 0; i < cd.n_devices; i++) {
		const struct device *d = &cd.devices[i];

		if (plan_fits(&plan, d->id, d->name, &why) == 0)
			return 0;
		if (err != NULL && used < sizeof(err->text))
			used += (size_t)snprintf(err->text + used, sizeof(err->text) - used, "%s%s",
						 i == 0 ? "" : "; ", why.text);
	}
	return -ENOTSUP;
}

static void
async_close(void)
{
	if (!cd.open)
		return;
	devices_stop();
	sessions_drop_all();
	devices_close();
	rte_free(cd.kept);
	cd.kept = NULL;
	cd.open = false;
}

static int
async_open(const struct engine_setup *setup, struct err *err)
{
	int rc;

	if (cd.open)
		return err_set(err, -EALREADY, "cryptodev: is open");
	rc = devices_open(setup, err);
	if (rc < 0)
		return rc;
	cd.kept = rte_zmalloc("cryptodev_sessions",
			      ((size_t)cd.max_sessions + 1) * sizeof(cd.kept[0]), 0);
	if (cd.kept == NULL) {
		devices_close();
		return err_set(err, -ENOMEM, "cryptodev: no memory for %u sessions",
			       cd.max_sessions);
	}
	cd.open = true;
	return 0;
}

static void
worker_fini(struct engine_worker *ew)
{
	if (ew == NULL)
		return;
	if (cd.workers[ew->index] == ew)
		cd.workers[ew->index] = NULL;
	EVP_CIPHER_CTX_free(ew->iv_ctx);
	bounces_fini(ew);
	lanes_fini(ew);
	entries_fini(ew);
	rte_free(ew);
}

static int
iv_init(struct engine_worker *ew, struct err *err)
{
	static const uint8_t no_key[16];

	ew->iv_id = UINT32_MAX;
	ew->iv_ctx = EVP_CIPHER_CTX_new();
	if (ew->iv_ctx == NULL ||
	    EVP_EncryptInit_ex2(ew->iv_ctx, EVP_aes_128_ecb(), no_key, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(ew->iv_ctx, 0) != 1)
		return err_set(err, -ENOMEM, "cryptodev: libcrypto has no AES");
	return 0;
}

static int
worker_init(size_t key_cache, uint16_t index, int socket, struct engine_worker **out,
	    struct err *err)
{
	struct engine_worker *ew;
	int rc;

	if (cd.open && (index >= cd.n_workers || cd.workers[index] != NULL))
		return err_set(err, -EINVAL, "cryptodev: worker %u of %u", index, cd.n_workers);
	ew = rte_zmalloc_socket("cryptodev_worker", sizeof(*ew), RTE_CACHE_LINE_SIZE, socket);
	if (ew == NULL)
		return err_set(err, -ENOMEM, "cryptodev: no memory on socket %d", socket);
	ew->index = index;
	ew->socket = socket;
	rc = iv_init(ew, err);
	if (rc == 0)
		rc = entries_init(ew, err);
	if (rc == 0 && cd.open)
		rc = bounces_init(ew, err);
	if (rc == 0 && cd.open)
		rc = lanes_init(ew, err);
	if (rc < 0) {
		worker_fini(ew);
		return rc;
	}
	if (cd.open)
		cd.workers[index] = ew;
	*out = ew;
	return 0;
}

/* The worker's own copy of an IV key; all else of a session is control's. */
static void
forget(struct engine_worker *ew, uint32_t id)
{
	static const uint8_t no_key[16];

	if (ew->iv_id != id)
		return;
	EVP_EncryptInit_ex2(ew->iv_ctx, NULL, no_key, NULL, NULL);
	ew->iv_id = UINT32_MAX;
}

static uint64_t
bounced(const struct engine_worker *ew)
{
	return cell_get(&ew->bounced);
}

static const struct engine_async async = {
	.open = async_open,
	.close = async_close,
	.session_open = sessions_open,
	.session_close = sessions_close,
	.tick = loss_tick,
	.print = devices_print,
	.json = devices_json,
	.device_of = sessions_device_of,
	.submit = lanes_submit,
	.collect = lanes_collect,
	.room = lanes_room,
	.held = lanes_held,
};

const struct engine engine_cryptodev = {
	.name = "cryptodev",
	.kind = ENGINE_ASYNC,
	.serves = serves,
	.worker_init = worker_init,
	.worker_fini = worker_fini,
	.forget = forget,
	.bounced = bounced,
	.async = &async,
};
