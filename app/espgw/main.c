/* The daemon: arguments, parts, the control lcore's loop, the exit report. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "base/poller.h"
#include "capture.h"
#include "check.h"
#include "cli/prompt.h"
#include "ctl/gw.h"
#include "ctl/log.h"
#include "ctl/report.h"
#include "daemon/daemon.h"
#include "drivers.h"
#include "echo/echo.h"
#include "echo/probes.h"
#include "idle.h"
#include "ipc/ipc.h"
#include "ipc/xfrm.h"
#include "options.h"
#include "secure.h"
#include "telem/telem.h"

#define TICK_MS	     1
#define TICK_IDLE_MS 20

/* All that are built in; the file says which of them, and in which order. */
static const struct engine *const engines[] = {
	&engine_inline,
	&engine_cryptodev,
	&engine_ipsec_mb,
	&engine_openssl,
};

/* IPComp's: the first that runs here does all of it. */
static const struct codec *const codecs[] = {
#ifdef HAVE_ISAL
	&codec_isal,
#endif
	&codec_zlib,
};

/* What the loop watches beside the gateway itself. */
struct watch {
	const struct options *options;
	struct poller poller;
	int signals;
	struct gw *gw;
	struct cli cli;
	struct prompt *prompt; /* NULL: none, or ended */
	struct ipc *ipc;       /* NULL: none */
	struct daemons *daemons;
	bool quit;
	struct idle idle;
	uint64_t next_stats; /* real time, ms */
};

static uint64_t
real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

static void
reload(struct gw *gw, const struct options *o)
{
	struct conf_errors errors;
	FILE *out = o->json ? stderr : stdout;

	conf_errors_init(&errors, o->config);
	if (gw_reload(gw, false, out, &errors) < 0)
		GW_LOG(ERR, "reload refused, nothing changed\n");
	conf_errors_print(stderr, &errors);
	conf_errors_free(&errors);
	fflush(out);
}

