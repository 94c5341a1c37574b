# SPDX-License-Identifier: BSD-2-Clause
# Tests that belong to no single source folder. Unit tests are listed in src/<folder>/local.mk.
noinst_HEADERS += %D%/unit/unit.h
