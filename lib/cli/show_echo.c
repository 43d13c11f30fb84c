/* `show echo`: ESP echoes of ours, and of peers. */
#include "cli/form.h"
#include "cli/table.h"
#include "ctl/gw.h"
#include "echo/echo.h"

int
show_echo(struct cli *cli, FILE *out, bool json, const struct args *args, struct err *err)
{
	struct echo_counters c;
	struct form f;

	echo_counters(cli->gw, &c);
	form_init(&f, out, json);
	form_object(&f, "ours");
	form_u64(&f, "sent", c.sent);
	form_u64(&f, "answered", c.answered);
	form_u64(&f, "lost", c.lost);
	form_u64(&f, "unexpected_answers", c.unexpected);
	form_end(&f);
	form_object(&f, "peers");
	form_u64(&f, "asked", c.asked);
	form_u64(&f, "replied", c.replied);
	form_u64(&f, "ping_cut", c.cut);
	form_u64(&f, "return_refused", c.return_refused);
	form_u64(&f, "no_way", c.no_way);
	form_end(&f);
	form_done(&f);
	return 0;
}