static void
signals_read(void *ctx, uint32_t events)
{
	struct watch *w = ctx;
	struct signalfd_siginfo info;

	while (read(w->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(w->gw, w->options);
		else
			w->quit = true;
	}
}

static bool
watch_init(struct watch *w, const struct options *o)
{
	sigset_t set;

	*w = (struct watch) { .options = o, .idle.after_ms = o->exit_when_idle_ms };
	w->cli.stats_period = o->stats_period;
	w->next_stats = real_ms() + o->stats_period * UINT64_C(1000);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	/* Before DPDK makes threads, so that they all leave these signals to this one. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	w->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return poller_init(&w->poller) == 0 && w->signals >= 0 &&
	       poller_add(&w->poller, w->signals, EPOLLIN, signals_read, w) == 0;
}

static int
prompt_begin(struct watch *w, struct gw *gw, struct err *err)
{
	if (!w->options->interactive)
		return 0;
	/* With --json standard output is the report's alone. */
	return prompt_create(&w->cli, &w->poller, STDIN_FILENO,
			     w->options->json ? STDERR_FILENO : STDOUT_FILENO, &w->prompt, err);
}

/* A socket that was asked for has to be there. Without a word of it the usual one is made where
 * that can be: not by a user who may not, nor beside another gateway.
 */
static int
ipc_begin(struct watch *w, struct gw *gw, struct err *err)
{
	const char *given = w->options->control_socket;
	const struct ipc_options options = {
		.path = given != NULL ? given : IPC_PATH,
		.group = gw->conf->gateway.socket_group,
		.poller = &w->poller,
		.cli = &w->cli,
	};
	int rc;

	if (strcmp(options.path, "none") == 0 || options.path[0] == 0)
		return 0;
	rc = ipc_create(&options, &w->ipc, err);
	if (rc < 0 && given == NULL) {
		GW_LOG(WARNING, "%s: this gateway goes on without one\n", err->text);
		return 0;
	}
	return rc < 0 ? rc : ipc_serve_xfrm(w->ipc, gw, &w->daemons, err);
}

static void
prompt_end(struct watch *w)
{
	prompt_free(w->prompt);
	w->prompt = NULL;
}

static void
prompt_look(struct watch *w)
{
	if (w->prompt != NULL && prompt_ended(w->prompt))
		prompt_end(w);
	w->quit |= w->cli.quit;
}

static void
stats_print(struct watch *w, const struct gw *gw)
{
	uint64_t period = w->cli.stats_period * UINT64_C(1000), now = real_ms();

	/* A period that was set just now begins now. */
	if (period == 0 || w->next_stats > now + period)
		w->next_stats = now + period;
	if (period == 0 || now < w->next_stats)
		return;
	report_line(gw, w->options->json ? stderr : stdout);
	w->next_stats += period;
}

static void
run(struct watch *w, struct gw *gw)
{
	bool busy = false;

	while (!w->quit) {
		/* A reload may change it. */
		bool quiet = !gw_is_busy(gw) && !echo_is_busy(gw);
		int wait =
			gw->conf->gateway.idle == CONF_IDLE_SLEEP && quiet ? TICK_IDLE_MS : TICK_MS;

		poller_wait(&w->poller, busy ? 0 : wait);
		busy = ipc_run(w->ipc);
		prompt_tick(w->prompt);
		ipc_share(w->ipc, gw->conf->gateway.socket_group);
		prompt_look(w);
		gw_tick(gw);
		echo_tick(gw);
		if (w->daemons != NULL)
			daemons_tick(w->daemons, clock_now(&gw->clock));
		telem_tick(gw);
		stats_print(w, gw);
		w->quit |= idle_is_over(&w->idle, gw, real_ms());
	}
}

static int
gateway_run(struct watch *w, const struct options *o, struct conf *conf)
{
	const struct gw_options options = {
		.burst = o->burst,
		.rx_queues = o->rx_queues,
		.rx_desc = o->rx_desc,
		.tx_desc = o->tx_desc,
		.config = o->config,
		.engines = engines,
		.n_engines = RTE_DIM(engines),
		.offload = &offload_inline,
		.codecs = codecs,
		.n_codecs = RTE_DIM(codecs),
		.poller = &w->poller,
	};
	int rc;
	struct err err = { "" };
	struct gw gw;

	w->gw = &gw;
	rc = inline_emulated_use(engines, RTE_DIM(engines), &err);
	if (rc == 0)
		rc = gw_start(&gw, &options, conf, &err);
	if (rc < 0) {
		fprintf(stderr, "espgw: %s\n", err.text);
		conf_free(conf);
		/* What was asked for makes no sense; else what it needs was not to be had. */
		return rc == -EINVAL ? EXIT_USAGE : EXIT_RUN_TIME;
	}
	rc = EXIT_FINE;
	w->cli.gw = &gw;
	if (telem_init(&err) < 0 || echo_init(&gw, &err) < 0 || echo_probes_begin(&gw, &err) < 0 ||
	    ipc_begin(w, &gw, &err) < 0 || prompt_begin(w, &gw, &err) < 0) {
		fprintf(stderr, "espgw: %s\n", err.text);
		rc = EXIT_RUN_TIME;
	} else {
		run(w, &gw);
	}
	prompt_end(w);
	ipc_free(w->ipc);
	daemons_mute(w->daemons);
	gw_stop(&gw);
	echo_fini(&gw);
	if (o->json)
		report_json(&gw, stdout);
	else
		report_print(&gw, stdout);
	if (ferror(stdout)) {
		fputs("espgw: the report could not be written to standard output\n", stderr);
		rc = EXIT_RUN_TIME;
	}
	daemons_free(w->daemons);
	gw_free(&gw);
	conf_free(gw.conf);
	return rc;
}

static int
file_read(const struct options *o, struct conf **conf)
{
	struct conf_errors errors;
	int rc;

	conf_errors_init(&errors, o->config);
	rc = conf_load(o->config, conf, &errors);
	if (rc == 0)
		captures_check(*conf, &errors);
	conf_errors_print(stderr, &errors);
	rc = rc < 0 || errors.n_errors > 0 ? EXIT_USAGE : EXIT_FINE;
	conf_errors_free(&errors);
	return rc;
}

/* DPDK prints its usage on stdout, which is the report's alone: it speaks on stderr meanwhile. */
static int
eal_init(int argc, char **argv)
{
	int out = dup(STDOUT_FILENO);
	int rc;

	if (out >= 0)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	rc = rte_eal_init(argc, argv);
	if (out >= 0) {
		fflush(stdout);
		dup2(out, STDOUT_FILENO);
		close(out);
	}
	return rc;
}

/* DPDK says little of what it did not like: the arguments stand in the line, so that it can be
 * found. */
static int
eal_refused(int argc, char **argv)
{
	fprintf(stderr,
		"espgw: DPDK does not start: %s; its arguments were:", rte_strerror(rte_errno));
	for (int i = 1; i < argc; i++)
		fprintf(stderr, " %.64s", argv[i]);
	fputc('\n', stderr);
	return rte_errno == EINVAL ? EXIT_USAGE : EXIT_RUN_TIME;
}

static int
start(const struct options *o, int eal_argc, char **argv)
{
	const int eal_argc_given = eal_argc;
	char **eal_argv = secure_arguments(&eal_argc, argv);
	struct conf *conf = NULL;
	struct watch w;
	int rc;

	secure_process();
	rc = file_read(o, &conf);
	if (rc != EXIT_FINE) {
		conf_free(conf);
		return rc;
	}
	if (eal_argv == NULL || !watch_init(&w, o)) {
		fprintf(stderr, "espgw: %s\n", strerror(errno));
		conf_free(conf);
		return EXIT_RUN_TIME;
	}
	if (eal_init(eal_argc, eal_argv) < 0) {
		conf_free(conf);
		/* DPDK moves its arguments about: the ones that were given. */
		return eal_refused(eal_argc_given, argv);
	}
	rc = gateway_run(&w, o, conf);
	poller_fini(&w.poller);
	rte_eal_cleanup();
	return rc;
}

/* A stream that was closed before the start would be the next file that is opened. */
static bool
streams_open(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int
main(int argc, char **argv)
{
	struct options o;
	int eal_argc;

	if (!streams_open())
		return EXIT_RUN_TIME;
	if (!options_parse(argc, argv, &o, &eal_argc))
		return EXIT_USAGE;
	if (o.help) {
		options_help(stdout);
		return EXIT_FINE;
	}
	if (o.version) {
		puts("espgw " GW_VERSION);
		return EXIT_FINE;
	}
	return o.check ? check_run(&o, engines, RTE_DIM(engines)) : start(&o, eal_argc, argv);
}
