/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_ctl.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "lab/lab_jwt.h"

enum { REQUEST_MAX = 64 * 1024, ANSWER_MAX = 4 << 20, WORDS_MAX = 32, POLL_MS = 200, WAIT_S = 60 };

struct lab_ctl {
	struct lab *lab;
	int fd;
	int stopping, ending; /* atomic */
	uint64_t n_commands; /* atomic */
	pthread_t thread;
	bool has_thread;
	char path[LAB_PATH_MAX];
};

int
lab_exit_code(vs_rc rc)
{
	switch (vs_code_cat(rc.code)) {
	case VS_CAT_NONE: return 0;
	case VS_CAT_USAGE:
	case VS_CAT_CONFIG:
	case VS_CAT_STATE: return 2;
	case VS_CAT_REMOTE:
	case VS_CAT_IO:
	case VS_CAT_RESOURCE:
	case VS_CAT_EVIDENCE: return 3;
	case VS_CAT_PROTOCOL:
	case VS_CAT_CRYPTO:
	case VS_CAT_POLICY:
	case VS_CAT_GONE:
	case VS_CAT_INTERNAL:
	case VS_CAT_COUNT_:
	default: return 1;
	}
}

static VS_RC
read_all(int fd, struct vs_buf *out, struct vs_err *err)
{
	for (;;) {
		uint8_t *p = NULL;
		VS_TRY(vs_buf_room(out, 4096, &p, err));
		const ssize_t n = recv(fd, p, 4096, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			VS_FAIL_N(err, SOCKET, errno, "the control socket failed");
		if (n == 0)
			return VS_OK;
		out->n += (size_t)n;
	}
}

/* ---- in the lab ----------------------------------------------------------------------------- */

static size_t
read_words(const json_t *request, const char *words[WORDS_MAX])
{
	const json_t *list = json_object_get(request, "words");
	const size_t n = json_array_size(list);
	for (size_t i = 0; i < n && i < WORDS_MAX; i++) {
		words[i] = json_string_value(json_array_get(list, i));
		if (words[i] == NULL)
			return 0;
	}
	return n <= WORDS_MAX ? n : 0;
}

static void
execute(struct lab_ctl *ctl, const json_t *request, int fd)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf out = {.max = ANSWER_MAX};
	const char *words[WORDS_MAX] = {NULL};
	const char *cwd = lab_json_text(request, "cwd");
	const size_t n = read_words(request, words);
	struct vs_err err = {0};
	char sentence[VS_ERR_TEXT_MAX * 2] = "";
	vs_rc rc = VS_OK;
	if (n == 1 && strcmp(words[0], "stop") == 0)
		__atomic_store_n(&ctl->ending, 1, __ATOMIC_RELAXED);
	else
		rc = lab_cmd_run(ctl->lab, cwd != NULL ? cwd : "/", words, n, &out, &err);
	if (vs_failed(rc))
		vs_err_sentence(&err, sentence, sizeof(sentence));
	json_t *answer = json_pack("{s:i,s:s#,s:s}", "exit", lab_exit_code(rc), "out",
		out.n > 0 ? (const char *)out.p : "", (json_int_t)0 + (int)out.n, "err", sentence);
	char *text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	if (text != NULL)
		(void)vs_failed(vs_fd_write_all(fd, vs_bytes_str(text), NULL));
	free(text);
	__atomic_fetch_add(&ctl->n_commands, 1, __ATOMIC_RELAXED);
}

/* Only this user: the directory is 0700, and the kernel tells who is asking. */
static bool
peer_ok(int fd)
{
	struct ucred cred = {0};
	socklen_t n = sizeof(cred);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 &&
		(cred.uid == geteuid() || cred.uid == 0);
}

static void
serve_one(struct lab_ctl *ctl, int fd)
{
	const struct timeval wait = {.tv_sec = 5};
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {.max = REQUEST_MAX};
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	if (!peer_ok(fd) || vs_failed(read_all(fd, &text, NULL)) || text.n == 0)
		return;
	json_t *request = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (request != NULL)
		execute(ctl, request, fd);
	json_decref(request);
}

static void *
ctl_main(void *arg)
{
	struct lab_ctl *ctl = arg;
	while (!__atomic_load_n(&ctl->stopping, __ATOMIC_RELAXED)) {
		struct pollfd p = {.fd = ctl->fd, .events = POLLIN};
		if (poll(&p, 1, POLL_MS) <= 0)
			continue;
		const int fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		serve_one(ctl, fd);
		(void)close(fd);
	}
	return NULL;
}

static bool
make_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return false;
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return true;
}

