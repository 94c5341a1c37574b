# SPDX-License-Identifier: BSD-2-Clause
# What decides (pure) and what talks (attempt.c) are two libraries, so that a test can put
# services made of data in the place of the second.
