/* A disk in memory under the io table of lib/state: power can be cut at any call, and what was not
 * synced is then there, or not, or in part, whatever its order. Calls can be made to fail.
 */
#ifndef TESTS_STATE_DISK_H
#define TESTS_STATE_DISK_H

#include "state/io.h"

#define DISK_FILES   8
#define DISK_HANDLES 16

struct disk_write {
	struct disk_write *next;
	size_t len;
	uint64_t at;
	uint8_t octets[];
};

struct disk_file {
	bool used;
	uint64_t inode;
	uint8_t *now, *synced; /* contents */
	size_t now_size, synced_size;
	struct disk_write *writes, **last; /* since the last sync */
};

struct disk_name {
	char name[64];
	int file; /* -1: nothing has the name */
};

/* A change of the directory that is not on the disk yet: that name leads there from now on. */
struct disk_change {
	struct disk_name to, gone; /* gone.name empty: none */
};

struct disk {
	struct state_io io;
	struct disk_file files[DISK_FILES];
	struct disk_name names[DISK_FILES], synced_names[DISK_FILES];
	struct disk_change changes[256];
	unsigned int n_changes;
	struct {
		bool used, is_directory, locked;
		int file;
	} handles[DISK_HANDLES];
	uint64_t next_inode;
	uint32_t random;
	unsigned int calls;   /* that change something, so far */
	unsigned int cut_at;  /* the call at which power goes; 0: never */
	unsigned int fail_at; /* the first call that fails; 0: none */
	unsigned int n_fail;
	int fail_with; /* negative errno */
	bool dead;     /* power is gone */
	bool lies;     /* fsync does nothing */
};

void disk_init(struct disk *d, uint32_t seed);
void disk_fini(struct disk *d);
/* What is there after the power has come back; all handles and locks are gone. */
void disk_crash(struct disk *d);
/* As after a kill: handles and locks are gone, the rest is as it was. */
void disk_kill(struct disk *d);
uint32_t disk_random(struct disk *d, uint32_t below);
/* NULL: there is none. */
struct disk_file *disk_file(struct disk *d, const char *name);
/* A copy put in the place of a file's contents, synced. */
void disk_put(struct disk *d, const char *name, const uint8_t *octets, size_t len);
void disk_remove(struct disk *d, const char *name);

#endif
