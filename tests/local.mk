# SPDX-License-Identifier: BSD-2-Clause
# Tests that belong to no single source folder. Unit tests are listed in src/<folder>/local.mk.
noinst_HEADERS += %D%/unit/unit.h

rules = %D%/rules/layers.py %D%/rules/words.py %D%/rules/headers.sh
TESTS += $(rules)
EXTRA_DIST += $(rules)
AM_TESTS_ENVIRONMENT += CC='$(CC)'; export CC; \
	VS_HEADER_CFLAGS='$(TSS_CFLAGS) $(P11KIT_CFLAGS) $(JANSSON_CFLAGS)'; export VS_HEADER_CFLAGS;
