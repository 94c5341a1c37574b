/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef VS_GATE_SENTENCE_H
#define VS_GATE_SENTENCE_H

#include "vouchsafe/provider.h"

/*
 * Every failed check by name, with what was expected and seen as far as there is room; names come
 * first so that none is lost. Empty when no check failed. Always terminated.
 */
void vs_verdict_sentence(const struct vs_verdict *verdict, char *out, size_t out_size);

#endif
