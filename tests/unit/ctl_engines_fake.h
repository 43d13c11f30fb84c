/* A port's device and an asynchronous engine that do nothing, and say what they were asked. */
#ifndef TESTS_CTL_ENGINES_FAKE_H
#define TESTS_CTL_ENGINES_FAKE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/offloads.h"

/* What was asked of the fakes, in order, such as "open 0 crypto out 0x1001; ". */
static struct {
	char said[1024];
	int room;      /* sessions that the device takes */
	int crypto_rc; /* of serves, for inline crypto */
	bool tx_number;
	int async_rc;	   /* of open and of session_open */
	char sessions[16]; /* their addresses are what matters */
	int n_sessions;
} fake;

static void
say(const char *format, ...)
{
	size_t at = strlen(fake.said);
	va_list ap;

	va_start(ap, format);
	vsnprintf(fake.said + at, sizeof(fake.said) - at, format, ap);
	va_end(ap);
}

static void
said(const char *what, const char *want)
{
	if (strcmp(fake.said, want) != 0)
		fail_msg("%s: \"%s\", wanted \"%s\"", what, fake.said, want);
	fake.said[0] = 0;
}

static int
device_open(uint16_t dpdk_id, const char *options, uint16_t n_workers, int socket,
	    struct offload_port **out, struct err *err)
{
	*out = (struct offload_port *)&fake;
	return 0;
}

static void
device_reset(struct offload_port *op, bool renewed)
{
	say(renewed ? "renewed; " : "reset; ");
}

static int
device_serves(const struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind,
	      struct err *err)
{
	if (kind == OFFLOAD_CRYPTO && fake.crypto_rc < 0)
		return err_set(err, fake.crypto_rc, "not this way");
	return 0;
}

static int
device_session_open(struct offload_port *op, const struct offload_ask *ask, enum offload_kind kind,
		    struct offload_session **out, struct err *err)
{
	if (fake.room == 0)
		return err_set(err, -ENOSPC, "the table is full");
	fake.room--;
	say("open %s %s 0x%x; ", offload_kind_name(kind), ask->inbound ? "in" : "out", ask->spi);
	*out = (struct offload_session *)&fake.sessions[fake.n_sessions++];
	return 0;
}

static void
device_session_end(struct offload_port *op, struct offload_session *s)
{
	say("end %d; ", (int)((char *)s - fake.sessions));
}

static void
device_session_free(struct offload_port *op, struct offload_session *s)
{
	say("free %d; ", (int)((char *)s - fake.sessions));
	fake.room++;
}

static int
device_counts(struct offload_port *op, const struct offload_session *s, struct offload_counts *c)
{
	*c = (struct offload_counts) { .packets = 3, .octets = 300 };
	return 0;
}

static void
device_close(struct offload_port *op)
{
	device_reset(op, false);
}

static void
device_caps(const struct offload_port *op, struct offload_caps *caps)
{
	*caps = (struct offload_caps) { .tx_number = fake.tx_number, .provider = "fake" };
}

static const struct offload offload_fake = {
	.name = "fake",
	.port_open = device_open,
	.port_close = device_close,
	.port_reset = device_reset,
	.serves = device_serves,
	.session_open = device_session_open,
	.session_end = device_session_end,
	.session_free = device_session_free,
	.session_counts = device_counts,
	.caps = device_caps,
};

static int
any_serves(const struct suite *suite, struct err *err)
{
	return 0;
}

static const struct engine fake_inline = { .name = "inline",
					   .kind = ENGINE_INLINE,
					   .serves = any_serves };

static int
async_open(const struct engine_setup *setup, struct err *err)
{
	return fake.async_rc == -ENODEV ? err_set(err, -ENODEV, "there is none") : 0;
}

static void
async_close(void)
{
}

static int
async_session_open(const struct session *s, bool encrypt, struct err *err)
{
	if (fake.async_rc < 0)
		return err_set(err, fake.async_rc, "no device has room");
	say("async %s; ", encrypt ? "out" : "in");
	return 0;
}

static void
async_session_close(uint32_t id)
{
	say("async end; ");
}

static const struct engine_async async = {
	.open = async_open,
	.close = async_close,
	.session_open = async_session_open,
	.session_close = async_session_close,
};

static const struct engine fake_async = {
	.name = "cryptodev", .kind = ENGINE_ASYNC, .serves = any_serves, .async = &async
};

#endif
