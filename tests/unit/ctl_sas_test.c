/* SAs of the file, made while their worker stands still. */
#include "unit.h"

#include <errno.h>

#include <rte_rcu_qsbr.h>

#include "drivers.h"
#include "ctl/pin.h"
#include "ctl/sa_numbers.h"
#include "ctl/sas.h"
#include "eal.h"
#include "numbers/numbers.h"
#include "worker.h"
#include "worker/mailbox.h"

#define MAX_SAS 64
#define WORKERS 2
#define FILE_OF(window)                                                               \
	"version: 1\nports:\n  - {name: wan, device: net_null0, side: black}\nsas:\n" \
	"  - {name: a, direction: in, mode: transport, spi: 0x1001, src: 192.0.2.1, " \
	"dst: 198.51.100.1, aead: aes-gcm-128, replay_window: " window                \
	", key: \"hex:00112233445566778899aabbccddeeff00000001\"}\n"

static const struct engine *const engines[] = { &engine_openssl };

struct bed {
	struct gw gw;
	struct conf *conf[2];
	uint32_t index;
};

static const struct sa_origin of_file = { .from = SA_FROM_FILE };

static struct conf *
conf_of(const char *text)
{
	struct conf_errors e;
	struct conf *conf = NULL;

	conf_errors_init(&e, "test");
	assert_int_equal(conf_load_text(text, strlen(text), "test", 0, &conf, &e), 0);
	conf_errors_free(&e);
	return conf;
}

static int
setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct gw *gw = &b->gw;
	struct err err;

	assert_non_null(b);
	b->conf[0] = conf_of(FILE_OF("64"));
	b->conf[1] = conf_of(FILE_OF("128"));
	gw->conf = b->conf[0];
	gw->engines[0] = engines[0];
	gw->n_engines = 1;
	clock_init(&gw->clock, CLOCK_MANUAL);
	gw->qsbr = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(WORKERS), RTE_CACHE_LINE_SIZE);
	assert_int_equal(rte_rcu_qsbr_init(gw->qsbr, WORKERS), 0);
	gw->n_workers = WORKERS;
	for (uint16_t i = 0; i < WORKERS; i++) {
		gw->workers[i] = test_worker_new(i, WORKERS);
		assert_int_equal(mailbox_init(gw->workers[i], &err), 0);
	}
	defer_init(&gw->defer, gw->qsbr, gw->workers, WORKERS);
	assert_int_equal(sa_table_init(&gw->sas, MAX_SAS, SOCKET_ID_ANY, &err), 0);
	assert_int_equal(numbers_create(&(struct numbers_params) { .max_sas = MAX_SAS,
								   .n_workers = WORKERS,
								   .socket = SOCKET_ID_ANY },
					&gw->numbers, &err),
			 0);
	assert_int_equal(sa_make(gw, &b->conf[0]->sas[0], &of_file, SA_NONE, &b->index, &err), 0);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bed *b = *state;
	struct numbers_totals totals;

	defer_poll(&b->gw.defer, 0, true);
	sa_unmake(&b->gw, b->index);
	numbers_totals(b->gw.numbers, &totals);
	assert_int_equal(totals.in_use, 0);
	numbers_free(b->gw.numbers);
	sa_table_fini(&b->gw.sas);
	for (uint16_t i = 0; i < WORKERS; i++) {
		mailbox_fini(b->gw.workers[i]);
		rte_free(b->gw.workers[i]);
	}
	rte_free(b->gw.qsbr);
	conf_free(b->conf[0]);
	conf_free(b->conf[1]);
	free(b);
	return 0;
}

/* Another window for a key in use: the worker has something to do first. */
static int
replace(struct bed *b, uint32_t *index)
{
	struct err err;

	return sa_make(&b->gw, &b->conf[1]->sas[0], &of_file, b->index, index, &err);
}

static void
mail_run(struct bed *b)
{
	struct rte_mbuf *pkts[BURST_MAX];

	mailbox_poll(b->gw.workers[0], NULL, pkts, BURST_MAX);
}

static void
succeeds_after_all(struct bed *b)
{
	uint32_t index;

	b->gw.running = false;
	assert_int_equal(replace(b, &index), 0);
	sa_unmake(&b->gw, index);
}

static void
a_worker_that_stands_still_can_be_asked_again(void **state)
{
	struct bed *b = *state;
	uint32_t index;

	b->gw.running = true;
	assert_int_equal(replace(b, &index), -ETIMEDOUT);
	assert_int_equal(index, SA_NONE);
	assert_int_equal(defer_poll(&b->gw.defer, 0, false), 0);
	assert_int_equal(replace(b, &index), -EBUSY);
	mail_run(b);
	assert_int_equal(defer_poll(&b->gw.defer, 0, false), 1);
	succeeds_after_all(b);
}

static void
nothing(struct worker *w, void *arg)
{
}

static void
a_full_mailbox_leaves_nothing_behind(void **state)
{
	struct bed *b = *state;
	uint32_t index;

	b->gw.running = true;
	while (mailbox_post(b->gw.workers[0], (struct mail) { nothing, NULL }) == 0)
		;
	assert_int_equal(replace(b, &index), -ENOBUFS);
	mail_run(b);
	succeeds_after_all(b);
}

/* Moves come one after the other where there are many SAs: what is to be mailed about the numbers
 * of some key, which waits while one is under way, has its turn between them.
 */
static void
no_move_begins_while_numbers_wait(void **state)
{
	static const uint8_t key[20] = { 1, 2, 3 };
	const struct numbers_ask ask = {
		.name = "b",
		.id = { .spi = 0x2001, .family = 4 },
		.key = { .key = key, .key_len = 16, .counter_mode = true },
	};
	struct bed *b = *state;
	const struct sa *sa = sa_at(&b->gw.sas, b->index);
	const struct stray_event e = { .worker = 1, .sa = b->index, .generation = sa->generation };
	struct numbers_job *job;
	struct numbers *n;
	struct err err;

	assert_int_equal(pin_init(&b->gw, &err), 0);
	assert_int_equal(numbers_attach(b->gw.numbers, &ask, &n, &job, &err), 0);
	assert_int_equal(numbers_limit(b->gw.numbers, n, 1000, &err), 0);
	assert_true(numbers_is_due(b->gw.numbers));
	for (int i = 0; i < 20; i++)
		pin_stray(&b->gw, &e, NS_PER_SECOND);
	assert_int_equal(sa_owner(sa), 0);
	sa_numbers_tick(&b->gw);
	pin_stray(&b->gw, &e, NS_PER_SECOND);
	assert_int_equal(sa_owner(sa), 1);
	defer_poll(&b->gw.defer, 0, true);
	numbers_release(b->gw.numbers, n, 0);
	pin_fini(&b->gw);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_worker_that_stands_still_can_be_asked_again,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_mailbox_leaves_nothing_behind, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_move_begins_while_numbers_wait, setup, teardown),
	};

	if (test_eal_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
