/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VS_AGENT_PIN_H
#define VS_AGENT_PIN_H

#include "agent/peer.h"

/*
 * With login = pin: the right PIN once per connection, compared in constant time with the first
 * line of pin-file. Wrong ones make all wait longer and longer. Otherwise nothing is asked for.
 * Errors: PIN, CONFIG_FILE, MEMORY.
 */
VS_RC vs_pin_check(struct vs_peer *peer, size_t token, struct vs_bytes pin, struct vs_err *err);

#endif
