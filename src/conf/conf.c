/* SPDX-License-Identifier: BSD-2-Clause */
#include "conf/conf.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "base/ini.h"
#include "conf/check.h"
#include "conf/table.h"
#include "conf/value.h"

enum { TOKENS_MAX = 64, LIST_MAX = 256, CERTS_MAX = 1024, SETTINGS_MAX = 64, LABEL_MAX = 32 };

struct parse {
	struct vs_conf *conf;
	struct vs_conf_token *token; /* the section we are in, NULL in [global] */
	bool global_seen;
	unsigned seen_global[SETTINGS_MAX],
		seen_token[SETTINGS_MAX]; /* line of each setting, 0: none */
};

const char *
vs_conf_default_path(void)
{
	const char *p = secure_getenv("VOUCHSAFE_CONF");
	return p && *p ? p : VS_SYSCONFDIR "/vouchsafe/vouchsafe.conf";
}

static void
token_done(struct vs_conf_token *t)
{
	char *const texts[] = {t->label, t->vault, t->vault_resource, t->attestation, t->policy,
		t->authority, t->tenant_id, t->client_id, t->object_id, t->resource_id,
		t->client_secret_file, t->client_certificate_file, t->federated_token_file,
		t->pin_file};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	vs_list_free(t->keys);
	vs_list_free(t->attestation_fallback);
	vs_list_free(t->service_measurements);
	for (size_t i = 0; i < t->n_allow; i++)
		free(t->allow[i].name);
	free(t->allow);
	for (size_t i = 0; i < t->n_certs; i++) {
		free(t->certs[i].key);
		free(t->certs[i].path);
	}
	free(t->certs);
}

void
vs_conf_free(struct vs_conf *c)
{
	if (!c)
		return;
	char *const texts[] = {c->path, c->agent_socket, c->agent_program, c->audit_log,
		c->state_dir, c->ca_bundle, c->release_roots, c->proxy, c->tcti, c->imds,
		c->event_log, c->evidence_roots, c->metrics_file, c->refusal_hook, c->collateral,
		c->amd_kds, c->intel_pccs, c->ima_log, c->ima_keys};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		free(texts[i]);
	for (size_t i = 0; i < c->n_tokens; i++)
		token_done(&c->tokens[i]);
	free(c->tokens);
	free(c);
}

static void
conf_cleanup(struct vs_conf **c)
{
	vs_conf_free(*c);
}

const struct vs_conf_token *
vs_conf_token_find(const struct vs_conf *conf, const char *label)
{
	for (size_t i = 0; i < conf->n_tokens; i++)
		if (strcmp(conf->tokens[i].label, label) == 0)
			return &conf->tokens[i];
	return NULL;
}

/* ---- one value --------------------------------------------------------------------------- */

static bool
resolve_allow(const char *text, struct vs_conf_allow *ret)
{
	const char *name = strchr(text, ':');
	if (!name || !name[1])
		return false;
	name++;
	char *end = NULL;
	errno = 0;
	const unsigned long number = strtoul(name, &end, 10);
	const bool numeric =
		*name >= '0' && *name <= '9' && !*end && errno == 0 && number < UINT32_MAX;
	if (strncmp(text, "user:", 5) == 0) {
		const struct passwd *pw = numeric ? NULL : getpwnam(name);
		if (!numeric && !pw)
			return false;
		ret->id = numeric ? (uint32_t)number : pw->pw_uid;
	} else if (strncmp(text, "group:", 6) == 0) {
		const struct group *gr = numeric ? NULL : getgrnam(name);
		if (!numeric && !gr)
			return false;
		ret->group = true;
		ret->id = numeric ? (uint32_t)number : gr->gr_gid;
	} else {
		return false;
	}
	ret->name = strdup(text);
	return ret->name;
}

static bool
set_allow(struct vs_conf_token *t, const char *text)
{
	char **list = NULL;
	if (!vs_list_parse(text, LIST_MAX, &list))
		return false;
	size_t n = 0;
	while (list[n])
		n++;
	t->allow = calloc(n, sizeof *t->allow);
	bool ok = t->allow;
	for (size_t i = 0; ok && i < n; i++) {
		ok = resolve_allow(list[i], &t->allow[i]);
		t->n_allow += ok;
	}
	vs_list_free(list);
	return ok;
}

static bool
set_text(void *at, const char *text)
{
	char *copy = strdup(text);
	memcpy(at, &copy, sizeof copy);
	return copy;
}

