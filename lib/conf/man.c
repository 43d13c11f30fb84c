/* espgw.yaml(5), from the same table that reads the file. */
#include <ctype.h>
#include <string.h>

#include "conf/schema.h"

static const char head[] =
	".\\\" Made from the schema in lib/conf; the test conf_man compares.\n"
	".Dd November 21, 2026\n"
	".Dt ESPGW.YAML 5\n"
	".Os\n"
	".Sh NAME\n"
	".Nm espgw.yaml\n"
	".Nd configuration of the ESP gateway\n"
	".Sh DESCRIPTION\n"
	"The gateway reads one YAML document of at most 16 MiB, in UTF-8, without anchors, aliases "
	"and tags.\n"
	"Unknown keys are errors, names are unique within their list, and all errors of a file are "
	"reported in one\n"
	"run, each as\n"
	".Dl file:line:column: path: what is wrong: what would be right\n"
	".Pp\n"
	"Numbers may be hexadecimal (0x) and may end in k, M, G, T (powers of 1000) or Ki, Mi, Gi, "
	"Ti (powers of 1024);\n"
	"times end in us, ms, s, m or h.\n"
	".Pp\n"
	"A reload applies the difference between the old and the new file in one step.\n"
	"Keys marked\n"
	".Em restart\n"
	"cannot change then.\n"
	".Ss Keys of security associations\n"
	"Keying material is the key followed by the salt or nonce of modes that have one, as IKE "
	"hands it: GCM, CTR,\n"
	"GMAC and ChaCha20 4 octets, CCM 3.\n"
	"It is given in one of three ways:\n"
	".Bl -tag -width Ds\n"
	".It Li hex:DIGITS\n"
	"In the file.\n"
	"If others may read the file, that is warned of.\n"
	".It Li file:PATH\n"
	"In a file of its own, as octets or as hexadecimal digits with white space between: what "
	"has the right length.\n"
	"A path that is not absolute is looked for beside the configuration.\n"
	"A file that others may read or write is refused.\n"
	".It Li env:NAME\n"
	"In the environment, as hexadecimal digits.\n"
	".El\n"
	".Pp\n"
	"No key is ever printed.\n"
	"The same key and salt of a counter mode on two SAs is refused; an inbound and an outbound "
	"SA with equal\n"
	"spi, src and dst are one SA seen from both ends, and may share it.\n";

static const char tail[] = ".Sh FILES\n"
			   ".Bl -tag -width Ds\n"
			   ".It Pa /etc/espgw/espgw.yaml\n"
			   "The usual place.\n"
			   ".El\n"
			   ".Sh SEE ALSO\n"
			   ".Xr espgw 8\n";

/* Sentences begin on lines of their own. */
static void
help_man(FILE *f, const char *help)
{
	/* A line that began with a control character would be a macro. */
	fprintf(f, "\\&%c", *help++);
	for (; *help != 0; help++)
		fputc(help[0] == ' ' && help[-1] == '.' ? '\n' : help[0], f);
	fputc('\n', f);
}

static void
gate_man(FILE *f, const struct conf_key *k, const struct conf_gate *g)
{
	if (g->refused != NULL)
		fprintf(f, "Not supported by this version: %s.\n", g->refused);
	else if (k->def == NULL)
		fputs("Not supported by this version.\n", f);
	else
		fputs("This version supports no other value than the default.\n", f);
}

static void
key_man(FILE *f, const struct conf_key *k)
{
	char values[768];

	schema_values(k, values, sizeof(values));
	fprintf(f, ".It Cm %s\n", k->name);
	help_man(f, k->help);
	if (k->type != TYPE_MAP && k->type != TYPE_OPTION && k->type != TYPE_LIST)
		fprintf(f, ".br\nValue: %s.\n", values);
	if (k->def != NULL)
		fprintf(f, "Default: %s.\n", k->def);
	else if ((k->flags & KEY_REQUIRED) != 0)
		fputs("Required.\n", f);
	else if (k->type == TYPE_OPTION)
		fputs("Off unless given.\n", f);
	if ((k->flags & (KEY_IN | KEY_OUT)) != 0)
		fprintf(f, "For direction: %s.\n", (k->flags & KEY_IN) != 0 ? "in" : "out");
	if ((k->flags & KEY_RESTART) != 0)
		fputs("Changing it needs a\n.Em restart .\n", f);
	for (const struct conf_gate *g = conf_gates; g < conf_gates + conf_n_gates; g++)
		if (g->block == k->block && strcmp(g->name, k->name) == 0)
			gate_man(f, k, g);
}

/* Where the block stands in a file. */
static void
title(enum conf_block block, char *buf, size_t size)
{
	for (uint32_t i = 0; i < conf_n_keys; i++) {
		const struct conf_key *k = &conf_keys[i];
		char above[64] = "";

		if (k->sub != block || k->block == block || block == BLOCK_ROOT ||
		    k->type < TYPE_MAP)
			continue;
		if (k->block != BLOCK_ROOT) {
			title(k->block, above, sizeof(above) - 1);
			strcat(above, ".");
		}
		snprintf(buf, size, "%s%s%s", above, k->name, k->type == TYPE_LIST ? "[]" : "");
		if (k->flags != KEY_APART || k->block == BLOCK_ROOT)
			return;
	}
}

void
conf_man(FILE *f)
{
	fputs(head, f);
	fputs(".Sh KEYS\n", f);
	for (enum conf_block block = BLOCK_ROOT; block < BLOCKS; block++) {
		char name[96] = "the file";
		uint32_t n;
		const struct conf_key *k = schema_block(block, &n);

		title(block, name, sizeof(name));
		fprintf(f, ".Ss Keys of %s\n.Bl -tag -width Ds\n", name);
		for (; n > 0; n--, k++)
			key_man(f, k);
		fputs(".El\n", f);
	}
	fputs(tail, f);
}
