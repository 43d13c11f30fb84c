/* What is for this gateway itself and not ESP. */
#ifndef PUNT_PUNT_STAGE_H
#define PUNT_PUNT_STAGE_H

#include "worker/stage.h"

/* Ends the packet no_listener: no mirror takes it. */
stage_fn punt;

#endif
