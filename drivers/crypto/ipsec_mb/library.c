#include "library.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct library shared = {
	.set_pointers = imb_set_pointers_mb_mgr,
	.init_auto = init_mb_mgr_auto,
	.init_avx2 = init_mb_mgr_avx2,
	.errno_of = imb_get_errno,
	.fd = -1,
};
static unsigned int n_shared; /* how many have it */

/* The sanitizers know the process's libraries only, and end it over RTLD_DEEPBIND. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MAY_COPY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MAY_COPY false
#endif
#endif
#ifndef MAY_COPY
#define MAY_COPY true
#endif

/* The file of the shared library, copied to memory. */
static int
file_copy(void)
{
	struct stat st = { .st_size = 0 };
	off_t at = 0;
	Dl_info info;
	int from, to = -1;

	if (dladdr((void *)(uintptr_t)imb_get_errno, &info) == 0)
		return -1;
	from = open(info.dli_fname, O_RDONLY | O_CLOEXEC);
	if (from >= 0 && fstat(from, &st) == 0)
		to = memfd_create("libIPSec_MB", MFD_CLOEXEC);
	while (to >= 0 && at < st.st_size)
		if (sendfile(to, from, &at, st.st_size - at) <= 0) {
			close(to);
			to = -1;
		}
	if (from >= 0)
		close(from);
	return to;
}

/* POSIX's way from an object's address to a function's. */
static bool
function_find(void *handle, const char *name, void *function)
{
	void **at = function;

	*at = dlsym(handle, name);
	return *at != NULL;
}

/* The file may be another by now than the one that runs. */
static bool
is_same(void *handle)
{
	unsigned int (*version)(void);

	return function_find(handle, "imb_get_version", &version) && version() == imb_get_version();
}

static bool
copy_open(struct library *l)
{
	char path[32];

	l->fd = file_copy();
	if (l->fd < 0)
		return false;
	/* The descriptor stays open: the loader takes one path for one library. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", l->fd);
	/* Its own functions come before those of the same names that the program has already. */
	l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
	return l->handle != NULL && is_same(l->handle) &&
	       function_find(l->handle, "imb_set_pointers_mb_mgr", &l->set_pointers) &&
	       function_find(l->handle, "init_mb_mgr_auto", &l->init_auto) &&
	       function_find(l->handle, "init_mb_mgr_avx2", &l->init_avx2) &&
	       function_find(l->handle, "imb_get_errno", &l->errno_of);
}

static void
copy_close(struct library *l)
{
	if (l->handle != NULL)
		dlclose(l->handle);
	if (l->fd >= 0)
		close(l->fd);
}

void
library_open(struct library *l)
{
	*l = (struct library) { .fd = -1 };
	if (n_shared > 0 && MAY_COPY) {
		if (copy_open(l))
			return;
		copy_close(l);
	}
	*l = shared;
	n_shared++;
}

void
library_close(struct library *l)
{
	if (l->handle != NULL)
		copy_close(l);
	else if (l->set_pointers != NULL)
		n_shared--;
	*l = (struct library) { .fd = -1 };
}
