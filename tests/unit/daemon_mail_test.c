/* SAs of daemons with IP-TFS while workers do not read their mail. */
#include "unit.h"

#include "aggfrag/fill.h"
#include "ctl/streams.h"
#include "daemon_state_rig.h"
#include "iptfs/iptfs.h"
#include "iptfs/iptfs_stage.h"
#include "worker/mailbox.h"

static struct xfrm_sa
iptfs_sa(bool inbound, uint32_t spi, uint8_t key)
{
	struct xfrm_sa x = rig_sa(inbound, spi, key);

	x.mode = XFRM_IPTFS;
	x.dir = inbound ? XFRM_SA_DIR_IN : XFRM_SA_DIR_OUT;
	x.has |= XFRM_HAS_DIR;
	/* As charon has it. */
	if (!inbound)
		x.replay.window = x.replay.words = 0;
	return x;
}

static void
nothing(struct worker *w, void *arg)
{
}

static void
mail_run(void)
{
	struct rte_mbuf *pkts[BURST_MAX];

	for (uint16_t i = 0; i < rig.gw.n_workers; i++)
		for (int k = 0; k < 4096; k++)
			mailbox_poll(rig.gw.workers[i], NULL, pkts, BURST_MAX);
}

static void
mail_fill(void)
{
	for (uint16_t i = 0; i < rig.gw.n_workers; i++)
		while (mailbox_post(rig.gw.workers[i], (struct mail) { nothing, NULL }) == 0)
			;
}

/* Mail that found no room is posted later: when by then a third SA has the streams, nobody is told
 * that they are the second one's, which may be gone. */
static void
late_mail_speaks_of_no_past(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6);
	const struct aggfrag_out *fill;

	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	fill = sa_more(rig_sa_of(&out.id))->fill;
	rig.gw.running = true;
	mail_fill();
	out.has |= XFRM_HAS_IPTFS_MAX_QSIZE;
	out.iptfs.max_queue = 20000;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &out), 0);
	mail_run();
	assert_int_equal(fill->params->max_queue, 10485760);
	out.iptfs.max_queue = 30000;
	assert_int_equal(rig_put(&c, XFRM_UPDSA, &out), 0);
	mail_run();
	assert_int_equal(fill->params->max_queue, 30000);
	for (int i = 0; i < 10; i++) {
		rig_wait(1);
		mail_run();
		assert_ptr_equal(sa_at(&rig.gw.sas, fill->sa), rig_sa_of(&out.id));
		assert_int_equal(fill->params->max_queue, 30000);
	}
	rig.gw.running = false;
	rig_wait(2);
	assert_int_equal(rig.gw.sas.records.n_taken, 2);
	daemon_client_gone(rig.d, &c);
}

/* The first SA with IP-TFS finds the mailboxes full: its sources are there all the same, and so is
 * its rate, though no packet ever comes.
 */
static void
full_mailboxes_delay_and_lose_nothing(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa out = iptfs_sa(false, 0xc200, 6);
	const struct sa *sa;

	out.has |= XFRM_HAS_IPTFS_RATE | XFRM_HAS_IPTFS_PKT_SIZE;
	out.iptfs.packet_size = 1000;
	out.iptfs_rate.bits_per_second = 8000000;
	out.iptfs_rate.layer = 3;
	rig.gw.running = true;
	mail_fill();
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &out), 0);
	mail_run();
	for (int i = 0; i < 4; i++) {
		rig_wait(1);
		mail_run();
	}
	sa = rig_sa_of(&out.id);
	for (uint16_t i = 0; i < rig.gw.n_workers; i++) {
		const struct worker *w = rig.gw.workers[i];

		assert_true(w->n_sources > 2);
		assert_ptr_equal(w->sources[w->n_sources - 1].poll, iptfs_tick);
		assert_int_equal(wheel_is_idle(&w->iptfs->out), sa_owner(sa) != i);
	}
	rig.gw.running = false;
	daemon_client_gone(rig.d, &c);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(late_mail_speaks_of_no_past),
		RIG(full_mailboxes_delay_and_lose_nothing),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
