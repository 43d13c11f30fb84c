/* Any octets as a configuration: read or refused, never both and never neither; what was accepted
 * holds together, can be shown and compared, and what is said of the rest goes into a terminal.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void
must(bool held)
{
	if (!held)
		abort();
}

static void
check_sas(const struct conf *c)
{
	for (uint32_t i = 0; i < c->n_sas; i++) {
		const struct conf_sa *sa = &c->sas[i];
		const struct alg *cipher = &algs[sa->suite.cipher];

		must(sa->name[0] != 0 && sa->spi >= 256);
		must(sa->src.family == sa->dst.family &&
		     (sa->src.family == 4 || sa->src.family == 6));
		must(cipher->kind != ALG_AUTH && sa->key.len == cipher->key_len + cipher->salt_len);
		must(sa->auth_key.len == algs[sa->suite.auth].key_len);
		must(sa->replay_window == 0 ||
		     (sa->replay_window >= 32 && sa->replay_window <= 65536));
	}
}

static void
check_policies(const struct conf *c)
{
	for (uint32_t i = 0; i < c->n_policies; i++) {
		const struct conf_policy *p = &c->policies[i];
		const struct conf_net *src, *dst;
		uint64_t at = 0;

		must(conf_policy_pair(p, &at, &src, &dst) && src->family == dst->family);
		must(p->action == CONF_PROTECT ?
			     p->sa < c->n_sas && c->sas[p->sa].direction == p->direction :
			     p->sa == CONF_NONE);
	}
}

/* Printable text, a line each. */
static void
check_said(const char *said, size_t len)
{
	for (size_t i = 0; i < len; i++)
		must(said[i] == '\n' || ((unsigned char)said[i] >= 0x20 && said[i] != 0x7f));
}

static void
check_accepted(const struct conf *c, FILE *out, struct conf_errors *e)
{
	struct conf_diff d;

	must(c->n_ports > 0);
	for (uint32_t i = 0; i < c->n_routes; i++)
		must(c->routes[i].port < c->n_ports);
	for (uint32_t i = 0; i < c->n_neighbours; i++)
		must(c->neighbours[i].port < c->n_ports);
	check_sas(c);
	check_policies(c);
	conf_print(out, c);
	conf_costs_print(out, c);
	must(conf_diff(c, c, &d, e) == 0 && d.n == 0);
	conf_diff_free(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	struct conf_errors e;
	struct conf *c;
	char *said = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&said, &len);
	int rc;

	if (out == NULL)
		return 0;
	conf_errors_init(&e, "fuzz");
	rc = conf_load_text((const char *)octets, size, "fuzz", CONF_NO_SOURCES, &c, &e);
	must((rc == 0) == (c != NULL) && (rc == 0) == (e.n_errors == 0));
	conf_errors_print(out, &e);
	if (c != NULL)
		check_accepted(c, out, &e);
	fclose(out);
	check_said(said, len);
	free(said);
	conf_free(c);
	conf_errors_free(&e);
	return 0;
}
