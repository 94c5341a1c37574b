# SPDX-License-Identifier: BSD-2-Clause
fuzz_proto_programs = tests/fuzz/fuzz_proto
tests_fuzz_fuzz_proto_SOURCES = %D%/fuzz_proto.c $(fuzz_main)
tests_fuzz_fuzz_proto_CPPFLAGS = $(TEST_CPPFLAGS) -DVS_FUZZ_SEEDS='"$(fuzz_seeds)/proto"'
tests_fuzz_fuzz_proto_LDFLAGS = $(AM_LDFLAGS) $(fuzz_ldflags)
tests_fuzz_fuzz_proto_LDADD = libvsproto.la libvsbase.la
check_PROGRAMS += $(fuzz_proto_programs)
if !FUZZING
TESTS += $(fuzz_proto_programs)
endif
