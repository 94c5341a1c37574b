/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_fault.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/lab.h"
#include "lab/lab_lie.h"

static const struct lab_fault_row rows[] = {
	{"refused", LAB_FAULT_REFUSED, LAB_FAULT_LISTEN, 0, false,
		"nobody listens (with --count: each of N connections is reset)", NULL},
	{"reset", LAB_FAULT_RESET, LAB_FAULT_ACCEPT, 0, false, "reset right after connecting",
		NULL},
	{"silent", LAB_FAULT_SILENT, LAB_FAULT_ACCEPT, 0, false, "connected, then nothing, ever",
		NULL},
	{"not-tls", LAB_FAULT_NOT_TLS, LAB_FAULT_ACCEPT, 0, false,
		"speaks something that is not TLS", NULL},
	{"tls-alert", LAB_FAULT_TLS_ALERT, LAB_FAULT_ACCEPT, 0, false,
		"ends the handshake by an alert", NULL},
	{"tls-self-signed", LAB_FAULT_TLS_SELF_SIGNED, LAB_FAULT_TLS, 0, false,
		"a self-signed certificate", NULL},
	{"tls-unknown-ca", LAB_FAULT_TLS_UNKNOWN_CA, LAB_FAULT_TLS, 0, false,
		"a certificate of a CA nobody knows", NULL},
	{"tls-expired", LAB_FAULT_TLS_EXPIRED, LAB_FAULT_TLS, 0, false, "an expired certificate",
		NULL},
	{"tls-future", LAB_FAULT_TLS_FUTURE, LAB_FAULT_TLS, 0, false, "a certificate not yet valid",
		NULL},
	{"tls-wrong-name", LAB_FAULT_TLS_WRONG_NAME, LAB_FAULT_TLS, 0, false,
		"a certificate for another host", NULL},
	{"tls-wildcard", LAB_FAULT_TLS_WILDCARD, LAB_FAULT_TLS, 0, false,
		"a certificate for names with a star that must not stand for this one", NULL},
	{"tls-incomplete", LAB_FAULT_TLS_INCOMPLETE, LAB_FAULT_TLS, 0, false,
		"a certificate whose issuing CA is not sent and not known", NULL},
	{"tls-old", LAB_FAULT_TLS_OLD, LAB_FAULT_TLS, 0, false, "TLS 1.1 and older only", NULL},
	{"reset-answer", LAB_FAULT_RESET_ANSWER, LAB_FAULT_ANSWER, 0, false,
		"reset when the request was read", NULL},
	{"close", LAB_FAULT_CLOSE, LAB_FAULT_ANSWER, 0, false, "closed without an answer", NULL},
	{"stall", LAB_FAULT_STALL, LAB_FAULT_ANSWER, 0, false, "half of the answer, then nothing",
		NULL},
	{"drip", LAB_FAULT_DRIP, LAB_FAULT_ANSWER, 0, false, "one byte each 100 ms (--value: ms)",
		NULL},
	{"slow", LAB_FAULT_SLOW, LAB_FAULT_ANSWER, 0, false,
		"the right answer after 50 ms (--value: ms)", NULL},
	{"cut", LAB_FAULT_CUT, LAB_FAULT_ANSWER, 0, true, "closed after --value bytes of the body",
		NULL},
	{"length-long", LAB_FAULT_LENGTH_LONG, LAB_FAULT_ANSWER, 0, false,
		"Content-Length says more than is sent", NULL},
	{"length-short", LAB_FAULT_LENGTH_SHORT, LAB_FAULT_ANSWER, 0, false,
		"Content-Length says less than is sent", NULL},
	{"length-twice", LAB_FAULT_LENGTH_TWICE, LAB_FAULT_ANSWER, 0, false,
		"two different Content-Length headers", NULL},
	{"chunk-cut", LAB_FAULT_CHUNK_CUT, LAB_FAULT_ANSWER, 0, false,
		"chunked, closed before the last chunk", NULL},
	{"garbage", LAB_FAULT_GARBAGE, LAB_FAULT_ANSWER, 0, false, "bytes that are not HTTP", NULL},
	{"headers", LAB_FAULT_HEADERS, LAB_FAULT_ANSWER, 0, false, "a megabyte of headers", NULL},
	{"empty", LAB_FAULT_EMPTY, LAB_FAULT_ANSWER, 0, false, "204 without a body", NULL},
	{"html", LAB_FAULT_HTML, LAB_FAULT_ANSWER, 0, false, "200 with a web page", NULL},
	{"type", LAB_FAULT_TYPE, LAB_FAULT_ANSWER, 0, false,
		"the right body as text/plain (--value: another type)", NULL},
	{"encoded", LAB_FAULT_ENCODED, LAB_FAULT_ANSWER, 0, false, "Content-Encoding: gzip", NULL},
	{"not-json", LAB_FAULT_NOT_JSON, LAB_FAULT_ANSWER, 0, false,
		"200 with a body that is no JSON", NULL},
	{"truncated", LAB_FAULT_TRUNCATED, LAB_FAULT_ANSWER, 0, false,
		"half of the body, with the length of the half", NULL},
	{"trailing", LAB_FAULT_TRAILING, LAB_FAULT_ANSWER, 0, false, "bytes behind the JSON", NULL},
	{"oversized", LAB_FAULT_OVERSIZED, LAB_FAULT_ANSWER, 0, false, "8 MiB of valid JSON", NULL},
	{"301", LAB_FAULT_REDIRECT, LAB_FAULT_ANSWER, 301, false, "redirect (--value: where)",
		NULL},
	{"302", LAB_FAULT_REDIRECT, LAB_FAULT_ANSWER, 302, false, "redirect (--value: where)",
		NULL},
	{"307", LAB_FAULT_REDIRECT, LAB_FAULT_ANSWER, 307, false, "redirect (--value: where)",
		NULL},
	{"308", LAB_FAULT_REDIRECT, LAB_FAULT_ANSWER, 308, false, "redirect (--value: where)",
		NULL},
	{"400", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 400, false, "BadRequest", NULL},
	{"401", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 401, false,
		"Unauthorized (--value: text of WWW-Authenticate)", NULL},
	{"403", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 403, false, "Forbidden", NULL},
	{"404", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 404, false, "NotFound", NULL},
	{"408", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 408, false, "RequestTimeout", NULL},
	{"410", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 410, false, "Gone", NULL},
	{"429", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 429, false,
		"Throttled (--value: text of Retry-After)", NULL},
	{"500", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 500, false, "InternalServerError", NULL},
	{"502", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 502, false, "BadGateway", NULL},
	{"503", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 503, false,
		"ServiceUnavailable (--value: text of Retry-After)", NULL},
	{"504", LAB_FAULT_STATUS, LAB_FAULT_ANSWER, 504, false, "GatewayTimeout", NULL},
	{"forbidden-rbac", LAB_FAULT_FORBIDDEN, LAB_FAULT_ANSWER, 403, false,
		"the identity has no role", "ForbiddenByRbac"},
	{"forbidden-policy", LAB_FAULT_FORBIDDEN, LAB_FAULT_ANSWER, 403, false,
		"the access policy has no release permission", "ForbiddenByPolicy"},
	{"forbidden-firewall", LAB_FAULT_FORBIDDEN, LAB_FAULT_ANSWER, 403, false,
		"the vault's firewall", "ForbiddenByFirewall"},
	{"forbidden-connection", LAB_FAULT_FORBIDDEN, LAB_FAULT_ANSWER, 403, false,
		"no public access", "ForbiddenByConnection"},
	{"identity-not-found", LAB_FAULT_IDENTITY, LAB_FAULT_ANSWER, 400, false,
		"the identity was assigned a moment ago", NULL},
	{"replay", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_REPLAY, false,
		"the previous attestation answer once more", NULL},
	{"token-other-key", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_OTHER_KEY, false,
		"a token for another machine's key", NULL},
	{"token-expired", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_EXPIRED, false,
		"a token that ended an hour ago", NULL},
	{"token-future", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_FUTURE, false,
		"a token that begins in an hour", NULL},
	{"token-issuer", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_ISSUER, false,
		"a token of another provider of the region", NULL},
	{"token-alg-none", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_ALG_NONE, false,
		"a token without signature", NULL},
	{"token-signature", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_SIGNATURE, false,
		"a token with a wrong signature", NULL},
	{"token-nonce", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_TOKEN_NONCE, false,
		"a token with another nonce", NULL},
	{"release-other-key", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_RELEASE_OTHER_KEY, false,
		"another key under the name that was asked for", NULL},
	{"release-other-version", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_RELEASE_OTHER_VERSION,
		false, "another version than was asked for", NULL},
	{"release-flip", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_RELEASE_FLIP, false,
		"one changed byte in the wrapped key", NULL},
	{"release-foreign", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_RELEASE_FOREIGN, false,
		"signed by somebody else than its certificate says", NULL},
	{"release-wrong-private", LAB_FAULT_LIES, LAB_FAULT_LIE, LAB_LIE_RELEASE_WRONG_PRIVATE,
		false, "a private key that does not match the public one", NULL},
	{NULL, LAB_FAULT_NONE, LAB_FAULT_ANSWER, 0, false, NULL, NULL},
};

