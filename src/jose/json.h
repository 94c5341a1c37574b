/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON from outside, read strictly, and JSON of our own, written canonically. This is the border
 * to jansson: values are opaque, belong to their root, and are borrowed by everybody else.
 *
 * Strict means: UTF-8 without byte order mark, no bytes after the value, no duplicate member names
 * at any level, no NUL, no lone surrogates, integers within 64 bits, reals within range, nesting
 * at most 32, a size limit of the caller's (threat model A4).
 *
 * A value and everything below it may be read by several threads; it may not be shared by
 * reference across roots.
 */
#ifndef VS_JOSE_JSON_H
#define VS_JOSE_JSON_H

#include <stdint.h>

#include "base/buf.h"

struct vs_json;

enum { VS_JSON_DEPTH_MAX = 32 };

enum vs_json_kind {
	VS_JSON_NONE = 0, /* there is no value */
	VS_JSON_NULL,
	VS_JSON_BOOL,
	VS_JSON_INT,
	VS_JSON_REAL,
	VS_JSON_STRING,
	VS_JSON_ARRAY,
	VS_JSON_OBJECT,
	VS_JSON_COUNT_,
};

/* ---- reading ------------------------------------------------------------------------------ */

/*
 * Parse one object or array of at most max bytes. what names the text in messages ("key set").
 * Errors: FORMAT with line and column, LIMIT, MEMORY.
 */
VS_RC vs_json_load(struct vs_bytes text, size_t max, const char *what, struct vs_json **ret,
	struct vs_err *err);
/* The same, and the value must be an object. */
VS_RC vs_json_load_object(struct vs_bytes text, size_t max, const char *what, struct vs_json **ret,
	struct vs_err *err);
void vs_json_free(struct vs_json *root); /* NULL-safe; roots only */
void vs_json_freep(struct vs_json **root); /* for VS_CLEANUP */

/* All readers accept NULL, which is "no value": look-ups can be chained. */
enum vs_json_kind vs_json_kind(const struct vs_json *v);
const char *vs_json_kind_name(enum vs_json_kind kind); /* "string", "object", "nothing" */
/* Member of an object; NULL when v is no object or has no such member. */
const struct vs_json *vs_json_get(const struct vs_json *v, const char *name);
/* Member of a member ...: names separated by dots, from v on; arrays cannot be entered. An empty
 * name between dots finds nothing. */
const struct vs_json *vs_json_path(const struct vs_json *v, const char *dotted);
size_t vs_json_count(const struct vs_json *v); /* members or elements, else 0 */
const struct vs_json *vs_json_at(const struct vs_json *array, size_t i);
/* Walk an object's members in document order: it = vs_json_first(o); while (it) { ...name(it),
 * value(it) ...; it = vs_json_next(o, it); } */
const void *vs_json_first(const struct vs_json *object);
const void *vs_json_next(const struct vs_json *object, const void *it);
const char *vs_json_it_name(const void *it);
const struct vs_json *vs_json_it_value(const void *it);

/* False, and nothing written, when v is not of that kind. A string never contains NUL. */
bool vs_json_string(const struct vs_json *v, const char **ret);
bool vs_json_bytes(const struct vs_json *v, struct vs_bytes *ret); /* a string's UTF-8 */
bool vs_json_int(const struct vs_json *v, int64_t *ret);
bool vs_json_real(const struct vs_json *v, double *ret);
bool vs_json_bool(const struct vs_json *v, bool *ret);
bool vs_json_is_string(const struct vs_json *v, const char *text); /* a string equal to text */

/* Same structure: members in any order, numbers by exact value (1 equals 1.0). */
bool vs_json_same(const struct vs_json *a, const struct vs_json *b);
/* Two numbers of either kind are equal by exact value, also above 2^53. */
bool vs_json_number_same(const struct vs_json *a, const struct vs_json *b);

/* ---- writing ------------------------------------------------------------------------------ */

/* Append the compact form: members in their own order, or sorted by name. Errors: MEMORY, LIMIT. */
VS_RC vs_json_dump(const struct vs_json *v, struct vs_buf *out, struct vs_err *err);
VS_RC vs_json_dump_sorted(const struct vs_json *v, struct vs_buf *out, struct vs_err *err);
/* Append text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
VS_RC vs_json_put_string(struct vs_buf *out, struct vs_bytes text, struct vs_err *err);

/*
 * Build. A set or append with a child takes the child over, also on failure. Names must be new in
 * their object (INTERNAL otherwise). Errors: MEMORY, FORMAT (text that is not UTF-8).
 */
VS_RC vs_json_new_object(struct vs_json **ret, struct vs_err *err);
VS_RC vs_json_new_array(struct vs_json **ret, struct vs_err *err);
VS_RC
vs_json_set(struct vs_json *object, const char *name, struct vs_json *child, struct vs_err *err);
VS_RC
vs_json_set_string(struct vs_json *object, const char *name, const char *text, struct vs_err *err);
VS_RC vs_json_set_bytes(
	struct vs_json *object, const char *name, struct vs_bytes text, struct vs_err *err);
VS_RC vs_json_set_int(struct vs_json *object, const char *name, int64_t value, struct vs_err *err);
VS_RC vs_json_set_bool(struct vs_json *object, const char *name, bool value, struct vs_err *err);
VS_RC vs_json_set_copy(
	struct vs_json *object, const char *name, const struct vs_json *value, struct vs_err *err);
VS_RC vs_json_append(struct vs_json *array, struct vs_json *child, struct vs_err *err);
VS_RC vs_json_append_string(struct vs_json *array, const char *text, struct vs_err *err);

#endif
