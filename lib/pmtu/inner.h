/* Paths and what is noted of SAs: between the files of lib/pmtu only. */
#ifndef PMTU_INNER_H
#define PMTU_INNER_H

#include "base/pace.h"
#include "base/slab.h"
#include "pmtu/pmtu.h"
#include "sa/sa.h"

/* Compared and hashed as octets: no room between its fields. */
struct path_key {
	uint8_t src[16], dst[16];  /* IPv4 in the first 4 octets */
	uint16_t udp_src, udp_dst; /* host order; 0: not in UDP */
	uint32_t family;
};
_Static_assert(sizeof(struct path_key) == 40, "no room between");

struct path {
	struct path_key key;
	uint32_t next; /* of its bucket */
	uint32_t next_ready, next_walking;
	uint16_t mtu; /* learnt; 0: nothing is */
	uint8_t source;
	bool ready;  /* in line for a probe */
	bool flying; /* a probe of this size is on its way */
	uint16_t flying_size;
	bool walking; /* SAs are still to be told of a change, from `cursor` on */
	uint32_t cursor;
	uint32_t sa, generation; /* by which it was learnt last */
	uint64_t until;		 /* ns */
	uint64_t reported;	 /* ns: when ICMP counted last; 0: never */
	struct prober prober;
};

enum slot_flag {
	SLOT_ICMP = 1 << 0,
	SLOT_PROBE = 1 << 1,
	SLOT_USED = 1 << 2,
};

/* Of an SA, by its index. Links are an index and 1; 0 ends a chain. */
struct slot {
	uint32_t next_of_spi;
	uint32_t next_of_path, prev_of_path; /* of all SAs in the bucket of its path */
	uint32_t age_s;
	uint16_t floor;
	uint8_t flags; /* enum slot_flag */
};

struct pmtu {
	struct pmtu_params params;
	struct pmtu_sender sender;
	struct slot *slots;
	uint32_t *by_spi, *by_peer; /* heads: indices of SAs and 1 */
	uint32_t *by_key;	    /* heads: indices of paths and 1 */
	uint32_t mask;		    /* of all three */
	struct slab paths;
	uint32_t first_walking;		  /* index of a path and 1 */
	uint32_t first_ready, last_ready; /* indices of paths and 1 */
	uint32_t n_flying;
	struct pace pace;
	uint64_t round_began; /* of the look at all paths, ns */
	uint32_t round_next;
	uint64_t counts[PMTU_COUNT_MAX];
};

/* ---- path.c ---- */

void path_key_of(const struct pmtu *p, uint32_t sa, struct path_key *key);
/* NULL: it has no record. */
struct path *path_find(const struct pmtu *p, const struct path_key *key);
/* Finds or makes it. -ENOSPC, -ENOMEM. */
int path_take(struct pmtu *p, const struct path_key *key, struct path **path, struct err *err);
/* Gives it back if nothing is known of it and nobody probes it. */
void path_settle(struct pmtu *p, struct path *path);
uint32_t path_index(const struct pmtu *p, const struct path *path);

static inline struct path *
path_at(const struct pmtu *p, uint32_t index)
{
	return slab_at(&p->paths, index);
}

uint32_t spi_bucket(const struct pmtu *p, uint32_t spi_be, const uint8_t dst[16]);
uint32_t key_bucket(const struct pmtu *p, const struct path_key *key);
void sa_link(struct pmtu *p, uint32_t sa);
void sa_unlink(struct pmtu *p, uint32_t sa);
/* The first SA of a path that does all of `flags`, and is live; SA_NONE: none. Looks at some only.
 */
uint32_t path_sa(const struct pmtu *p, const struct path_key *key, uint8_t flags);
/* Goes on telling the path's SAs of a change, some of them. */
void path_walk(struct pmtu *p, struct path *path);
/* From the first of them on. */
void path_changed(struct pmtu *p, struct path *path);

/* ---- pmtu.c ---- */

static inline void
count(struct pmtu *p, enum pmtu_count what)
{
	p->counts[what]++;
}

uint16_t slot_floor(const struct pmtu *p, uint32_t sa);
/* What the path's SAs are to send from now on. */
void path_learn(struct pmtu *p, struct path *path, uint32_t sa, uint16_t mtu,
		enum pmtu_source source, uint64_t now);
void path_forget(struct pmtu *p, struct path *path);

/* ---- probing.c ---- */

/* The path has an SA that is to be probed. */
void probing_begin(struct pmtu *p, struct path *path, uint32_t sa, uint64_t now);
/* Puts a path in line whose prober wants to try something. */
void probing_look(struct pmtu *p, struct path *path, uint64_t now);
/* Sends what is in line, at its pace. */
void probing_tick(struct pmtu *p, uint64_t now);
void probing_forget(struct pmtu *p, struct path *path);

#endif
