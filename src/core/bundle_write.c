/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/read.h"
#include "base/codec.h"
#include "base/file.h"
#include "core/bundle_impl.h"
#include "crypto/ossl.h"
#include "evidence/ev_crypto.h"
#include "evidence/quote.h"
#include "evidence/tpm.h"

#define NS_PER_S INT64_C(1000000000)

enum { TPM_DEADLINE_S = 10, COPY_BYTES = 65536 };

const char vs_bundle_readme[] =
	"An audit log of Vouchsafe, signed by a TPM\n"
	"==========================================\n\n"
	"What is here: the files of the log, oldest first (0001.log ..), up to a checkpoint;\n"
	"manifest.txt with their SHA-256; statement.bin, in which the TPM says what its counter "
	"of\n"
	"checkpoints is and repeats the SHA-256 of manifest.txt; statement.sig, its signature by "
	"the\n"
	"TPM's attestation key ak.pub.pem; ak.cert.pem, the key's certificate, where there is "
	"one.\n\n"
	"How to check it with openssl and a shell. Each line marked $ must succeed.\n\n"
	"1. Whose key is it? Compare with what you got from the machine's owner on another way, "
	"or\n"
	"   check the certificate with the TPM vendor's root (ROOT.pem):\n"
	"     openssl pkey -pubin -in ak.pub.pem -outform DER | openssl dgst -sha256\n"
	"     openssl verify -CAfile ROOT.pem -untrusted ROOT.pem ak.cert.pem\n"
	"     openssl x509 -in ak.cert.pem -noout -pubkey | cmp - ak.pub.pem\n\n"
	"2. The TPM signed the statement:\n"
	"   $ openssl dgst -sha256 -verify ak.pub.pem -signature statement.sig statement.bin\n\n"
	"3. The statement is a TPM's (ff544347), about a counter (8014), and holds this "
	"manifest's\n"
	"   hash:\n"
	"   $ od -An -v -tx1 statement.bin | tr -d ' \\n' | grep -q '^ff5443478014'\n"
	"   $ od -An -v -tx1 statement.bin | tr -d ' \\n' | grep -q \"0020$(openssl dgst -sha256 "
	"-r "
	"manifest.txt | cut -c1-64)\"\n\n"
	"4. The counter at its end is the one in the manifest:\n"
	"   $ test $(printf '%d' 0x$(tail -c 8 statement.bin | od -An -v -tx1 | tr -d ' \\n')) = "
	"$(sed -n 's/^counter //p' manifest.txt)\n\n"
	"5. The files are those of the manifest:\n"
	"   $ sed -n 's/^file \\([0-9]*.log\\) sha256 \\(.*\\)$/\\2 *\\1/p' manifest.txt >sums; "
	"for f in "
	"[0-9]*.log; do openssl dgst -sha256 -r $f; done | cmp - sums\n\n"
	"6. The last record is a checkpoint with this counter, and the one the manifest names:\n"
	"   $ tail -n 1 $(ls [0-9]*.log | tail -n 1) | grep '\"event\":\"checkpoint\"' | grep "
	"\"\\\"counter\\\":$(sed -n 's/^counter //p' manifest.txt),\" | grep -q "
	"\"\\\"hash\\\":\\\"$(sed "
	"-n 's/^last [0-9]*://p' manifest.txt)\\\"\"\n\n"
	"7. Each record's hash is over its line, and it names the hash of the one before:\n"
	"   $ p=; cat [0-9]*.log | while read -r l; do h=$(printf '%s' \"$l\" | sed "
	"'s/,\"hash\":\"[0-9a-f]*\"}$/}/' | openssl dgst -sha256 -r | cut -c1-64); case $l in "
	"*\"\\\"hash\\\":\\\"$h\\\"}\") ;; *) echo \"changed: $l\"; exit 1;; esac; case $l in "
	"*\\\"seq\\\":1,*|*\"\\\"prev\\\":\\\"$p\\\"\"*) ;; *) echo \"out of place: $l\"; exit 1;; "
	"esac; "
	"p=$h; done\n\n"
	"`vouchsafe audit verify --bundle . --signer ak.pub.pem` does 2 to 7 and more.\n"
	"What a bundle does not prove: that nobody with the rights of root wrote the whole log "
	"anew\n"
	"before the checkpoint. Keep the line \"last\" of each manifest you get: a later bundle "
	"must\n"
	"still have that record (--checkpoint).\n";

