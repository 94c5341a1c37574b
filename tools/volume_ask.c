/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/volume_ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { TYPED_MAX = 8192, WATCHED = 4 };

static const int watched[WATCHED] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static volatile sig_atomic_t interrupted;

static void
on_signal(int sig)
{
	interrupted = sig;
}

/* While these are watched they come during ppoll only, so that none is missed. */
static void
watch(struct sigaction before[WATCHED], sigset_t *mask)
{
	const struct sigaction act = {.sa_handler = on_signal};
	sigset_t set;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < WATCHED; i++) {
		(void)sigaddset(&set, watched[i]);
		(void)sigaction(watched[i], &act, &before[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &set, mask);
}

static void
unwatch(const struct sigaction before[WATCHED], const sigset_t *mask)
{
	for (size_t i = 0; i < WATCHED; i++)
		(void)sigaction(watched[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	/* What came meanwhile does now what it always does. */
	if (interrupted)
		(void)raise(interrupted);
}

static bool
read_byte(int fd, uint8_t *ret, const sigset_t *mask)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	while (!interrupted) {
		const int ready = ppoll(&p, 1, NULL, mask);
		if (ready < 0 && errno == EINTR)
			continue;
		return ready > 0 && read(fd, ret, 1) == 1;
	}
	return false;
}

void
vs_volume_hold_signals(sigset_t *before)
{
	sigset_t all;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, before);
}

VS_RC
vs_volume_read_passphrase(int fd, const char *device, struct vs_arena *arena, struct vs_secret *ret,
	struct vs_err *err)
{
	struct termios before;
	struct sigaction actions[WATCHED];
	sigset_t mask;
	size_t n = 0;
	const bool tty = isatty(fd) && tcgetattr(fd, &before) == 0;
	VS_TRY(vs_secret_new(arena, TYPED_MAX, ret, err));
	watch(actions, &mask);
	if (tty) {
		struct termios quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(fd, TCSAFLUSH, &quiet);
		(void)fprintf(stderr, "A passphrase of %s: ", device);
	}
	while (n < TYPED_MAX && read_byte(fd, ret->p + n, &mask) && ret->p[n] != '\n')
		n++;
	if (tty) {
		(void)tcsetattr(fd, TCSAFLUSH, &before);
		(void)fprintf(stderr, "\n");
	}
	unwatch(actions, &mask);
	if (interrupted || n == 0 || n == TYPED_MAX)
		VS_FAIL(err, USAGE,
			"no passphrase of %s could be read from descriptor %d; give one on a line",
			device, fd);
	ret->n = n;
	return VS_OK;
}