static bool
set_origin(void *at, const char *text, const char *scheme)
{
	char *origin = NULL;
	if (!vs_origin_parse(text, scheme, &origin))
		return false;
	memcpy(at, &origin, sizeof origin);
	return true;
}

static bool
set_list(void *at, const char *text, bool origins)
{
	char **list = NULL;
	if (!vs_list_parse(text, LIST_MAX, &list))
		return false;
	for (char **p = list; origins && *p; p++) {
		char *origin = NULL;
		if (!vs_origin_parse(*p, "https", &origin)) {
			vs_list_free(list);
			return false;
		}
		free(*p);
		*p = origin;
	}
	memcpy(at, &list, sizeof list);
	return true;
}

/* 32 bytes are an MRSIGNER or HOST_DATA, 48 a launch MEASUREMENT. */
static bool
set_digests(void *at, const char *text)
{
	char **list = NULL;
	if (!vs_list_parse(text, LIST_MAX, &list))
		return false;
	for (char **p = list; *p; p++) {
		const size_t n = strlen(*p);
		if ((n != 64 && n != 96) || strspn(*p, "0123456789abcdefABCDEF") != n) {
			vs_list_free(list);
			return false;
		}
		for (char *c = *p; *c; c++)
			*c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
	}
	memcpy(at, &list, sizeof list);
	return true;
}

static bool
set_number(void *at, size_t size, int value)
{
	const bool b = value != 0;
	if (size == sizeof b)
		memcpy(at, &b, sizeof b);
	else
		memcpy(at, &value, sizeof value);
	return true;
}

static bool
set_enum(const struct vs_setting *s, void *at, const char *text)
{
	for (const struct vs_set_value *v = s->allowed; v->name; v++)
		if (strcmp(v->name, text) == 0)
			return set_number(at, s->size, v->value);
	return false;
}

static bool
set_flags(const struct vs_setting *s, void *at, const char *text)
{
	char **list = NULL;
	uint32_t mask = 0;
	bool ok = vs_list_parse(text, LIST_MAX, &list);
	for (char **p = list; ok && *p; p++) {
		const struct vs_set_value *v = s->allowed;
		while (v->name && strcmp(v->name, *p) != 0)
			v++;
		ok = v->name != NULL;
		if (ok)
			mask |= UINT32_C(1) << v->value;
	}
	if (ok)
		memcpy(at, &mask, sizeof mask);
	vs_list_free(list);
	return ok;
}

