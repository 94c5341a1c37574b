/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/latch.h"

#include <errno.h>
#include <time.h>

enum { FIRST_NS = 20000, LONGEST_NS = 2000000 };

void
vs_latch_wait(struct vs_latch *l)
{
	const int saved = errno;
	int cancel = 0;
	/* Whoever ends threads by cancelling them must not end one in here. */
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	for (long ns = FIRST_NS; !vs_latch_try(l); ns = ns < LONGEST_NS ? 2 * ns : ns) {
		const struct timespec moment = {0, ns};
		(void)nanosleep(&moment, NULL);
	}
	(void)pthread_setcancelstate(cancel, NULL);
	errno = saved;
}