vs_rc
vs_bundle_path(
	const char *dir, const char *name, char out[VS_BUNDLE_PATH_BYTES], struct vs_err *err)
{
	const int n = snprintf(out, VS_BUNDLE_PATH_BYTES, "%s/%s", dir, name);

	if (n < 0 || n >= VS_BUNDLE_PATH_BYTES)
		VS_FAIL(err, FILE, "%.100s...: the path is too long", dir);
	return VS_OK;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static void
digest_free(struct vs_digest **d)
{
	vs_digest_free(*d);
}

static void
ossl_unref(struct vs_ossl **o)
{
	vs_ossl_unref(*o);
}

static vs_rc
read_some(int fd, const char *path, uint8_t *buf, size_t n, size_t *ret, struct vs_err *err)
{
	ssize_t got;

	do
		got = read(fd, buf, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be read: %s", path, strerror(errno));
	*ret = (size_t)got;
	return VS_OK;
}

static vs_rc
open_regular(const char *path, int *ret, struct vs_err *err)
{
	struct stat st;

	*ret = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*ret < 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be opened: %s", path, strerror(errno));
	if (fstat(*ret, &st) != 0 || !S_ISREG(st.st_mode))
		VS_FAIL(err, FILE, "%s is not a regular file", path);
	return VS_OK;
}

vs_rc
vs_bundle_hash_file(const char *path, char ret[VS_BUNDLE_HEX], struct vs_err *err)
{
	VS_CLEANUP(close_fd) int fd = -1;
	VS_CLEANUP(ossl_unref) struct vs_ossl *o = NULL;
	VS_CLEANUP(digest_free) struct vs_digest *d = NULL;
	uint8_t buf[8192], hash[32];
	size_t n = 1;

	VS_TRY(open_regular(path, &fd, err));
	VS_TRY(vs_ossl_new(&o, err));
	VS_TRY(vs_digest_new(o, VS_HASH_SHA256, &d, err));
	VS_TRY(vs_digest_start(d, err));
	while (n != 0) {
		VS_TRY(read_some(fd, path, buf, sizeof buf, &n, err));
		VS_TRY(vs_digest_update(d, vs_bytes_of(buf, n), err));
	}
	VS_TRY(vs_digest_final(d, hash, err));
	vs_hex_str(hash, sizeof hash, ret, VS_BUNDLE_HEX);
	return VS_OK;
}

/* ---- files ------------------------------------------------------------------------------- */

static vs_rc
create(const char *dir, const char *name, int *ret, struct vs_err *err)
{
	char path[VS_BUNDLE_PATH_BYTES];

	VS_TRY(vs_bundle_path(dir, name, path, err));
	*ret = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret < 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be made: %s", path, strerror(errno));
	return VS_OK;
}

static vs_rc
put_file(const char *dir, const char *name, struct vs_bytes b, struct vs_err *err)
{
	VS_CLEANUP(close_fd) int fd = -1;

	VS_TRY(create(dir, name, &fd, err));
	VS_TRY(vs_fd_write_all(fd, b, err));
	if (fsync(fd) != 0)
		VS_FAIL_N(err, FILE, errno, "%s/%s cannot be written: %s", dir, name,
			strerror(errno));
	return VS_OK;
}

/* At most limit octets of it. */
static vs_rc
copy_file(const char *from, const char *dir, const char *name, int64_t limit, struct vs_err *err)
{
	VS_CLEANUP(close_fd) int in = -1;
	VS_CLEANUP(close_fd) int out = -1;
	uint8_t buf[8192];
	size_t n = 1;

	VS_TRY(open_regular(from, &in, err));
	VS_TRY(create(dir, name, &out, err));
	while (n != 0 && limit > 0) {
		const size_t most = limit < (int64_t)sizeof buf ? (size_t)limit : sizeof buf;
		VS_TRY(read_some(in, from, buf, most, &n, err));
		VS_TRY(vs_fd_write_all(out, vs_bytes_of(buf, n), err));
		limit -= (int64_t)n;
	}
	if (fsync(out) != 0)
		VS_FAIL_N(err, FILE, errno, "%s/%s cannot be written: %s", dir, name,
			strerror(errno));
	return VS_OK;
}

/* Where the record of the checkpoint ends; what came behind it is of the next bundle. */
struct search {
	const struct vs_audit_known *at;
	int64_t end;
};

static VS_RC
on_line(void *arg, const struct vs_audit_line *l, bool *ret_stop, struct vs_err *err)
{
	struct search *s = arg;
	(void)err;
	if (l->good && l->link.seq == s->at->seq && strcmp(l->link.hash, s->at->hash) == 0) {
		s->end = l->end;
		*ret_stop = true;
	}
	return VS_OK;
}

static vs_rc
copy_all(const struct vs_bundle_env *env, const struct vs_checkpoint_made *at,
	struct vs_bundle_manifest *m, struct vs_err *err)
{
	struct search s = {.at = &at->at};
	char path[VS_BUNDLE_PATH_BYTES];

	VS_TRY(vs_audit_read_file(env->paths[env->n - 1], on_line, &s, err));
	if (s.end == 0)
		VS_FAIL(err, STATE,
			"%s does not have the checkpoint that was just made: it was rotated "
			"meanwhile, or is not the configured log",
			env->paths[env->n - 1]);
	for (m->n = 0; m->n < env->n; m->n++) {
		struct vs_bundle_file *f = &m->files[m->n];
		(void)snprintf(f->name, sizeof f->name, "%04zu.log", m->n + 1);
		VS_TRY(copy_file(env->paths[m->n], env->dir, f->name,
			m->n + 1 == env->n ? s.end : INT64_MAX, err));
		VS_TRY(vs_bundle_path(env->dir, f->name, path, err));
		VS_TRY(vs_bundle_hash_file(path, f->sha256, err));
	}
	return VS_OK;
}

/* ---- manifest and statement -------------------------------------------------------------- */

/* What was copied, as it stands there. */
static vs_rc
verify_copies(const struct vs_bundle_env *env, const struct vs_bundle_manifest *m,
	struct vs_audit_report *ret, struct vs_err *err)
{
	char(*paths)[VS_BUNDLE_PATH_BYTES] = calloc(m->n, sizeof *paths);
	const char **list = calloc(m->n, sizeof *list);
	vs_rc rc = paths == NULL || list == NULL
		? vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory")
		: VS_OK;

	for (size_t i = 0; i < m->n && !vs_failed(rc); i++) {
		rc = vs_bundle_path(env->dir, m->files[i].name, paths[i], err);
		list[i] = paths[i];
	}
	if (!vs_failed(rc))
		rc = vs_audit_verify_files(list, m->n, NULL, ret, err);
	free(paths);
	free(list);
	VS_TRY(rc);
	if (!ret->ok)
		VS_FAIL(err, STATE, "the log is not whole (record %llu): %s",
			(unsigned long long)ret->bad_seq, ret->reason);
	return VS_OK;
}

static void
say_when_and_where(const struct vs_bundle_env *env, struct vs_bundle_manifest *m)
{
	const struct vs_clock *c = &env->checkpoint.clock;
	const time_t now = (time_t)c->ops->wall_unix(c->self);
	char host[65] = "";
	struct tm tm = {0};

	(void)gmtime_r(&now, &tm);
	(void)strftime(m->made, sizeof m->made, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
		(void)snprintf(host, sizeof host, "unknown");
	(void)vs_quote(vs_bytes_str(host), m->host, sizeof m->host);
}

static void
close_tpm(struct vs_tpm **t)
{
	vs_tpm_close(*t);
}

struct certified {
	struct vs_buf attest, sig, key_2b, cert;
};

static void
certified_done(struct certified *c)
{
	vs_buf_done(&c->attest);
	vs_buf_done(&c->sig);
	vs_buf_done(&c->key_2b);
	vs_buf_done(&c->cert);
}

static vs_rc
ask_tpm(const struct vs_bundle_env *env, uint32_t nv, struct vs_bytes manifest, struct certified *c,
	struct vs_err *err)
{
	VS_CLEANUP(close_tpm) struct vs_tpm *tpm = NULL;
	char lock[VS_BUNDLE_PATH_BYTES];
	uint8_t hash[32];
	bool exists = false;
	const struct vs_checkpoint_env *cp = &env->checkpoint;

	VS_TRY(vs_ev_sha256(manifest, hash, err));
	VS_TRY(vs_bundle_path(cp->conf->state_dir, "tpm.lock", lock, err));
	const struct vs_tpm_env tpm_env = {
		.tcti = cp->conf->tcti, .lock_path = lock, .clock = cp->clock};
	VS_TRY(vs_tpm_open(&tpm_env,
		cp->clock.ops->boot_ns(cp->clock.self) + TPM_DEADLINE_S * NS_PER_S, &tpm, err));
	VS_TRY(vs_tpm_read_public(tpm, VS_TPM_AK_HANDLE, &c->key_2b, err));
	VS_TRY(vs_tpm_counter_certify(tpm, nv, VS_TPM_AK_HANDLE, vs_bytes_of(hash, sizeof hash),
		&c->attest, &c->sig, err));
	VS_TRY(vs_tpm_exists(tpm, VS_TPM_NV_AK_CERT, &exists, err));
	return exists ? vs_tpm_nv_read(tpm, VS_TPM_NV_AK_CERT, &c->cert, err) : VS_OK;
}

/* The index is larger than the certificate in it: what DER says is its length counts. */
static struct vs_bytes
trim_der(struct vs_bytes der)
{
	if (der.n < 4 || der.p[0] != 0x30 || der.p[1] != 0x82)
		return der;
	const size_t n = 4 + ((size_t)der.p[2] << 8 | der.p[3]);
	return vs_bytes_of(der.p, n < der.n ? n : der.n);
}

static vs_rc
put_signer(const struct vs_bundle_env *env, const struct certified *c, struct vs_bundle_made *made,
	struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {.max = VS_BUNDLE_SMALL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {.max = 2 * VS_BUNDLE_SMALL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf cert = {.max = 4 * VS_BUNDLE_SMALL_MAX};
	struct vs_tpm_public ak;

	VS_TRY(vs_tpm_public_parse(vs_buf_view(&c->key_2b), &ak, err));
	VS_TRY(vs_bundle_key_put(ak.n, &der, &pem, err));
	VS_TRY(vs_ev_sha256(vs_buf_view(&der), made->signer_sha256, err));
	VS_TRY(put_file(env->dir, "ak.pub.pem", vs_buf_view(&pem), err));
	made->certificate = c->cert.n != 0;
	if (!made->certificate)
		return VS_OK;
	VS_TRY(vs_bundle_pem_put(trim_der(vs_buf_view(&c->cert)), "CERTIFICATE", &cert, err));
	return put_file(env->dir, "ak.cert.pem", vs_buf_view(&cert), err);
}

static vs_rc
write_into(const struct vs_bundle_env *env, struct vs_bundle_manifest *m,
	struct vs_bundle_made *made, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf manifest = {.max = VS_BUNDLE_MANIFEST_MAX};
	VS_CLEANUP(certified_done) struct certified c = {0};
	struct vs_checkpoint_made at = {0};
	struct vs_bundle_statement said;

	VS_TRY(vs_checkpoint_make(&env->checkpoint, env->audit, &at, err));
	VS_TRY(copy_all(env, &at, m, err));
	VS_TRY(verify_copies(env, m, &made->log, err));
	say_when_and_where(env, m);
	m->lab = made->log.lab;
	memcpy(m->log_id, made->log.last_log_id, sizeof m->log_id);
	m->records = made->log.n_records;
	m->last_seq = made->log.last_seq;
	memcpy(m->last_hash, made->log.last_hash, sizeof m->last_hash);
	m->nv = at.index;
	m->counter = made->counter = at.counter;
	VS_TRY(vs_bundle_manifest_put(m, &manifest, err));
	VS_TRY(put_file(env->dir, "manifest.txt", vs_buf_view(&manifest), err));
	VS_TRY(ask_tpm(env, at.index, vs_buf_view(&manifest), &c, err));
	VS_TRY(vs_bundle_statement_get(vs_buf_view(&c.attest), &said, err));
	if (said.counter != at.counter)
		VS_FAIL(err, STATE, "another checkpoint came in between: export again");
	VS_TRY(put_file(env->dir, "statement.bin", vs_buf_view(&c.attest), err));
	VS_TRY(put_file(env->dir, "statement.sig", vs_buf_view(&c.sig), err));
	VS_TRY(put_signer(env, &c, made, err));
	return put_file(env->dir, "README.txt", vs_bytes_str(vs_bundle_readme), err);
}

vs_rc
vs_bundle_write(const struct vs_bundle_env *env, struct vs_bundle_made *ret, struct vs_err *err)
{
	struct vs_bundle_manifest m = {0};

	VS_REQUIRE(err, env->n > 0 && env->n <= VS_BUNDLE_FILES_MAX);
	if (mkdir(env->dir, 0700) != 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be made: %s", env->dir, strerror(errno));
	m.files = calloc(VS_BUNDLE_FILES_MAX, sizeof *m.files);
	if (m.files == NULL)
		VS_FAIL(err, MEMORY, "out of memory");
	*ret = (struct vs_bundle_made){0};
	const vs_rc rc = write_into(env, &m, ret, err);
	free(m.files);
	return rc;
}
