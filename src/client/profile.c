/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/profile.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "base/ini.h"

bool
vs_profile_elevated(void)
{
	return getauxval(AT_SECURE) != 0;
}

void
vs_profile_free(struct vs_profile *p)
{
	free(p);
}

/* What the scan carries along. */
struct scan {
	struct vs_profile *p;
	struct vs_profile_token *token; /* of the section being read, or NULL */
	bool global;
};

static VS_RC
set_text(char *out, size_t out_size, const struct vs_ini_line *line, struct vs_err *err)
{
	const size_t n = strlen(line->value);
	if (n >= out_size)
		VS_FAIL(err, CONFIG_VALUE, "line %u: the value of %s is longer than %zu bytes",
			line->line, line->name, out_size - 1);
	memcpy(out, line->value, n + 1);
	return VS_OK;
}

struct choice {
	const char *word;
	int value;
};

static VS_RC
set_choice(
	const struct vs_ini_line *line, const struct choice *choices, int *ret, struct vs_err *err)
{
	for (; choices->word; choices++)
		if (strcmp(line->value, choices->word) == 0) {
			*ret = choices->value;
			return VS_OK;
		}
	VS_FAIL(err, CONFIG_VALUE, "line %u: %s has a value that is not allowed", line->line,
		line->name);
}

static const struct choice booleans[] = {{"yes", 1}, {"no", 0}, {NULL, 0}};
static const struct choice logins[] = {
	{"none", VS_LOGIN_NONE}, {"attest", VS_LOGIN_ATTEST}, {"pin", VS_LOGIN_PIN}, {NULL, 0}};
static const struct choice visibles[] = {{"always", 0}, {"attested", 1}, {NULL, 0}};
static const struct choice modes[] = {{"production", 0}, {"lab", 1}, {NULL, 0}};
static const struct choice locks[] = {
	{"warn", VS_LOCK_WARN}, {"required", VS_LOCK_REQUIRED}, {NULL, 0}};

static VS_RC
global_setting(struct vs_profile *p, const struct vs_ini_line *line, struct vs_err *err)
{
	int value = 0;
	if (strcmp(line->name, "agent-socket") == 0)
		return set_text(p->agent_socket, sizeof p->agent_socket, line, err);
	if (strcmp(line->name, "agent-program") == 0)
		return set_text(p->agent_program, sizeof p->agent_program, line, err);
	if (strcmp(line->name, "mode") == 0) {
		VS_TRY(set_choice(line, modes, &value, err));
		p->lab = value == 1;
	} else if (strcmp(line->name, "memory-lock") == 0) {
		VS_TRY(set_choice(line, locks, &value, err));
		p->lock_mode = (enum vs_lock_mode)value;
	}
	return VS_OK;
}