VS_RC
lab_ctl_start(struct lab *lab, struct lab_ctl **ret, struct vs_err *err)
{
	struct sockaddr_un at;
	struct lab_ctl *ctl = calloc(1, sizeof(*ctl));
	if (ctl == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	ctl->lab = lab;
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ctl->fd < 0 || vs_failed(lab_path(lab, "ctl.sock", ctl->path, err)) ||
		!make_address(ctl->path, &at) ||
		bind(ctl->fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
		chmod(ctl->path, 0600) != 0 || listen(ctl->fd, 8) != 0) {
		const int e = errno;
		lab_ctl_stop(ctl);
		VS_FAIL_N(err, SOCKET, e, "the control socket in %s cannot be made", lab->dir);
	}
	if (pthread_create(&ctl->thread, NULL, ctl_main, ctl) != 0) {
		lab_ctl_stop(ctl);
		VS_FAIL(err, MEMORY, "no thread for the control socket");
	}
	ctl->has_thread = true;
	*ret = ctl;
	return VS_OK;
}

void
lab_ctl_stop(struct lab_ctl *ctl)
{
	if (ctl == NULL)
		return;
	__atomic_store_n(&ctl->stopping, 1, __ATOMIC_RELAXED);
	(void)shutdown(ctl->fd, SHUT_RDWR); /* wakes the thread */
	if (ctl->has_thread)
		pthread_join(ctl->thread, NULL);
	if (ctl->fd >= 0)
		(void)close(ctl->fd);
	if (ctl->path[0] != '\0')
		(void)unlink(ctl->path);
	free(ctl);
}

uint64_t
lab_ctl_commands(const struct lab_ctl *ctl)
{
	return __atomic_load_n(&ctl->n_commands, __ATOMIC_RELAXED);
}

bool
lab_ctl_asked_to_end(const struct lab_ctl *ctl)
{
	return __atomic_load_n(&ctl->ending, __ATOMIC_RELAXED) != 0;
}

/* ---- the other end -------------------------------------------------------------------------- */

/* -1 when nobody answers. */
static int
connect_ctl(const char *dir)
{
	struct sockaddr_un at;
	char path[LAB_PATH_MAX + 16];
	(void)snprintf(path, sizeof(path), "%.255s/ctl.sock", dir);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (make_address(path, &at) && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

bool
lab_ctl_alive(const char *dir)
{
	const int fd = connect_ctl(dir);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

static VS_RC
call(const char *dir, const char *const *words, size_t n, json_t **ret, struct vs_err *err)
{
	char cwd[1024] = "/";
	const struct timeval wait = {.tv_sec = WAIT_S};
	VS_CLEANUP(vs_buf_done) struct vs_buf answer = {.max = ANSWER_MAX + ANSWER_MAX / 2};
	const int fd = connect_ctl(dir);
	if (fd < 0)
		VS_FAIL(err, AGENT,
			"no lab is running in %s; start one with `vouchsafe-lab up --dir %s`", dir,
			dir);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		cwd[0] = '\0';
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(list, json_string(words[i]));
	json_t *request = json_pack("{s:s,s:o}", "cwd", cwd, "words", list);
	char *text = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	vs_rc rc = VS_OK;
	if (text == NULL)
		rc = vs_err_put(err, VS_E_USAGE, __func__, __LINE__, 0, "a word is not UTF-8 text");
	else
		rc = vs_fd_write_all(fd, vs_bytes_str(text), err);
	free(text);
	(void)shutdown(fd, SHUT_WR);
	if (!vs_failed(rc))
		rc = read_all(fd, &answer, err);
	(void)close(fd);
	VS_TRY(rc);
	*ret = json_loadb((const char *)answer.p, answer.n, 0, NULL);
	if (*ret == NULL)
		VS_FAIL(err, AGENT, "the lab in %s ended before it answered", dir);
	return VS_OK;
}

int
lab_ctl_call(const char *dir, const char *const *words, size_t n)
{
	struct vs_err err = {0};
	char sentence[VS_ERR_TEXT_MAX * 2] = "";
	json_t *answer = NULL;
	const vs_rc rc = call(dir, words, n, &answer, &err);
	if (vs_failed(rc)) {
		vs_err_sentence(&err, sentence, sizeof(sentence));
		(void)fprintf(stderr, "vouchsafe-lab: %s\n", sentence);
		return 3;
	}
	const char *out = lab_json_text(answer, "out"), *problem = lab_json_text(answer, "err");
	const int code = (int)json_integer_value(json_object_get(answer, "exit"));
	if (out != NULL && *out != '\0')
		(void)fputs(out, stdout);
	if (problem != NULL && *problem != '\0')
		(void)fprintf(stderr, "vouchsafe-lab: %s\n", problem);
	json_decref(answer);
	return code;
}
