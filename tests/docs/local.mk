# SPDX-License-Identifier: BSD-2-Clause
# Documents are compared with the code's tables.
check_PROGRAMS += tests/docs/tables
tests_docs_tables_SOURCES = %D%/tables.c tools/cli.c tools/remedy.c
tests_docs_tables_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir) $(P11KIT_CFLAGS)
tests_docs_tables_LDADD = libvstoken.la libvsclient.la $(VS_SERVICE_LIBS)
TESTS += tests/docs/tables.py
EXTRA_DIST += tests/docs/tables.py
