/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/labkit.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/codec.h"
#include "unit/unit.h"

extern char **environ;

enum { VARS_MAX = 32, TEXT_MAX = 4 << 20 };

static char dir[64];
static struct {
	char name[40], value[300];
} vars[VARS_MAX];
static size_t n_vars;

/* ---- processes ------------------------------------------------------------------------------ */

static const char *
program(void)
{
	static char path[1024];
	const char *build = getenv("VS_BUILDDIR");
	snprintf(path, sizeof path, "%s/vouchsafe-lab", build != NULL ? build : VS_TEST_BUILDDIR);
	return path;
}

static char *
read_fd(int fd)
{
	size_t n = 0, cap = 1 << 16;
	char *text = malloc(cap);
	ssize_t r = 0;
	assert_non_null(text);
	while ((r = read(fd, text + n, cap - n - 1)) > 0) {
		n += (size_t)r;
		if (n + 1 == cap) {
			assert_true(cap < TEXT_MAX);
			text = realloc(text, cap *= 2);
			assert_non_null(text);
		}
	}
	text[n] = '\0';
	return text;
}

char *
labkit_cmd(int *exit_code, const char *const *words)
{
	const char *argv[40] = {"vouchsafe-lab"};
	size_t n = 1;
	int fds[2], status = 0;
	pid_t pid = 0;
	posix_spawn_file_actions_t actions;
	for (size_t i = 0; words[i] != NULL && n < 36; i++)
		argv[n++] = words[i];
	argv[n++] = "--dir";
	argv[n++] = dir;
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_addclose(&actions, fds[1]);
	assert_int_equal(
		posix_spawn(&pid, program(), &actions, NULL, (char **)(uintptr_t)argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	char *text = read_fd(fds[0]);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
	return text;
}

void
labkit_do(const char *const *words)
{
	int code = -1;
	free(labkit_cmd(&code, words));
	if (code != 0)
		fail_msg("vouchsafe-lab %s %s exits with %d", words[0],
			words[1] != NULL ? words[1] : "", code);
}

/* export NAME='value' */
static void
read_env(void)
{
	char path[128], line[512];
	snprintf(path, sizeof path, "%s/env", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	n_vars = 0;
	while (fgets(line, sizeof line, f) != NULL && n_vars < VARS_MAX)
		n_vars += sscanf(line, "export %39[A-Z0-9_]='%299[^']'", vars[n_vars].name,
				  vars[n_vars].value) == 2;
	fclose(f);
}

void
labkit_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/labtest.XXXXXX");
	assert_non_null(mkdtemp(dir));
	curl_global_init(CURL_GLOBAL_DEFAULT);
	LAB_DO("up", "--max-life", "10m");
	read_env();
}

/* A sanitizer's report in the lab's log is a failure of the test that caused it. */
static void
check_log(const char *path)
{
	char line[1024];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		if (strstr(line, "Sanitizer") != NULL || strstr(line, "runtime error") != NULL)
			fail_msg("the lab's log: %s", line);
	fclose(f);
}

void
labkit_down(void)
{
	char path[128];
	LAB_DO("down");
	snprintf(path, sizeof path, "%s/lab.log", dir);
	check_log(path);
	unlink(path);
	assert_int_equal(rmdir(dir), 0); /* the lab leaves nothing else behind */
	curl_global_cleanup();
}

const char *
labkit_var(const char *name)
{
	if (strcmp(name, "DIR") == 0)
		return dir;
	for (size_t i = 0; i < n_vars; i++)
		if (strcmp(vars[i].name, name) == 0)
			return vars[i].value;
	fail_msg("D/env has no %s", name);
	return "";
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

void
answer_done(struct answer *a)
{
	free(a->body);
	free(a->head);
	json_decref(a->json);
	*a = (struct answer){0};
}

static size_t
collect(char *p, size_t size, size_t n, void *arg)
{
	struct vs_buf *out = arg;
	return vs_failed(vs_buf_add(out, p, size * n, NULL)) ? 0 : size * n;
}

static struct curl_slist *
make_headers(const char *bearer, const char *body, const char *header)
{
	char line[8192];
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	if (bearer != NULL) {
		snprintf(line, sizeof line, "Authorization: Bearer %s", bearer);
		list = curl_slist_append(list, line);
	}
	if (body != NULL && (header == NULL || strncasecmp(header, "Content-Type:", 13) != 0))
		list = curl_slist_append(list, "Content-Type: application/json");
	if (header != NULL)
		list = curl_slist_append(list, header);
	return list;
}

struct answer
http(const char *method, const char *base, const char *path, const char *bearer, const char *body,
	const char *header)
{
	struct answer a = {0};
	struct vs_buf text = {.max = 16 << 20}, head = {.max = 4 << 20};
	char url[4096];
	CURL *c = curl_easy_init();
	struct curl_slist *list = make_headers(bearer, body, header);
	snprintf(url, sizeof url, "%s%s", base, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_CAINFO, labkit_var("CA_FILE"));
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 5000L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &text);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &head);
	if (body != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	else if (strcmp(method, "POST") == 0)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
	a.error = (int)curl_easy_perform(c);
	if (a.error == 0)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.status);
	curl_easy_cleanup(c);
	curl_slist_free_all(list);
	a.n_body = text.n;
	a.body = strdup(text.n > 0 ? (char *)text.p : "");
	a.head = strdup(head.n > 0 ? (char *)head.p : "");
	a.json = text.n > 0 ? json_loadb((char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL)
			    : NULL;
	vs_buf_done(&text);
	vs_buf_done(&head);
	return a;
}

static const char *
next_header(const char *at, const char *name)
{
	const size_t n = strlen(name);
	for (; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncasecmp(at, name, n) == 0 && at[n] == ':')
			return at;
	}
	return NULL;
}

const char *
answer_header(const struct answer *a, const char *name)
{
	static char value[1024];
	const char *at = next_header(a->head, name);
	value[0] = '\0';
	if (at != NULL)
		sscanf(at + strlen(name) + 1, " %1023[^\r\n]", value);
	return value;
}

size_t
answer_count_header(const struct answer *a, const char *name)
{
	size_t n = 0;
	for (const char *at = next_header(a->head, name); at != NULL;
		at = next_header(at + 1, name))
		n++;
	return n;
}

static const char *
error_text(const struct answer *a, const char *member, const char *inner)
{
	const json_t *error = json_object_get(a->json, "error");
	const json_t *j = json_object_get(error, member);
	const char *text = json_string_value(inner != NULL ? json_object_get(j, inner) : j);
	return text != NULL ? text : "";
}

const char *
answer_code(const struct answer *a)
{
	return error_text(a, "code", NULL);
}

const char *
answer_message(const struct answer *a)
{
	return error_text(a, "message", NULL);
}

const char *
answer_inner(const struct answer *a)
{
	return error_text(a, "innererror", "code");
}

static void
fetch_bearer(const char *resource, char *out, size_t size)
{
	char path[256];
	snprintf(path, sizeof path,
		"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=%s", resource);
	struct answer a = http("GET", labkit_var("IMDS_URL"), path, NULL, NULL, "Metadata: true");
	assert_int_equal(a.status, 200);
	snprintf(out, size, "%s", json_string_value(json_object_get(a.json, "access_token")));
	answer_done(&a);
}

const char *
vault_bearer(void)
{
	static char token[4096];
	if (token[0] == '\0')
		fetch_bearer("https%3A%2F%2Fvault.azure.net", token, sizeof token);
	return token;
}

const char *
mhsm_bearer(void)
{
	static char token[4096];
	if (token[0] == '\0')
		fetch_bearer("https%3A%2F%2Fmanagedhsm.azure.net", token, sizeof token);
	return token;
}

/* ---- recordings ----------------------------------------------------------------------------- */

json_t *
recording(const char *file)
{
	char path[1024];
	const char *src = getenv("VS_SRCDIR");
	snprintf(path, sizeof path, "%s/tests/data/keyvault/%s", src != NULL ? src : VS_TEST_SRCDIR,
		file);
	json_t *j = json_load_file(path, 0, NULL);
	assert_non_null(j);
	return j;
}

const json_t *
recorded_body(const json_t *rec, const char *method, const char *part, size_t n)
{
	const json_t *entries = json_object_get(rec, "Entries");
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *e = json_array_get(entries, i);
		const char *uri = json_string_value(json_object_get(e, "RequestUri"));
		const char *m = json_string_value(json_object_get(e, "RequestMethod"));
		if (strcmp(m, method) == 0 && strstr(uri, part) != NULL && n-- == 0)
			return json_object_get(e, "ResponseBody");
	}
	fail_msg("the recording has no such exchange: %s %s", method, part);
	return NULL;
}

