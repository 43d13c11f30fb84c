/* Inside the codec: what an SA that is to be made must be, as far as its message shows it. */
#ifndef XFRM_CHECK_SA_H
#define XFRM_CHECK_SA_H

#include "xfrm/xfrm.h"

struct attrs;

/* attrs: where the fields came from, for the sentences. */
int sa_check(const struct xfrm_sa *sa, const struct attrs *attrs, struct err *err);

/* XFRMA_SA_PCPU only with a direction. */
int pcpu_check(const struct xfrm_sa *sa, const struct attrs *attrs, struct err *err);

#endif