const struct lab_fault_row *
lab_fault_rows(void)
{
	return rows;
}

enum { FAULTS_MAX = 16 };

struct standing {
	const struct lab_fault_row *row;
	int service;
	unsigned count; /* how often still; 0: until cleared */
	char value[LAB_FAULT_VALUE_MAX];
	char path[128];
};

struct lab_faults {
	pthread_mutex_t lock;
	size_t n;
	struct standing all[FAULTS_MAX]; /* in the order they were switched on */
};

VS_RC
lab_faults_new(struct lab_faults **ret, struct vs_err *err)
{
	struct lab_faults *f = calloc(1, sizeof(*f));
	if (f == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return VS_OK;
}

void
lab_faults_free(struct lab_faults *f)
{
	if (f == NULL)
		return;
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct lab_fault_row *
find_row(const char *name)
{
	for (const struct lab_fault_row *r = rows; r->name != NULL; r++)
		if (strcmp(r->name, name) == 0)
			return r;
	return NULL;
}

VS_RC
lab_fault_set(struct lab_faults *f, int service, const char *name, unsigned count,
	const char *value, const char *path, struct vs_err *err)
{
	struct standing s = {.row = find_row(name), .service = service, .count = count};
	if (s.row == NULL)
		VS_FAIL(err, USAGE,
			"there is no fault of this name; see `vouchsafe-lab fault --help`");
	if (s.row->stage == LAB_FAULT_TLS && service == LAB_IMDS)
		VS_FAIL(err, USAGE, "imds speaks no TLS, %s cannot apply", name);
	if (s.row->wants_value && value == NULL)
		VS_FAIL(err, USAGE, "%s needs --value", name);
	if (path != NULL && s.row->stage != LAB_FAULT_ANSWER)
		VS_FAIL(err, USAGE, "%s acts before a request is known, --path cannot apply", name);
	if (value != NULL && (strlen(value) >= sizeof(s.value) || strpbrk(value, "\r\n") != NULL))
		VS_FAIL(err, USAGE, "--value is too long or has line breaks");
	if (path != NULL && strlen(path) >= sizeof(s.path))
		VS_FAIL(err, USAGE, "--path is too long");
	(void)snprintf(s.value, sizeof(s.value), "%s", value != NULL ? value : "");
	(void)snprintf(s.path, sizeof(s.path), "%s", path != NULL ? path : "");
	pthread_mutex_lock(&f->lock);
	const bool room = f->n < FAULTS_MAX;
	if (room)
		f->all[f->n++] = s;
	pthread_mutex_unlock(&f->lock);
	if (!room)
		VS_FAIL(err, LIMIT, "%d faults stand already; `fault clear` first", FAULTS_MAX);
	return VS_OK;
}

void
lab_fault_clear(struct lab_faults *f)
{
	pthread_mutex_lock(&f->lock);
	f->n = 0;
	pthread_mutex_unlock(&f->lock);
}

/* `refused` with a count cannot be counted by the kernel: it becomes a reset per connection. */
static bool
applies(const struct standing *s, int service, enum lab_fault_stage stage, const char *path)
{
	enum lab_fault_stage at = s->row->stage;
	if (at == LAB_FAULT_LISTEN && s->count > 0)
		at = LAB_FAULT_ACCEPT;
	if (s->service != service || at != stage)
		return false;
	return s->path[0] == '\0' || (path != NULL && strstr(path, s->path) != NULL);
}

struct lab_fault
lab_fault_take(struct lab_faults *f, int service, enum lab_fault_stage stage, const char *path)
{
	struct lab_fault fault = {0};
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n; i++) {
		struct standing *s = &f->all[i];
		if (!applies(s, service, stage, path))
			continue;
		fault.kind = s->row->kind == LAB_FAULT_REFUSED ? LAB_FAULT_RESET : s->row->kind;
		fault.status = s->row->status;
		fault.inner = s->row->inner;
		memcpy(fault.value, s->value, sizeof(fault.value));
		if (s->count > 0 && --s->count == 0) {
			memmove(s, s + 1, (f->n - i - 1) * sizeof(*s));
			f->n--;
		}
		break;
	}
	pthread_mutex_unlock(&f->lock);
	return fault;
}

bool
lab_fault_is_early(const char *name)
{
	const struct lab_fault_row *row = find_row(name);
	return row != NULL && row->stage != LAB_FAULT_ANSWER;
}

bool
lab_fault_refuses(struct lab_faults *f, int service)
{
	bool yes = false;
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n; i++)
		yes = yes || applies(&f->all[i], service, LAB_FAULT_LISTEN, NULL);
	pthread_mutex_unlock(&f->lock);
	return yes;
}

