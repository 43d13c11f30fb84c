/* The socket and what serves XFRM messages, joined. */
#include "ipc/xfrm.h"

#include "daemon/daemon.h"

static int
hello(void *ctx, struct daemon_client *c, struct err *err)
{
	return daemon_client_hello(ctx, c, err);
}

static void
request(void *ctx, struct daemon_client *c, const void *datagram, size_t len)
{
	daemon_request(ctx, c, datagram, len);
}

static bool
dump_more(void *ctx, struct daemon_client *c)
{
	return daemon_dump_more(ctx, c);
}

static void
gone(void *ctx, struct daemon_client *c)
{
	daemon_client_gone(ctx, c);
}

static bool
listens(void *ctx, unsigned int group)
{
	return ipc_listens(ctx, group);
}

int
ipc_serve_xfrm(struct ipc *ipc, struct gw *gw, struct daemons **daemons, struct err *err)
{
	const struct daemon_out out = { ipc, ipc_reply, ipc_event, listens, ipc_hold, ipc_release };
	int rc = daemons_create(gw, &out, daemons, err);

	if (rc < 0)
		return rc;
	ipc_serve(ipc, &(struct ipc_xfrm) {
			       .ctx = *daemons,
			       .hello = hello,
			       .request = request,
			       .dump_more = dump_more,
			       .gone = gone,
		       });
	return 0;
}
