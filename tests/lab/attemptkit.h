/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of attempts against the lab share: settings, services, orders to the lab. */
#ifndef TESTS_LAB_ATTEMPTKIT_H
#define TESTS_LAB_ATTEMPTKIT_H

#include "gate/attempt.h"

/* Reads VOUCHSAFE_CONF; request_ms: limit of one HTTP request, 0 for the usual one. */
void ak_up(int64_t request_ms);
void ak_down(void);
const struct vs_conf *ak_conf(void);
/* The settings of the first token, to be changed at will. */
struct vs_conf_token ak_token(void);
/* A new HTTP client for the services made from here on: no warm connections. */
void ak_cold(void);
struct vs_services_env ak_env(const struct vs_conf_token *token, enum vs_log_level level);
/* Services of a token; log lines up to level go to stderr. */
struct vs_services *ak_services(const struct vs_conf_token *token, enum vs_log_level level);
int64_t ak_in_ms(int64_t ms);
double ak_ms_since(int64_t then_boot_ns);
/* Runs vouchsafe-lab with these words (NULL-terminated) and expects success. */
void ak_lab(const char *const *words);
#define AK_LAB(...) ak_lab((const char *const[]){__VA_ARGS__, NULL})
/* PKCS#8 belongs to the public key that the entry shows; or AES octets. */
void ak_check_pair(const struct vs_cat_entry *e, const struct vs_secret *key);
/* A text file in the lab's folder; path lives until the next call. */
const char *ak_write(const char *name, const char *text);

#endif
