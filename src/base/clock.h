/* SPDX-License-Identifier: BSD-2-Clause */
/* The real clock and the real random source behind the ports. */
#ifndef VS_BASE_CLOCK_H
#define VS_BASE_CLOCK_H

#include "vouchsafe/ports.h"

struct vs_clock vs_clock_system(void);
/* getrandom(2); never a userland generator, so fork and snapshot cannot repeat it (T-P9). */
struct vs_rng vs_rng_system(void);

#endif
