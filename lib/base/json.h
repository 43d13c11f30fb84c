/* Writes JSON to a stdio stream, one value after the other: commas, nesting and escapes are its
 * work.
 *
 *	struct json j;
 *
 *	json_init(&j, stdout);
 *	json_object(&j, NULL);
 *	json_u64(&j, "rx", 17);
 *	json_end(&j);
 *
 * key is NULL for an element of an array and for the outermost value. Strings need not be UTF-8:
 * what is not is written as U+FFFD. Nesting is limited to JSON_DEPTH_MAX; deeper is a bug and
 * asserts.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 16

struct json {
	FILE *out;
	int depth;
	bool more[JSON_DEPTH_MAX]; /* a value was written at this depth: the next needs a comma */
	char closer[JSON_DEPTH_MAX];
};

void json_init(struct json *j, FILE *out);
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* Ends the innermost object or array. */
void json_end(struct json *j);
void json_u64(struct json *j, const char *key, uint64_t value);
void json_i64(struct json *j, const char *key, int64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
void json_string(struct json *j, const char *key, const char *value);

#endif