VS_RC
lab_fault_list(struct lab_faults *f, struct vs_buf *out, struct vs_err *err)
{
	vs_rc rc = VS_OK;
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n && !vs_failed(rc); i++) {
		const struct standing *s = &f->all[i];
		char times[32] = "until cleared";
		if (s->count > 0)
			(void)snprintf(times, sizeof(times), "%u times more", s->count);
		rc = vs_buf_addf(out, err, "%s %s (%s)\n",
			lab_service_name((enum lab_service)s->service), s->row->name, times);
	}
	pthread_mutex_unlock(&f->lock);
	return rc;
}

/* ---- content -------------------------------------------------------------------------------- */

static void
set_text(struct lab_resp *resp, int status, const char *type, const char *text)
{
	resp->chunked = false;
	lab_resp_text(resp, status, type, text);
}

/* A valid JSON value with a very long string; members of the right answer are not imitated. */
static void
make_oversized(struct lab_resp *resp)
{
	enum { SIZE = 8 << 20 };
	resp->body.max = SIZE + 64;
	vs_buf_reset(&resp->body);
	uint8_t *p = NULL;
	if (vs_failed(vs_buf_add_str(&resp->body, "{\"value\":\"", NULL)) ||
		vs_failed(vs_buf_room(&resp->body, SIZE, &p, NULL)))
		return;
	memset(p, 'A', SIZE);
	resp->body.n += SIZE;
	if (vs_failed(vs_buf_add_str(&resp->body, "\"}", NULL)))
		resp->status = 500;
}

