/* SPDX-License-Identifier: BSD-2-Clause */
/* Files: checked reading (threat model T-C1), durable appending, atomic replacement. */
#ifndef VS_BASE_FILE_H
#define VS_BASE_FILE_H

#include "base/buf.h"

enum vs_file_check {
	VS_FILE_ANY = 0, /* any readable regular file */
	/* Owner root or us, not writable by group or others, no symlink at the end, all folders
	   above it likewise (sticky world-writable ones are allowed). */
	VS_FILE_TRUSTED = 1,
	VS_FILE_SECRET = 2, /* as TRUSTED, and not readable by others */
	VS_FILE_KERNEL = 3, /* securityfs, sysfs: size unknown, read until end */
};

/*
 * Read a whole file into out (replaced). The checks are made on the open descriptor.
 * max is the longest accepted length. Errors: CONFIG_FILE with a sentence that names the file, the
 * defect and the remedy, foreign = errno; MEMORY.
 */
VS_RC vs_file_read(const char *path, size_t max, enum vs_file_check check, struct vs_buf *out,
	struct vs_err *err);
/* Would VS_FILE_TRUSTED accept it? For programs, which are run and not read. */
VS_RC vs_file_trusted(const char *path, struct vs_err *err);
/* The same from a directory descriptor is not offered: callers give absolute paths. */

/* Write all, across short writes and EINTR. Error: FILE. */
VS_RC vs_fd_write_all(int fd, struct vs_bytes b, struct vs_err *err);
/* New file with exactly this mode beside path, fsync, rename over it, fsync of the directory. */
VS_RC vs_file_replace(const char *path, unsigned mode, struct vs_bytes b, struct vs_err *err);

#endif
