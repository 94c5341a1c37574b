/* SPDX-License-Identifier: BSD-2-Clause */
/* What no single setting can tell: derived values, missing ones, lab and production mixed. */
#ifndef VS_CONF_CHECK_H
#define VS_CONF_CHECK_H

#include "conf/conf.h"

/* Fills derived values and checks the whole. Errors: CONFIG_MISSING, CONFIG_VALUE, CONFIG_MODE. */
VS_RC vs_conf_check(struct vs_conf *conf, struct vs_bytes text, struct vs_err *err);

#endif
