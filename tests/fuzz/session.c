#include "session.h"

#include <string.h>

#include "xfrm/layout.h"

#define STEPS_MAX 64

size_t LLVMFuzzerMutate(uint8_t *octets, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *input, size_t size, size_t max, unsigned int seed);

bool
session_next(const uint8_t *input, size_t size, size_t *at, struct step *s)
{
	size_t left = size - *at;

	if (left < STEP_HEAD)
		return false;
	s->how = input[*at];
	memcpy(&s->len, input + *at + 1, sizeof(s->len));
	if (s->len > left - STEP_HEAD)
		s->len = (uint16_t)(left - STEP_HEAD);
	s->octets = input + *at + STEP_HEAD;
	*at += STEP_HEAD + s->len;
	return true;
}

/* The steps of an input, on their way to another one. */
struct session {
	struct step steps[STEPS_MAX];
	unsigned int n;
	uint64_t random;
};

static uint32_t
below(struct session *s, uint32_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return n == 0 ? 0 : (uint32_t)(s->random % n);
}

static void
taken_out(struct session *s)
{
	unsigned int i = below(s, s->n);

	if (s->n < 2)
		return;
	memmove(&s->steps[i], &s->steps[i + 1], (s->n - i - 1) * sizeof(s->steps[0]));
	s->n--;
}

static void
doubled(struct session *s)
{
	unsigned int i = below(s, s->n), to = below(s, s->n + 1);
	struct step copy = s->steps[i];

	if (s->n == 0 || s->n == STEPS_MAX)
		return;
	memmove(&s->steps[to + 1], &s->steps[to], (s->n - to) * sizeof(s->steps[0]));
	s->steps[to] = copy;
	s->n++;
}

static void
swapped(struct session *s)
{
	unsigned int i = below(s, s->n), j = below(s, s->n);
	struct step t = s->steps[i];

	s->steps[i] = s->steps[j];
	s->steps[j] = t;
}

/* Fields that decide something, from the begin of a message. */
static const struct {
	uint16_t at;
	uint8_t width;
} fields[] = {
	{ 4, 2 },   { 6, 2 },					   /* type, flags */
	{ 16, 4 },  { 32, 4 },	{ 56, 2 },  { 58, 1 },	{ 59, 1 }, /* selector, or id */
	{ 72, 4 },  { 76, 1 },	{ 88, 4 },  { 92, 1 },	{ 96, 4 }, /* SPI, protocol, source; dir */
	{ 168, 4 }, { 172, 4 }, { 176, 1 }, { 177, 1 },		   /* of a policy */
	{ 112, 8 }, { 144, 8 }, { 224, 4 }, { 228, 2 }, { 230, 1 },
	{ 231, 1 }, { 232, 1 }, { 240, 4 }, { 244, 4 }, { 304, 4 },
	{ 308, 4 }, { 188, 4 }, { 212, 4 }, { 228, 4 }, { 232, 4 },
};

static const uint64_t values[] = { 0,	       1,	   2,	      3,   4,	       5,
				   10,	       16,	   26,	      32,  50,	       51,
				   108,	       128,	   255,	      256, 0x01100000, 0x01200000,
				   0x0100000a, 0x010200c0, UINT64_MAX };

static void
field_set(struct session *s, const struct step *step, uint8_t *octets)
{
	unsigned int f = below(s, sizeof(fields) / sizeof(fields[0]));
	uint64_t value = values[below(s, sizeof(values) / sizeof(values[0]))];

	if (fields[f].at + fields[f].width <= step->len)
		memcpy(octets + fields[f].at, &value, fields[f].width);
}

/* Writes the steps, one of them changed in its octets. */
static size_t
written(struct session *s, uint8_t *to, size_t max, unsigned int how)
{
	unsigned int changed = how >= 3 ? below(s, s->n) : UINT32_MAX;
	size_t at = 0;

	for (unsigned int i = 0; i < s->n; i++) {
		struct step *step = &s->steps[i];
		size_t room;

		if (at + STEP_HEAD + step->len > max)
			break;
		room = max - at - STEP_HEAD;
		memcpy(to + at + STEP_HEAD, step->octets, step->len);
		if (i == changed && how < 6)
			field_set(s, step, to + at + STEP_HEAD);
		else if (i == changed && how < 8)
			step->len = (uint16_t)LLVMFuzzerMutate(to + at + STEP_HEAD, step->len,
							       room < 2048 ? room : 2048);
		else if (i == changed)
			step->how ^= (uint8_t)(1 << below(s, 5));
		to[at] = step->how;
		memcpy(to + at + 1, &step->len, sizeof(step->len));
		at += STEP_HEAD + step->len;
	}
	return at;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *input, size_t size, size_t max, unsigned int seed)
{
	static uint8_t was[1 << 20];
	struct session s = { .random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1 };
	unsigned int how = below(&s, 10);
	size_t at = 0;

	if (size > sizeof(was) || how == 9)
		return LLVMFuzzerMutate(input, size, max);
	memcpy(was, input, size);
	while (s.n < STEPS_MAX && session_next(was, size, &at, &s.steps[s.n]))
		s.n++;
	if (s.n == 0)
		return LLVMFuzzerMutate(input, size, max);
	if (how == 0)
		taken_out(&s);
	else if (how == 1)
		doubled(&s);
	else if (how == 2)
		swapped(&s);
	return written(&s, input, max, how);
}