/* A vault as the agent writes it: in lower case, without slash and without the usual port. */
static void
make_plain(char *vault)
{
	static const char usual[] = ":443";
	size_t n = strlen(vault);
	if (n > 0 && vault[n - 1] == '/')
		n--;
	if (n >= sizeof usual - 1 &&
		memcmp(vault + n - (sizeof usual - 1), usual, sizeof usual - 1) == 0)
		n -= sizeof usual - 1;
	vault[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (vault[i] >= 'A' && vault[i] <= 'Z')
			vault[i] = (char)(vault[i] - 'A' + 'a');
}

static VS_RC
token_setting(struct vs_profile_token *t, const struct vs_ini_line *line, struct vs_err *err)
{
	int value = 0;
	if (strcmp(line->name, "vault") == 0) {
		char vault[VS_INI_LINE_MAX] = "";
		VS_TRY(set_text(vault, sizeof vault, line, err));
		make_plain(vault);
		vs_serial16(t->label, vault, t->serial);
	} else if (strcmp(line->name, "login") == 0) {
		VS_TRY(set_choice(line, logins, &value, err));
		t->login = (enum vs_login)value;
	} else if (strcmp(line->name, "visible") == 0) {
		VS_TRY(set_choice(line, visibles, &value, err));
		t->visible_attested = value == 1;
	} else if (strcmp(line->name, "raw-rsa") == 0) {
		VS_TRY(set_choice(line, booleans, &value, err));
		t->raw_rsa_decrypt = value == 1;
	}
	return VS_OK;
}

static VS_RC
open_token(struct scan *s, const struct vs_ini_line *line, struct vs_err *err)
{
	const size_t n = strlen(line->label);
	if (n == 0 || n > VS_LABEL_MAX || !vs_utf8_ok(vs_bytes_str(line->label)))
		VS_FAIL(err, CONFIG_VALUE, "line %u: a token's label has 1 to %d bytes of UTF-8",
			line->line, VS_LABEL_MAX);
	for (size_t i = 0; i < s->p->n_tokens; i++)
		if (strcmp(s->p->tokens[i].label, line->label) == 0)
			VS_FAIL(err, CONFIG_VALUE,
				"line %u: there is a token of this label already", line->line);
	if (s->p->n_tokens == VS_PROFILE_TOKENS_MAX)
		VS_FAIL(err, LIMIT, "line %u: there are more than %d tokens", line->line,
			VS_PROFILE_TOKENS_MAX);
	s->token = &s->p->tokens[s->p->n_tokens++];
	memcpy(s->token->label, line->label, n + 1);
	vs_serial16(line->label, "", s->token->serial);
	return VS_OK;
}

static vs_rc
on_line(void *arg, const struct vs_ini_line *line, struct vs_err *err)
{
	struct scan *s = arg;
	if (!line->name) {
		s->token = NULL;
		s->global = strcmp(line->kind, "global") == 0;
		return strcmp(line->kind, "token") == 0 ? open_token(s, line, err) : VS_OK;
	}
	if (s->token)
		return token_setting(s->token, line, err);
	return s->global ? global_setting(s->p, line, err) : VS_OK;
}

static void
set_broken(struct vs_profile *p, const struct vs_err *err)
{
	p->broken = true;
	vs_err_sentence(err, p->why, sizeof p->why);
	if (p->n_tokens > 0)
		return;
	p->n_tokens = 1;
	p->tokens[0] = (struct vs_profile_token){.label = "vouchsafe"};
	vs_serial16("vouchsafe", "", p->tokens[0].serial);
}

static const char *
choose_path(void)
{
	const char *path = vs_profile_elevated() ? NULL : secure_getenv("VOUCHSAFE_CONF");
	return path && path[0] != '\0' ? path : VS_SYSCONFDIR "/vouchsafe/vouchsafe.conf";
}

/* Absolute, so that the agent and a forked child that changed its folder find the same file. */
static bool
set_path(struct vs_profile *p, const char *path)
{
	char cwd[PATH_MAX] = "";
	int n = 0;
	if (path[0] == '/')
		n = snprintf(p->path, sizeof p->path, "%s", path);
	else if (getcwd(cwd, sizeof cwd))
		n = snprintf(p->path, sizeof p->path, "%s/%s", cwd, path);
	if (n > 0 && (size_t)n < sizeof p->path)
		return true;
	p->path[0] = '\0';
	return false;
}

static VS_RC
read_file(struct vs_profile *p, bool *ret_missing, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = VS_INI_FILE_MAX};
	struct scan s = {.p = p};
	const vs_rc rc = vs_file_read(p->path, VS_INI_FILE_MAX, VS_FILE_TRUSTED, &text, err);
	if (vs_failed(rc)) {
		*ret_missing = err->frames[0].foreign == ENOENT;
		return rc;
	}
	return vs_ini_scan(p->path, vs_buf_view(&text), on_line, &s, err);
}

VS_RC
vs_profile_load(struct vs_profile **ret, struct vs_err *err)
{
	struct vs_profile *p = calloc(1, sizeof *p);
	struct vs_err local = {0};
	bool missing = false;
	if (!p)
		VS_FAIL(err, MEMORY, "out of memory");
	snprintf(p->agent_socket, sizeof p->agent_socket, "%s",
		VS_RUNSTATEDIR "/vouchsafe/agent.sock");
	snprintf(p->agent_program, sizeof p->agent_program, "%s", VS_LIBEXECDIR "/vouchsafe-agent");
	if (!set_path(p, choose_path())) {
		(void)vs_err_put(&local, VS_E_CONFIG_FILE, __func__, __LINE__, 0,
			"the path of the configuration file is too long or cannot be made "
			"absolute");
		set_broken(p, &local);
	} else if (vs_failed(read_file(p, &missing, &local))) {
		if (missing)
			p->path[0] = '\0';
		else
			set_broken(p, &local);
	}
	*ret = p;
	return VS_OK;
}
