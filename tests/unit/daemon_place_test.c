/* SAs of daemons while all moves under them: MIGRATE, and reloads of the file. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "daemon_state_rig.h"
#include "sad/sad.h"

static uint32_t
sa_of(const struct xfrm_sa *x)
{
	return sad_find(rig.gw.sad, x->id.spi, false, &x->id.dst);
}

/* Moves a policy that is inbound and for everybody, and its SAs. */
static int
migrate(struct daemon_client *c, const char *old_src, const char *old_dst, const char *new_src,
	const char *new_dst)
{
	const struct xfrm_head head = { XFRM_MIGRATE, XFRM_F_REQUEST | XFRM_F_ACK, 9, NL_PID };
	struct xfrm_migrate m = { .policy.dir = XFRM_DIR_IN, .n_moves = 1 };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	m.policy.sel.family = m.policy.sel.src.addr.family = m.policy.sel.dst.addr.family = 4;
	m.moves[0] = (struct xfrm_move) {
		.old_src = rig_addr(old_src),
		.old_dst = rig_addr(old_dst),
		.new_src = rig_addr(new_src),
		.new_dst = rig_addr(new_dst),
		.proto = XFRM_PROTO_ESP,
		.mode = XFRM_TUNNEL,
		.reqid = 7,
	};
	assert_int_equal(xfrm_put_migrate(&out, &head, &m), 0);
	return rig_send(c, message, &out, NULL);
}

static void
policy_from(struct daemon_client *c, const char *src)
{
	const struct xfrm_head head = { XFRM_NEWPOLICY, XFRM_F_REQUEST | XFRM_F_ACK, 7, NL_PID };
	struct xfrm_policy p = { .dir = XFRM_DIR_IN, .n_tmpls = 1, .sel.family = 4 };
	uint8_t message[XFRM_DATAGRAM_MAX];
	struct xfrm_out out = { message, message + sizeof(message) };

	p.sel.src.addr.family = p.sel.dst.addr.family = 4;
	p.tmpls[0] = (struct xfrm_tmpl) {
		.id = { rig_addr("192.0.2.1"), 0, XFRM_PROTO_ESP },
		.family = 4,
		.src = rig_addr(src),
		.reqid = 7,
		.mode = XFRM_TUNNEL,
	};
	assert_int_equal(xfrm_put_policy(&out, &head, &p), 0);
	assert_int_equal(rig_send(c, message, &out, NULL), 0);
}

/* One that is there already has a name of its own for its SAs, which inbound policies go by. */
static void
sas_move_to_where_others_are(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(true, 0xc100, 5), b = rig_sa(true, 0xc200, 6);

	b.src = rig_addr("198.51.100.8");
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &b), 0);
	policy_from(&c, "198.51.100.7");
	assert_int_not_equal(sa_at(&rig.gw.sas, sa_of(&a))->in.group,
			     sa_at(&rig.gw.sas, sa_of(&b))->in.group);
	assert_int_equal(migrate(&c, "198.51.100.7", "192.0.2.1", "198.51.100.8", "192.0.2.1"), 0);
	assert_int_equal(sa_at(&rig.gw.sas, sa_of(&a))->in.group,
			 sa_at(&rig.gw.sas, sa_of(&b))->in.group);
	daemon_client_gone(rig.d, &c);
}

/* An SPI that the new address has already: all stays where it was, and "exists" would mean done. */
static void
an_sa_that_cannot_move_stays(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	struct xfrm_sa a = rig_sa(true, 0xc100, 5), b = rig_sa(true, 0xc100, 6), x;

	b.id.dst = rig_addr("192.0.2.2");
	b.dir = XFRM_SA_DIR_IN;
	b.has |= XFRM_HAS_DIR;
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &a), 0);
	assert_int_equal(rig_put(&c, XFRM_NEWSA, &b), 0);
	policy_from(&c, "198.51.100.7");
	assert_int_equal(migrate(&c, "198.51.100.7", "192.0.2.1", "198.51.100.7", "192.0.2.2"),
			 -EINVAL);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &a.id, &x), 1);
	assert_int_equal(rig_by_id(&c, XFRM_GETSA, &b.id, &x), 1);
	daemon_client_gone(rig.d, &c);
}

/* Writes the rig's file with another SPI for its SA, and has the gateway read it. */
static void
reload_with(const char *path, uint32_t spi)
{
	struct conf_errors errors;
	FILE *f = fopen(path, "w");
	const char *at = strstr(rig_file, "0x1001");

	assert_non_null(f);
	fprintf(f, "%.*s0x%x%s", (int)(at - rig_file), rig_file, spi, at + strlen("0x1001"));
	assert_int_equal(fclose(f), 0);
	conf_errors_init(&errors, path);
	f = fopen("/dev/null", "w");
	assert_int_equal(gw_reload(&rig.gw, false, f, &errors), 0);
	fclose(f);
	conf_errors_free(&errors);
}

/* A later configuration may lie where one before lay. */
static void
the_files_sas_are_those_of_now(void **state)
{
	struct daemon_client c = rig_client(1, 0, true);
	char path[] = "/tmp/espgw-unit-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	close(fd);
	rig.gw.options.config = path;
	for (uint32_t i = 0; i < 16; i++) {
		struct xfrm_sa was = rig_sa(true, 0x2000 + i, 5), now = rig_sa(true, 0x2001 + i, 5);

		reload_with(path, 0x3000);
		reload_with(path, 0x2001 + i);
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &now), -EEXIST);
		assert_int_equal(rig_put(&c, XFRM_NEWSA, &was), 0);
		assert_int_equal(rig_by_id(&c, XFRM_DELSA, &was.id, NULL), 0);
	}
	unlink(path);
	daemon_client_gone(rig.d, &c);
}

int
main(void)
{
#define RIG(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
	const struct CMUnitTest tests[] = {
		RIG(sas_move_to_where_others_are),
		RIG(an_sa_that_cannot_move_stays),
		RIG(the_files_sas_are_those_of_now),
	};

	if (rig_eal() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
