/* Encrypted ESP echo: asking the peer of an SA for an answer through the SA itself, and answering
 * peers that ask (draft-ietf-ipsecme-encrypted-esp-ping). The header is wire/esp_echo.h's; workers
 * take echoes in and send them by esp/echo.h; here is what control decides.
 *
 * A peer that knows nothing of it is silent: an echo that is lost proves nothing, unless one was
 * answered before, or the peer has agreed to answer.
 *
 * Control's thread only. Nothing here blocks; what is decided later is told by the callback, out of
 * echo_tick().
 */
#ifndef ECHO_ECHO_H
#define ECHO_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define ECHO_TIMEOUT_NS UINT64_C(1000000000) /* where none is said */
#define ECHO_OPEN_MAX	65536		     /* that wait for their answers at a time */

struct addr;
struct gw;

enum echo_flag {
	/* A probe of the path: the outer packet has `size` octets (see there), its DF is set, and
	 * neither we nor a router on the way cut it. It may be larger than the path MTU that we
	 * believe in, but no larger than the link's. */
	ECHO_PROBE = 1 << 0,
	/* The answer need not bring the data back, so that one way is probed alone. A peer that
	 * does not know this bit (it is ours) brings them back. */
	ECHO_NODATA = 1 << 1,
	/* The answer is to come by the inbound SA return_spi. */
	ECHO_RETURN_SPI = 1 << 2,
};

struct echo_request {
	uint8_t flags; /* enum echo_flag */
	uint16_t id;   /* of echo_id(); all of one session have the same */
	uint16_t seq;
	/* Octets of data, or with ECHO_PROBE of the outer packet from its IP header on. Ciphers
	 * pad to 4 octets or more: what cannot be met is rounded down, and the result says to how
	 * much. */
	uint16_t size;
	uint64_t timeout_ns; /* 0: ECHO_TIMEOUT_NS */
	uint32_t return_spi; /* host order; of an inbound SA of ours from the same peer */
};

enum echo_end {
	ECHO_ANSWERED,
	ECHO_LOST,    /* no answer in time */
	ECHO_SA_GONE, /* the SA ended before the echo could be sent */
	ECHO_UNSENT,  /* its worker could not send it: no buffer, no numbers, or it stands still */
};

struct echo_result {
	uint8_t end; /* enum echo_end; what follows is of an answer unless it says otherwise */
	bool lost;   /* end is not ECHO_ANSWERED */
	bool sent;   /* it left; else it was never sent, and nothing is known of the path */
	uint16_t id, seq;
	uint16_t outer;	   /* octets of the request's outer packet; 0: it was not sent */
	uint16_t data;	   /* octets of data that came back */
	uint64_t rtt_ns;   /* from the worker that enciphered the request to the one that
			      deciphered the answer, at the times their bursts began: without our
			      control's share, with that of the peer */
	uint32_t spi_in;   /* host order: by which inbound SA it came */
	bool path_differs; /* not by the one that was asked for, or that is paired with the SA */
	bool heard;	   /* not answered: other packets of the peer came by the paired inbound SA
			      meanwhile, so the way back works */
};

/* Borrowed for the call. It may start another echo, and may cancel others. */
typedef void echo_fn(void *arg, const struct echo_result *result);

/* After gw_start. -ENOMEM. */
int echo_init(struct gw *gw, struct err *err);
/* After gw_stop, before gw_free: nothing is called any more. Without an echo_init it is fine. */
void echo_fini(struct gw *gw);

/* After each gw_tick(). */
void echo_tick(struct gw *gw);
/* Whether something is under way: worth a look every millisecond. */
bool echo_is_busy(const struct gw *gw);

/* An identifier for a session. */
uint16_t echo_id(struct gw *gw);

/* Sends an echo by an outbound SA (index in gw->sas), and calls fn with what became of it, once,
 * unless it is cancelled. Stores a handle for that, never 0; NULL: nobody wants it. The SA may end
 * meanwhile.
 *
 * -EINVAL: no outbound ESP SA, or return_spi is none of this peer's; -EMSGSIZE: larger than the SA,
 * or for a probe the link, takes, or too small for its headers; -ENOSPC: ECHO_OPEN_MAX; -ENOMEM;
 * -ENETDOWN: the workers do not run.
 */
int echo_start(struct gw *gw, uint32_t sa, const struct echo_request *request, echo_fn *fn,
	       void *arg, uint64_t *handle, struct err *err);
/* The same without an SA: a plain ESP echo (SPI 7) to an address, which says whether the path
 * passes ESP, if its station answers such. size is as above. ECHO_NODATA and ECHO_RETURN_SPI mean
 * nothing.
 *
 * -EINVAL: no address of another station, or one behind a red port; -ENETUNREACH; -EADDRNOTAVAIL:
 * the port has no address of its family.
 */
int echo_plain_start(struct gw *gw, const struct addr *dst, const struct echo_request *request,
		     echo_fn *fn, void *arg, uint64_t *handle, struct err *err);
/* fn is not called any more. A handle that has ended is fine. */
void echo_cancel(struct gw *gw, uint64_t handle);

/* The outbound SA that goes to where an inbound one comes from, or the reverse: the other half of a
 * tunnel of the file, of a bundle the member of the same worker; of a daemon the newest with the
 * same reqid and mode between the same addresses. SA_NONE: there is none.
 */
uint32_t echo_pair(struct gw *gw, uint32_t sa);

/* The sizes of the outer packet that an SA can make, as it rounds them: the largest that is at most
 * `outer`; 0: none. For who probes.
 */
uint16_t echo_outer_size(const struct gw *gw, uint32_t sa, uint16_t outer);

struct echo_counters {
	uint64_t sent, answered, lost; /* ours */
	uint64_t asked, replied;       /* the peers' */
	uint64_t cut;		       /* answers with fewer data than were asked for */
	uint64_t no_way;	       /* no SA to answer by */
	uint64_t return_refused;       /* return SPIs that are no SA of the same peer */
	uint64_t unexpected;	       /* answers that nobody waits for */
};
void echo_counters(const struct gw *gw, struct echo_counters *c);

#endif
