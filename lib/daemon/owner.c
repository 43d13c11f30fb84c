#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/state.h"

static struct daemon_owner **
bucket_of(struct daemons *d, uid_t uid, uint64_t instance)
{
	uint64_t mixed = (instance ^ uid) * UINT64_C(0x9e3779b97f4a7c15);

	return &d->owners[mixed >> 56];
}

static struct daemon_owner *
owner_make(struct daemons *d, const struct daemon_client *c)
{
	struct daemon_owner **at = bucket_of(d, c->uid, c->instance), *o;

	for (o = *at; o != NULL; o = o->next)
		if (o->uid == c->uid && o->instance == c->instance)
			return o;
	o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	o->uid = c->uid;
	o->instance = c->instance;
	o->next = *at;
	*at = o;
	d->n_owners++;
	return o;
}

/* Nobody speaks for it, and nothing is its. */
static void
owner_settle(struct daemons *d, struct daemon_owner *o)
{
	struct daemon_owner **at = bucket_of(d, o->uid, o->instance);

	if (o->n_clients > 0 || o->n_things > 0)
		return;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	d->n_orphans -= owner_is_orphan(o);
	d->n_owners--;
	free(o);
}

static void
orphan_set(struct daemons *d, struct daemon_owner *o, uint64_t since)
{
	d->n_orphans -= owner_is_orphan(o);
	o->orphan_since = since;
	d->n_orphans += owner_is_orphan(o);
}

int
owner_of(struct daemons *d, struct daemon_client *c, struct err *err)
{
	static const uint32_t of_daemons =
		XFRM_GROUP_BIT(XFRM_GROUP_ACQUIRE) | XFRM_GROUP_BIT(XFRM_GROUP_EXPIRE);
	struct daemon_owner *o = c->owner;

	if (o == NULL || o->uid != c->uid || o->instance != c->instance) {
		owner_leave(d, c);
		o = owner_make(d, c);
		if (o == NULL)
			return err_set(err, -ENOMEM, "no memory for a client");
		o->n_clients++;
		o->pid = c->pid;
		snprintf(o->program, sizeof(o->program), "%s", c->program);
		orphan_set(d, o, 0);
		c->owner = o;
	}
	o->is_daemon |= (c->groups & of_daemons) != 0;
	return 0;
}

void
owner_leave(struct daemons *d, struct daemon_client *c)
{
	struct daemon_owner *o = c->owner;

	c->owner = NULL;
	if (o == NULL)
		return;
	if (--o->n_clients == 0 && o->is_daemon)
		orphan_set(d, o, RTE_MAX(clock_now(&d->gw->clock), UINT64_C(1)));
	owner_settle(d, o);
}

bool
owner_is_orphan(const struct daemon_owner *o)
{
	return o->orphan_since != 0;
}

bool
owner_may_change(const struct daemon_owner *by, const struct daemon_owner *of)
{
	return by == of || (by->uid == of->uid && (!of->is_daemon || owner_is_orphan(of)));
}

void
owner_count(struct daemons *d, struct daemon_owner *o, int by)
{
	o->n_things += by;
	owner_settle(d, o);
}

const char *
owner_text(const struct daemon_owner *o)
{
	static char text[96];

	snprintf(text, sizeof(text), "%s %.40s%suid %u, pid %d", o->is_daemon ? "daemon" : "script",
		 o->program, o->program[0] != 0 ? ", " : "", o->uid, o->pid);
	return text;
}

void
owners_free(struct daemons *d)
{
	for (uint32_t i = 0; i < OWNER_BUCKETS; i++) {
		while (d->owners[i] != NULL) {
			struct daemon_owner *o = d->owners[i];

			d->owners[i] = o->next;
			free(o);
		}
	}
}
