/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/clirun.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "unit/unit.h"

static char folder[64];
static char paths[64][160];
static size_t n_paths;

static const char *
in_folder(const char *name)
{
	if (folder[0] == '\0') {
		snprintf(folder, sizeof folder, "/tmp/vouchsafe-test-XXXXXX");
		assert_non_null(mkdtemp(folder));
	}
	for (size_t i = 0; i < n_paths; i++)
		if (strcmp(strrchr(paths[i], '/') + 1, name) == 0)
			return paths[i];
	assert_true(n_paths < 64);
	snprintf(paths[n_paths], sizeof paths[0], "%s/%s", folder, name);
	return paths[n_paths++];
}

const char *
cli_file(const char *name, struct vs_bytes text)
{
	struct vs_err err = {0};
	const char *path = in_folder(name);
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_ok(vs_fd_write_all(fd, text, &err), &err);
	close(fd);
	return path;
}

void
cli_done(void)
{
	for (size_t i = 0; i < n_paths; i++)
		unlink(paths[i]);
	if (folder[0] != '\0')
		rmdir(folder);
	n_paths = 0;
	folder[0] = '\0';
}

static int
redirect(int to, const char *path)
{
	const int saved = dup(to);
	const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(saved >= 0 && fd >= 0);
	assert_true(dup2(fd, to) == to);
	close(fd);
	return saved;
}

static void
restore(int to, int saved, const char *path, char text[CLI_TEXT_MAX])
{
	assert_true(dup2(saved, to) == to);
	close(saved);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = read(fd, text, CLI_TEXT_MAX - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
}

void
cli_run(int (*command)(int argc, char **argv), const char *const *words, struct cli_result *ret)
{
	char *argv[32] = {NULL}, copies[32][256];
	int argc = 0;
	for (; words[argc] != NULL; argc++) {
		assert_true(argc < 31 && strlen(words[argc]) < sizeof copies[0]);
		argv[argc] = memcpy(copies[argc], words[argc], strlen(words[argc]) + 1);
	}
	const char *out = in_folder("stdout"), *err = in_folder("stderr");
	fflush(stdout);
	fflush(stderr);
	const int saved_out = redirect(1, out), saved_err = redirect(2, err);
	ret->exit_code = command(argc, argv);
	fflush(stdout);
	fflush(stderr);
	restore(1, saved_out, out, ret->out);
	restore(2, saved_err, err, ret->err);
}
