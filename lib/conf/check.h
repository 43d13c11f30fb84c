/* What the schema cannot say: keys that must go together, and items that must. Inside lib/conf
 * only. */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/bind.h"
#include "conf/index.h"

/* An error or a warning at a key of an item, or at the item where it has no such key. */
bool item_error(struct load *l, const struct conf_mark *mark, const struct origin *o,
		const char *key, const char *right, const char *format, ...)
	__rte_format_printf(6, 7);
void item_warning(struct load *l, const struct conf_mark *mark, const struct origin *o,
		  const char *key, const char *right, const char *format, ...)
	__rte_format_printf(6, 7);

/* Finds the SAs that each policy names, and those that cannot be named so. sas: the index of their
 * names.
 */
void check_sets(struct load *l, const struct index *sas);

/* Settles suite and keys of each SA, and finds those that cannot stand beside each other. */
void check_sas(struct load *l);

/* Of an SA by itself, which gets what IP-TFS has for defaults; of its sizes, when its suite is
 * known; and of those that need one that comes back. */
void check_iptfs(struct load *l, struct conf_sa *sa, const struct origin *o);
void check_iptfs_room(struct load *l, const struct conf_sa *sa, const struct origin *o);
void check_iptfs_pairs(struct load *l);

#endif
