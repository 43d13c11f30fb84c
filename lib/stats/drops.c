#include "stats/drops.h"

#define X(id, name, help) { name, help },
const struct stat_name drop_names[DROP_MAX] = { DROP_REASONS(X) };
const struct stat_name consumed_names[CONSUMED_MAX] = { CONSUMED_CAUSES(X) };
const struct stat_name generated_names[GENERATED_MAX] = { GENERATED_CAUSES(X) };
#undef X
