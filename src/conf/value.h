/* SPDX-License-Identifier: BSD-2-Clause */
/* Text of a setting to its value. Pure; a false return means "not allowed". */
#ifndef VS_CONF_VALUE_H
#define VS_CONF_VALUE_H

#include "conf/conf.h"
#include "conf/table.h"

/*
 * "https://host[:port]" (one trailing slash dropped) in canonical form: lower-case host, no default
 * port. No user information, path, query or fragment. The result is malloced.
 */
bool vs_origin_parse(const char *text, const char *scheme, char **ret);
/* localhost, *.localhost, 127.0.0.0/8 or [::1] (an origin as vs_origin_parse gives it). */
bool vs_origin_is_loopback(const char *origin);
/* Host part of an origin without port. */
bool vs_origin_host(const char *origin, char *out, size_t out_size);
/* "90s", "1500ms", "2h" in milliseconds; a bare number is refused. */
bool vs_duration_parse(const char *text, int64_t *ret_ms);
bool vs_pcrs_parse(const char *text, uint32_t *ret_mask);
bool vs_guid_ok(const char *text);
bool vs_tcti_ok(const char *text);
/* "a, b ,c" to a NULL-terminated malloced array of trimmed, non-empty texts; at most max. */
bool vs_list_parse(const char *text, size_t max, char ***ret);
void vs_list_free(char **list);

#endif
