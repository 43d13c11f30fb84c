#include "cli/show_choice.h"

#include <stdio.h>

#include "sa/sa.h"
#include "spd/choice.h"

const char *
classes_text(uint64_t dscp, char text[CLASSES_TEXT])
{
	int len = 0;

	text[0] = 0;
	if (dscp == UINT64_MAX)
		snprintf(text, CLASSES_TEXT, "all");
	for (int i = 0; i < CHOICE_DSCPS && dscp != UINT64_MAX; i++)
		if ((dscp >> i & 1) != 0)
			len += snprintf(text + len, CLASSES_TEXT - len, "%s%d", len > 0 ? ", " : "",
					i);
	return text;
}

void
classes_json(struct json *j, const char *key, uint64_t dscp)
{
	json_array(j, key);
	for (int i = 0; i < CHOICE_DSCPS; i++)
		if ((dscp >> i & 1) != 0)
			json_u64(j, NULL, i);
	json_end(j);
}

static uint64_t
classes_of(const struct choice *c, uint16_t row)
{
	uint64_t dscp = 0;

	for (int i = 0; i < CHOICE_DSCPS; i++)
		dscp |= (uint64_t)(c->row_of[i] == row) << i;
	return dscp;
}

static const char *
name_of(const struct gw *gw, uint64_t word, char name[SA_NAME_MAX])
{
	return sa_name(sa_cold(&gw->sas, spd_sa_index(word)), name);
}

void
choice_print(FILE *out, const struct gw *gw, uint32_t choice)
{
	const struct choice *c = choice_at(gw->spd, choice);
	char classes[CLASSES_TEXT], name[SA_NAME_MAX];

	for (uint16_t row = 0; row < c->n_rows; row++) {
		const uint64_t *words = &c->words[row * c->width];

		fprintf(out, "%10s   classes %s:", "", classes_text(classes_of(c, row), classes));
		for (uint16_t w = 0; w < c->width - 1; w++)
			if (words[w] != CHOICE_NONE)
				fprintf(out, " worker %u %s,", w, name_of(gw, words[w], name));
		fprintf(out, " others %s\n", name_of(gw, words[c->width - 1], name));
	}
}

void
choice_json(struct json *j, const struct gw *gw, uint32_t choice)
{
	const struct choice *c = choice_at(gw->spd, choice);
	char name[SA_NAME_MAX];

	json_array(j, "choice");
	for (uint16_t row = 0; row < c->n_rows; row++) {
		const uint64_t *words = &c->words[row * c->width];

		json_object(j, NULL);
		classes_json(j, "dscp", classes_of(c, row));
		json_array(j, "workers");
		for (uint16_t w = 0; w < c->width - 1; w++)
			if (words[w] == CHOICE_NONE)
				json_null(j, NULL);
			else
				json_string(j, NULL, name_of(gw, words[w], name));
		json_end(j);
		json_string(j, "others", name_of(gw, words[c->width - 1], name));
		json_end(j);
	}
	json_end(j);
}
