/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loaded module gives out besides C_*: the knobs of the agent made of data. */
#include "fake/fake_client.h"

#define KNOB __attribute__((visibility("default")))

KNOB struct fake_agent *calls_agent(void);
KNOB void calls_reset(void);
KNOB void calls_end_lease(void);

struct fake_agent *
calls_agent(void)
{
	return fake_agent();
}

void
calls_reset(void)
{
	fake_forget_leases();
	fake_reset();
}

void
calls_end_lease(void)
{
	fake_end_lease();
}