static bool
named_in(const char *list, const char *name)
{
	const char *at = list != NULL ? strstr(list, name) : NULL;
	const size_t n = strlen(name);
	return at != NULL && (at == list || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ');
}

/* true and false are one type */
static int
kind(const json_t *j)
{
	return json_is_boolean(j) ? 100 : (int)json_typeof(j);
}

static void
compare(const json_t *recorded, const json_t *ours, const char *skip, const char *where)
{
	if (ours == NULL || kind(recorded) != kind(ours))
		fail_msg("%s has another type than in the recording", where);
	if (json_is_array(recorded) && json_array_size(recorded) > 0) {
		if (json_array_size(ours) == 0)
			fail_msg("%s is empty, in the recording it is not", where);
		compare(json_array_get(recorded, 0), json_array_get(ours, 0), skip, where);
	}
	if (!json_is_object(recorded))
		return;
	void *a = json_object_iter((json_t *)(uintptr_t)recorded);
	void *b = json_object_iter((json_t *)(uintptr_t)ours);
	while (a != NULL && b != NULL) {
		const char *name = json_object_iter_key(a);
		if (strcmp(name, json_object_iter_key(b)) != 0)
			fail_msg("%s: the recording has %s where the lab has %s", where, name,
				json_object_iter_key(b));
		if (!named_in(skip, name))
			compare(json_object_iter_value(a), json_object_iter_value(b), skip, name);
		a = json_object_iter_next((json_t *)(uintptr_t)recorded, a);
		b = json_object_iter_next((json_t *)(uintptr_t)ours, b);
	}
	if (a != NULL || b != NULL)
		fail_msg("%s: %s is only in the %s", where, json_object_iter_key(a != NULL ? a : b),
			a != NULL ? "recording" : "lab");
}

void
assert_same_shape(const json_t *recorded, const json_t *ours, const char *skip)
{
	compare(recorded, ours, skip, "the answer");
}

json_t *
json_of_b64url(const char *text, size_t n)
{
	struct vs_buf out = {0};
	struct vs_err err = {0};
	assert_ok(vs_b64url_decode(vs_bytes_of(text, n), &out, &err), &err);
	json_t *j = json_loadb((char *)out.p, out.n, 0, NULL);
	vs_buf_done(&out);
	assert_non_null(j);
	return j;
}
