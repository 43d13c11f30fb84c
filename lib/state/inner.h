/* Inside lib/state: who has what.
 *
 * Control gathers wants. A batch of them is handed to the writer as the flight, which is the
 * writer's from FLIGHT_POSTED to FLIGHT_WRITTEN and control's otherwise. The table, the counts and
 * the flight's state are both's, under the lock, which nobody holds over a call of the io table.
 */
#ifndef STATE_INNER_H
#define STATE_INNER_H

#include <pthread.h>

#include "state/format.h"
#include "state/io.h"
#include "state/state.h"
#include "state/table.h"

#define CHUNK_RECORDS 1024

struct state_batch {
	struct state_want *wants;
	size_t n, size;
	uint64_t ticket; /* of the last one */
};

enum flight_is {
	FLIGHT_NONE,
	FLIGHT_POSTED,
	FLIGHT_WRITTEN,
};

/* A file that is being written anew, beside the one in use. */
struct state_rewrite {
	bool active;
	int fd;
	uint32_t cursor;     /* the next entry of the table */
	uint32_t drop_until; /* dead keys that expire by then are left out, s */
	uint64_t end, synced;
	struct state_header header;
};

struct state_file {
	const struct state_io *io;
	uint64_t (*wall_s)(void);
	uint64_t rewrite_min;
	uint32_t retry_ms;
	bool by_hand;
	char *path, *path_new, *path_witness, *path_dir;

	/* The writer's. */
	int fd, witness_fd;
	struct state_header header;
	uint64_t end;		/* where the next record goes; all before it is on the disk */
	uint64_t inode;		/* of fd */
	uint64_t rewrite_after; /* octets: no rewrite before the file has them, after one failed */
	uint64_t rewritten_s;
	bool must_rewrite; /* what the file's end looks like on the disk is unknown */
	struct state_rewrite rewrite;
	struct state_slot slot; /* the newest */
	uint8_t slot_at,
		synced_at; /* which of the two it is; which one is on the disk for certain */
	uint8_t *buffer;   /* CHUNK_RECORDS */

	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	bool has_thread, stop, left, is_orphan;
	struct state_table table;
	uint32_t n_dead; /* entries at rest that expire */
	struct state_counts counts;
	enum flight_is flight_is;
	uint64_t posted_us;
	struct state_batch flight;

	/* Control's. */
	int eventfd;
	struct state_batch gathered;
	uint64_t next_ticket, done_ticket;
};

/* ---- witness.c: the file beside ---- */

/* Reads both slots. Returns how many are good, or a negative errno; the newest is f->slot. */
int witness_load(struct state_file *f);
/* Durable on return. */
int witness_sync(struct state_file *f, uint64_t generation, uint64_t durable);
/* How far the file is now; not synced, so that a commit costs one fsync. */
int witness_note(struct state_file *f);

/* ---- rewrite.c: the file anew. The witness is told by who calls rewrite_all(). ---- */

int rewrite_begin(struct state_file *f);
/* Some more of the table; 1: it was the last, and the file is in use now. */
int rewrite_slice(struct state_file *f);
/* The same up to the end, with a batch that the table does not have. NULL: none. */
int rewrite_all(struct state_file *f, const struct state_batch *batch);
/* What was committed meanwhile. */
int rewrite_append(struct state_file *f, const struct state_batch *batch);
void rewrite_abort(struct state_file *f);
bool rewrite_is_due(struct state_file *f);

/* ---- writer.c ---- */

/* Encodes and writes a batch at *end, which moves behind it. durable 0: of each record its own
 * place. */
int batch_write(struct state_file *f, int fd, uint32_t seed, const struct state_batch *batch,
		uint64_t durable, uint64_t *end);
int sync_count(struct state_file *f, int fd);
int directory_sync(struct state_file *f);
void *writer_main(void *arg);
int writer_turn(struct state_file *f);
uint64_t now_us(void);

/* ---- state.c ---- */

/* Whether the entry is one of a key at rest that is forgotten one day. */
static inline bool
entry_is_dead(const struct state_entry *e)
{
	return e->taken && !e->live && !e->forever && e->number != 0;
}

/* All but the file's descriptors and what is in them; frees also what open left half-way. */
struct state_file *state_file_make(const struct state_options *options, struct err *err);
void state_file_unmake(struct state_file *f);
int writer_start(struct state_file *f, struct err *err);

#endif