/* The vaults' own words for each kind of refusal by access control. */
static const char *
forbidden_text(const char *inner)
{
	static const char *const texts[][2] = {
		{"ForbiddenByRbac",
			"Caller is not authorized to perform action on resource. If role "
			"assignments, deny "
			"assignments or role definitions were changed recently, please observe "
			"propagation "
			"time."},
		{"ForbiddenByPolicy",
			"The user, group or application does not have keys release permission on "
			"key vault."},
		{"ForbiddenByFirewall",
			"Client address is not authorized and caller is not a trusted service."},
		{"ForbiddenByConnection",
			"Public network access is disabled and request is not from a trusted "
			"service nor via "
			"an approved private link."},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i][0], inner) == 0)
			return texts[i][1];
	return "Forbidden";
}

static const char *
reason_code(int status)
{
	switch (status) {
	case 400: return "BadRequest";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "NotFound";
	case 408: return "RequestTimeout";
	case 410: return "Gone";
	case 429: return "Throttled";
	case 502: return "BadGateway";
	case 503: return "ServiceUnavailable";
	case 504: return "GatewayTimeout";
	default: return "InternalServerError";
	}
}

void
lab_fault_content(const struct lab_fault *fault, struct lab_resp *resp)
{
	switch (fault->kind) {
	case LAB_FAULT_EMPTY: set_text(resp, 204, "", ""); break;
	case LAB_FAULT_HTML:
		set_text(resp, 200, "text/html",
			"<html><body>Please log in to the network.</body></html>");
		break;
	case LAB_FAULT_NOT_JSON:
		set_text(resp, 200, "application/json; charset=utf-8", "{'value': undefined}");
		break;
	case LAB_FAULT_TYPE:
		(void)snprintf(resp->content_type, sizeof(resp->content_type), "%.95s",
			fault->value[0] != '\0' ? fault->value : "text/plain");
		break;
	case LAB_FAULT_ENCODED: lab_resp_header(resp, "Content-Encoding", "gzip"); break;
	case LAB_FAULT_TRUNCATED: resp->body.n /= 2; break;
	case LAB_FAULT_TRAILING:
		if (vs_failed(vs_buf_add_str(&resp->body, "{\"value\":\"\"}", NULL)))
			resp->status = 500;
		break;
	case LAB_FAULT_OVERSIZED: make_oversized(resp); break;
	case LAB_FAULT_REDIRECT:
		set_text(resp, fault->status, "", "");
		lab_resp_header(resp, "Location",
			fault->value[0] != '\0' ? fault->value
						: "http://169.254.169.254/metadata/");
		break;
	case LAB_FAULT_STATUS:
		resp->chunked = false;
		lab_resp_error(resp, fault->status, reason_code(fault->status),
			"The lab was told to answer like this.", NULL);
		if (fault->value[0] != '\0')
			lab_resp_header(resp,
				fault->status == 401 ? "WWW-Authenticate" : "Retry-After",
				fault->value);
		break;
	case LAB_FAULT_IDENTITY:
		lab_resp_json(resp, fault->status,
			json_pack("{s:s,s:s}", "error", "invalid_request", "error_description",
				"Identity not found"));
		break;
	case LAB_FAULT_FORBIDDEN:
		resp->chunked = false;
		lab_resp_error(resp, 403, "Forbidden", forbidden_text(fault->inner), fault->inner);
		break;
	case LAB_FAULT_LIES:
	case LAB_FAULT_NONE:
	case LAB_FAULT_REFUSED:
	case LAB_FAULT_RESET:
	case LAB_FAULT_SILENT:
	case LAB_FAULT_NOT_TLS:
	case LAB_FAULT_TLS_ALERT:
	case LAB_FAULT_TLS_SELF_SIGNED:
	case LAB_FAULT_TLS_UNKNOWN_CA:
	case LAB_FAULT_TLS_EXPIRED:
	case LAB_FAULT_TLS_FUTURE:
	case LAB_FAULT_TLS_WRONG_NAME:
	case LAB_FAULT_TLS_WILDCARD:
	case LAB_FAULT_TLS_INCOMPLETE:
	case LAB_FAULT_TLS_OLD:
	case LAB_FAULT_RESET_ANSWER:
	case LAB_FAULT_CLOSE:
	case LAB_FAULT_STALL:
	case LAB_FAULT_DRIP:
	case LAB_FAULT_SLOW:
	case LAB_FAULT_CUT:
	case LAB_FAULT_LENGTH_LONG:
	case LAB_FAULT_LENGTH_SHORT:
	case LAB_FAULT_LENGTH_TWICE:
	case LAB_FAULT_CHUNK_CUT:
	case LAB_FAULT_GARBAGE:
	case LAB_FAULT_HEADERS:
	case LAB_FAULT_COUNT_:
	default: break;
	}
}