static bool
set_decimal(const struct vs_setting *s, void *at, const char *text)
{
	uint32_t n = 0;
	if (*text == '\0' || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		return false;
	for (; *text; text++)
		n = n * 10 + (uint32_t)(*text - '0');
	memcpy(at, &n, sizeof n);
	return n >= s->min && n <= s->max;
}

static bool
set_duration(const struct vs_setting *s, void *at, const char *text)
{
	int64_t ms;
	if (!vs_duration_parse(text, &ms))
		return false;
	if (s->type == VS_SET_DURATION_S && ms % 1000)
		return false;
	const int64_t v = s->type == VS_SET_DURATION_S ? ms / 1000 : ms;
	memcpy(at, &v, sizeof v);
	return v >= s->min && v <= s->max;
}

static bool
set_value(const struct vs_setting *s, struct parse *p, const char *text)
{
	uint8_t *base = s->scope == VS_SET_GLOBAL ? (void *)p->conf : (void *)p->token;
	void *at = base + s->offset;
	uint32_t mask;
	switch (s->type) {
	case VS_SET_TEXT: return *text && set_text(at, text);
	case VS_SET_PATH: return *text == '/' && set_text(at, text);
	case VS_SET_HTTPS: return set_origin(at, text, "https");
	case VS_SET_HTTP: return set_origin(at, text, "http");
	case VS_SET_PROXY: return set_origin(at, text, "http") || set_origin(at, text, "https");
	case VS_SET_HTTPS_LIST: return set_list(at, text, true);
	case VS_SET_NAMES: return set_list(at, text, false);
	case VS_SET_SWITCH:
		return (strcmp(text, "yes") == 0 && set_number(at, s->size, 1)) ||
			(strcmp(text, "no") == 0 && set_number(at, s->size, 0));
	case VS_SET_ENUM: return set_enum(s, at, text);
	case VS_SET_DURATION_S:
	case VS_SET_DURATION_MS: return set_duration(s, at, text);
	case VS_SET_PCRS:
		if (!vs_pcrs_parse(text, &mask))
			return false;
		memcpy(at, &mask, sizeof mask);
		return true;
	case VS_SET_ALLOW: return set_allow(p->token, text);
	case VS_SET_TCTI: return vs_tcti_ok(text) && set_text(at, text);
	case VS_SET_GUID: return vs_guid_ok(text) && set_text(at, text);
	case VS_SET_DIGESTS: return set_digests(at, text);
	case VS_SET_FLAGS: return set_flags(s, at, text);
	case VS_SET_NUMBER: return set_decimal(s, at, text);
	}
	return false;
}

static VS_RC
apply_defaults(struct parse *p, enum vs_set_scope scope, struct vs_err *err)
{
	const unsigned *seen = scope == VS_SET_GLOBAL ? p->seen_global : p->seen_token;
	for (size_t i = 0; i < vs_n_settings; i++) {
		const struct vs_setting *s = &vs_settings[i];
		if (s->scope == scope && s->dflt && !seen[i])
			VS_REQUIRE(err, set_value(s, p, s->dflt));
	}
	return VS_OK;
}

/* ---- lines -------------------------------------------------------------------------------- */

static VS_RC
unknown_setting(struct parse *p, const struct vs_ini_line *l, struct vs_err *err)
{
	char name[64];
	const enum vs_set_scope scope = p->token ? VS_SET_TOKEN : VS_SET_GLOBAL;
	const struct vs_setting *nearest = NULL, *elsewhere = NULL;
	unsigned best = 4;
	for (size_t i = 0; i < vs_n_settings; i++) {
		const struct vs_setting *s = &vs_settings[i];
		if (strcmp(s->name, l->name) == 0)
			elsewhere = s;
		const unsigned d = vs_distance(l->name, s->name);
		if (s->scope == scope && d < best) {
			best = d;
			nearest = s;
		}
	}
	vs_quote(vs_bytes_str(l->name), name, sizeof name);
	if (elsewhere)
		VS_FAIL(err, CONFIG_NAME, "%s:%u: '%s' belongs into %s", p->conf->path, l->line,
			name, p->token ? "[global]" : "a [token LABEL] section");
	if (nearest)
		VS_FAIL(err, CONFIG_NAME, "%s:%u: unknown setting '%s'; did you mean '%s'?",
			p->conf->path, l->line, name, nearest->name);
	VS_FAIL(err, CONFIG_NAME,
		"%s:%u: unknown setting '%s'; `vouchsafe conf defaults` lists them all",
		p->conf->path, l->line, name);
}

static VS_RC
bad_value(struct parse *p, const struct vs_ini_line *l, const struct vs_setting *s,
	struct vs_err *err)
{
	char allowed[240], value[120];
	vs_setting_allowed(s, allowed, sizeof allowed);
	vs_quote(vs_bytes_str(l->value), value, sizeof value);
	if (s->type == VS_SET_ALLOW)
		VS_FAIL(err, CONFIG_VALUE,
			"%s:%u: allow = %s: expected %s, each known on this machine", p->conf->path,
			l->line, value, allowed);
	VS_FAIL(err, CONFIG_VALUE, "%s:%u: %s = %s: expected %s", p->conf->path, l->line, l->name,
		value, allowed);
}

static VS_RC
certificate_line(struct parse *p, const struct vs_ini_line *l, struct vs_err *err)
{
	struct vs_conf_token *t = p->token;
	const char *key = l->name + strlen("certificate.");
	if (!*key ||
		strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") !=
			strlen(key))
		VS_FAIL(err, CONFIG_NAME, "%s:%u: certificate.NAME wants the name of a key",
			p->conf->path, l->line);
	if (*l->value != '/')
		VS_FAIL(err, CONFIG_VALUE, "%s:%u: certificate.%s: expected an absolute path",
			p->conf->path, l->line, key);
	for (size_t i = 0; i < t->n_certs; i++)
		if (strcmp(t->certs[i].key, key) == 0)
			VS_FAIL(err, CONFIG_NAME, "%s:%u: certificate.%s stands here twice",
				p->conf->path, l->line, key);
	if (t->n_certs == CERTS_MAX)
		VS_FAIL(err, CONFIG_VALUE, "%s:%u: more than %d certificates", p->conf->path,
			l->line, CERTS_MAX);
	struct vs_conf_cert *grown = realloc(t->certs, (t->n_certs + 1) * sizeof *grown);
	if (!grown)
		VS_FAIL(err, MEMORY, "out of memory");
	t->certs = grown;
	struct vs_conf_cert *c = &t->certs[t->n_certs++];
	*c = (struct vs_conf_cert){.key = strdup(key), .path = strdup(l->value)};
	if (!c->key || !c->path)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

static VS_RC
finish_token(struct parse *p, struct vs_err *err)
{
	if (!p->token)
		return VS_OK;
	VS_TRY(apply_defaults(p, VS_SET_TOKEN, err));
	p->token = NULL;
	memset(p->seen_token, 0, sizeof p->seen_token);
	return VS_OK;
}

static VS_RC
section_line(struct parse *p, const struct vs_ini_line *l, struct vs_err *err)
{
	const char *file = p->conf->path;
	VS_TRY(finish_token(p, err));
	if (strcmp(l->kind, "global") == 0) {
		if (*l->label || p->global_seen)
			VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: [global] stands once and has no label",
				file, l->line);
		p->global_seen = true;
		return VS_OK;
	}
	if (strcmp(l->kind, "token") != 0)
		VS_FAIL(err, CONFIG_NAME,
			"%s:%u: unknown section [%.40s]; expected [global] or [token LABEL]", file,
			l->line, l->kind);
	if (!*l->label || strlen(l->label) > LABEL_MAX || !vs_utf8_ok(vs_bytes_str(l->label)))
		VS_FAIL(err, CONFIG_VALUE, "%s:%u: a token's label has 1 to %d bytes of UTF-8",
			file, l->line, LABEL_MAX);
	if (vs_conf_token_find(p->conf, l->label))
		VS_FAIL(err, CONFIG_NAME, "%s:%u: a second [token %s]", file, l->line, l->label);
	if (p->conf->n_tokens == TOKENS_MAX)
		VS_FAIL(err, CONFIG_VALUE, "%s:%u: more than %d tokens", file, l->line, TOKENS_MAX);
	p->token = &p->conf->tokens[p->conf->n_tokens++];
	*p->token = (struct vs_conf_token){.line = l->line, .label = strdup(l->label)};
	if (!p->token->label)
		VS_FAIL(err, MEMORY, "out of memory");
	return VS_OK;
}

static vs_rc
conf_line(void *arg, const struct vs_ini_line *l, struct vs_err *err)
{
	struct parse *p = arg;
	if (!l->name)
		return section_line(p, l, err);
	if (!*l->kind)
		VS_FAIL(err, CONFIG_SYNTAX, "%s:%u: settings stand in [global] or [token LABEL]",
			p->conf->path, l->line);
	if (p->token && strncmp(l->name, "certificate.", strlen("certificate.")) == 0)
		return certificate_line(p, l, err);
	const enum vs_set_scope scope = p->token ? VS_SET_TOKEN : VS_SET_GLOBAL;
	unsigned *seen = p->token ? p->seen_token : p->seen_global;
	for (size_t i = 0; i < vs_n_settings; i++) {
		const struct vs_setting *s = &vs_settings[i];
		if (s->scope != scope || strcmp(s->name, l->name) != 0)
			continue;
		if (seen[i])
			VS_FAIL(err, CONFIG_NAME,
				"%s:%u: '%s' stands here twice (first in line %u)", p->conf->path,
				l->line, s->name, seen[i]);
		seen[i] = l->line;
		return set_value(s, p, l->value) ? VS_OK : bad_value(p, l, s, err);
	}
	return unknown_setting(p, l, err);
}

VS_RC
vs_conf_parse(const char *path, struct vs_bytes text, struct vs_conf **ret, struct vs_err *err)
{
	VS_REQUIRE(err, vs_n_settings <= SETTINGS_MAX);
	VS_CLEANUP(conf_cleanup) struct vs_conf *conf = calloc(1, sizeof *conf);
	if (!conf || !(conf->path = strdup(path)) ||
		!(conf->tokens = calloc(TOKENS_MAX, sizeof *conf->tokens)))
		VS_FAIL(err, MEMORY, "out of memory");
	struct parse p = {.conf = conf};
	VS_TRY(vs_ini_scan(path, text, conf_line, &p, err));
	VS_TRY(finish_token(&p, err));
	VS_TRY(apply_defaults(&p, VS_SET_GLOBAL, err));
	VS_TRY(vs_conf_check(conf, text, err));
	*ret = VS_TAKE(conf);
	return VS_OK;
}

VS_RC
vs_conf_load(const char *path, struct vs_conf **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_INI_FILE_MAX};
	VS_TRY(vs_file_read(path, VS_INI_FILE_MAX, VS_FILE_TRUSTED, &text, err));
	return vs_conf_parse(path, vs_buf_view(&text), ret, err);
}
