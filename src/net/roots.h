/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS roots, read once and shared by all connections. */
#ifndef VS_NET_ROOTS_H
#define VS_NET_ROOTS_H

#include <openssl/types.h>

#include "vouchsafe/err.h"

/* All certificates of a PEM file. Free with X509_STORE_free. Errors: CONFIG_FILE, MEMORY. */
VS_RC vs_net_roots_load(const char *path, X509_STORE **ret, struct vs_err *err);

#endif
