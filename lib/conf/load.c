#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/bind.h"
#include "conf/net.h"

/* A list of the file whose items are structs of their own. */
struct part {
	const char *name;
	uint8_t list;					   /* enum conf_list */
	uint8_t block;					   /* enum conf_block */
	uint16_t items_at, n_at;			   /* in struct conf */
	uint16_t size, mark_at;				   /* of an item */
	uint16_t origins_at;				   /* in struct load */
	uint16_t defaults_at;				   /* in struct load; 0 = all zero */
	uint32_t (*n_tunnels)(const struct node *tunnels); /* items that tunnels make; NULL: none */
};

#define PART(name, list, block, item, defaults, tunnel)                                            \
	{                                                                                          \
#name, CONF_LIST_##list, BLOCK_##block, offsetof(struct conf, name),               \
			offsetof(struct conf, n_##name), sizeof(struct item),                      \
			offsetof(struct item, mark), offsetof(struct load, name), defaults, tunnel \
	}

static const struct part parts[] = {
	PART(ports, PORTS, PORT, conf_port, offsetof(struct load, defaults.port), NULL),
	PART(routes, ROUTES, ROUTE, conf_route, 0, NULL),
	PART(neighbours, NEIGHBOURS, NEIGHBOUR, conf_neighbour, 0, NULL),
	PART(sas, SAS, SA, conf_sa, offsetof(struct load, defaults.sa), tunnels_n_sas),
	PART(policies, POLICIES, POLICY, conf_policy, offsetof(struct load, defaults.policy),
	     tunnels_n_policies),
};
#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

/* A list of the root, NULL when there is none or nothing behind its key. */
static const struct node *
root_list(struct load *l, const char *name)
{
	const struct node *n = node_get(l->doc.root, name);
	size_t was;

	if (n == NULL || n->kind == NODE_LIST)
		return n;
	if (n->kind == NODE_SCALAR && n->n == 0 && !n->quoted)
		return NULL;
	was = path_push(l, "%s", name);
	load_error(l, n, "a list, each item behind a dash",
		   n->kind == NODE_MAP ? "a map" : "a single value");
	path_pop(l, was);
	return NULL;
}

static void
note_places(const struct node *map, enum conf_block block, struct conf_place *places)
{
	uint32_t n;
	const struct conf_key *k = schema_block(block, &n);

	for (uint32_t i = 0; i < n && i < CONF_PLACES; i++) {
		const struct node *value = node_get(map, k[i].name);

		if (value != NULL)
			places[i] = (struct conf_place) { value->line, value->col };
	}
}

static void
read_item(struct load *l, const struct part *p, const struct node *n, void *item, struct origin *o)
{
	struct target t = { .block = p->block, .also = BLOCKS, .base = item };
	uint32_t before = l->e->n_errors;
	uint64_t given = 0;

	if (p->defaults_at != 0) {
		t.defaults = (const char *)l + p->defaults_at;
		memcpy(item, t.defaults, p->size);
	}
	if (n->kind == NODE_MAP) {
		bind_map(l, n, &t, &given, NULL);
		bind_require(l, n, p->block, given, 0);
	} else {
		load_error(l, n, "a map of keys",
			   n->kind == NODE_LIST ? "a list" : "a single value");
	}
	if (p->block == BLOCK_PORT)
		note_places(n, BLOCK_PORT, ((struct conf_port *)item)->places);
	o->map = n;
	o->bad = l->e->n_errors != before;
}

static int
read_part(struct load *l, const struct part *p, const struct node *tunnels)
{
	const struct node *list = root_list(l, p->name);
	uint32_t n = list != NULL ? list->n : 0;
	uint32_t room = n + (p->n_tunnels != NULL ? p->n_tunnels(tunnels) : 0);
	char *items = calloc(room + 1, p->size);
	struct origin *origins = calloc(room + 1, sizeof(*origins));
	uint32_t i = 0;

	memcpy((char *)l->conf + p->items_at, &items, sizeof(items));
	memcpy((char *)l + p->origins_at, &origins, sizeof(origins));
	if (items == NULL || origins == NULL)
		return -ENOMEM;
	for (const struct node *one = list != NULL ? list->child : NULL; one != NULL;
	     one = one->next, i++) {
		struct conf_mark mark = { one->line, one->col, i, 0, p->list };
		size_t was = path_push(l, "%s[%u]", p->name, i);
		char *item = items + (size_t)i * p->size;

		read_item(l, p, one, item, &origins[i]);
		memcpy(item + p->mark_at, &mark, sizeof(mark));
		path_pop(l, was);
	}
	memcpy((char *)l->conf + p->n_at, &n, sizeof(n));
	return 0;
}

static void
read_gateway(struct load *l)
{
	const struct node *n = node_get(l->doc.root, "gateway");
	struct target t = { .block = BLOCK_GATEWAY,
			    .also = BLOCKS,
			    .base = &l->conf->gateway,
			    .defaults = &l->defaults.gateway };
	size_t was = path_push(l, "gateway");

	l->conf->gateway = l->defaults.gateway;
	if (n != NULL && n->kind == NODE_MAP)
		bind_map(l, n, &t, NULL, NULL);
	else if (n != NULL && (n->kind == NODE_LIST || n->n != 0))
		load_error(l, n, "a map of keys",
			   n->kind == NODE_LIST ? "a list" : "a single value");
	note_places(n, BLOCK_GATEWAY, l->conf->gateway.places);
	path_pop(l, was);
}

void
read_root(struct load *l)
{
	struct target t = { .block = BLOCK_ROOT, .also = BLOCKS, .base = l->conf };
	const struct node *tunnels;

	if (l->doc.root->kind != NODE_MAP) {
		load_error(l, l->doc.root, "a map: version: 1, gateway:, ports: …", "not a map");
		return;
	}
	l->conf->version = 1;
	bind_map(l, l->doc.root, &t, NULL, NULL);
	read_gateway(l);
	tunnels = root_list(l, "tunnels");
	for (size_t i = 0; i < N_PARTS; i++)
		if (read_part(l, &parts[i], tunnels) < 0) {
			l->no_memory = true;
			return;
		}
	read_tunnels(l, tunnels);
	check_all(l);
}

static void
fill_defaults(struct load *l)
{
	bind_defaults(l, BLOCK_GATEWAY, &l->defaults.gateway);
	bind_defaults(l, BLOCK_PORT, &l->defaults.port);
	bind_defaults(l, BLOCK_SA, &l->defaults.sa);
	bind_defaults(l, BLOCK_POLICY, &l->defaults.policy);
	l->defaults.sa.set = CONF_NONE;
	l->defaults.policy.sa = l->defaults.policy.set = CONF_NONE;
}

static int
load_text(struct load *l, const char *text, size_t len, struct conf **out)
{
	uint32_t before = l->e->n_errors;
	int rc;

	*out = NULL;
	l->conf = calloc(1, sizeof(*l->conf));
	if (l->conf == NULL)
		return -ENOMEM;
	fill_defaults(l);
	rc = doc_read(&l->doc, text, len, l->e);
	if (rc == 0)
		read_root(l);
	if (l->no_memory)
		rc = -ENOMEM;
	if (rc == -ENOMEM)
		conf_complain_at(l->e, false, 0, 0, "", NULL, "no memory");
	if (rc == 0 && l->e->n_errors != before)
		rc = -EINVAL;
	doc_free(&l->doc);
	free(l->ports);
	free(l->routes);
	free(l->neighbours);
	free(l->sas);
	free(l->policies);
	if (rc < 0)
		conf_free(l->conf);
	else
		*out = l->conf;
	return rc;
}

int
conf_load_text(const char *text, size_t len, const char *name, unsigned flags, struct conf **out,
	       struct conf_errors *e)
{
	struct load l = { .e = e, .file = name, .flags = flags };

	*out = NULL;
	if (len > CONF_FILE_MAX) {
		conf_complain_at(e, false, 0, 0, "", "at most 16Mi octets", "%zu octets", len);
		return -EINVAL;
	}
	return load_text(&l, text, len, out);
}

static int
file_error(struct conf_errors *e, int rc, const char *right)
{
	conf_complain_at(e, false, 0, 0, "", right, "%s", strerror(-rc));
	return rc;
}

/* Octets read, at most size; -errno after complaining. */
static ssize_t
file_read(struct load *l, char *buf, size_t size)
{
	int fd = open(l->file, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t got = 1;
	struct stat st;

	if (fd < 0)
		return file_error(l->e, -errno, "a file that can be read");
	if (fstat(fd, &st) == 0)
		l->open_file = S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0;
	while (got > 0 && have < size) {
		got = read(fd, buf + have, size - have);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			have += got;
	}
	if (got < 0)
		file_error(l->e, got = -errno, "a file that can be read");
	close(fd);
	return got < 0 ? got : (ssize_t)have;
}

int
conf_load(const char *path, struct conf **out, struct conf_errors *e)
{
	struct load l = { .e = e, .file = path };
	/* All of it at once: growing would leave copies of keys behind. */
	char *buf = malloc(CONF_FILE_MAX + 1);
	ssize_t len;
	int rc;

	*out = NULL;
	if (buf == NULL)
		return file_error(e, -ENOMEM, NULL);
	len = file_read(&l, buf, CONF_FILE_MAX + 1);
	rc = len < 0 ? (int)len : 0;
	if (len > (ssize_t)CONF_FILE_MAX) {
		conf_complain_at(e, false, 0, 0, "", "at most 16Mi octets",
				 "the file is too large");
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = load_text(&l, buf, len, out);
	explicit_bzero(buf, len > 0 ? (size_t)len : 0);
	free(buf);
	return rc;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n_ports; i++)
		free(c->ports[i].addresses.list);
	for (uint32_t i = 0; i < c->n_policies; i++) {
		free(c->policies[i].src.list);
		free(c->policies[i].dst.list);
		free(c->policies[i].sa_names.more);
	}
	for (uint32_t i = 0; i < c->n_sets; i++)
		free(c->sets[i].sas);
	if (c->sas != NULL)
		explicit_bzero(c->sas, c->n_sas * sizeof(*c->sas));
	free(c->ports);
	free(c->gateway.crypto_devices.list);
	free(c->routes);
	free(c->neighbours);
	free(c->sas);
	free(c->policies);
	free(c->sets);
	free(c);
}

bool
conf_policy_pair(const struct conf_policy *p, uint64_t *at, const struct conf_net **src,
		 const struct conf_net **dst)
{
	uint64_t n = (uint64_t)p->src.n * p->dst.n;

	while (*at < n) {
		*src = &p->src.list[*at / p->dst.n];
		*dst = &p->dst.list[*at % p->dst.n];
		++*at;
		if ((*src)->family == (*dst)->family)
			return true;
	}
	return false;
}
