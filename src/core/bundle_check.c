/* SPDX-License-Identifier: BSD-2-Clause */
/* Is a bundle what a TPM signed, and the log in it whole? No TPM is needed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/file.h"
#include "core/bundle_impl.h"
#include "evidence/ev_cert.h"
#include "evidence/ev_crypto.h"

#define EKU_AIK "2.23.133.8.3"

struct check {
	const char *dir;
	const struct vs_bundle_trust *trust;
	struct vs_bundle_report *report;
	struct vs_buf manifest_text, statement, signature, key_n;
	struct vs_bundle_manifest manifest;
	struct vs_bundle_statement said;
};

__attribute__((format(printf, 2, 3))) static bool
bad(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->report->reason, sizeof c->report->reason, fmt, ap);
	va_end(ap);
	return false;
}

static bool
bad_err(struct check *c, const char *what, const struct vs_err *why)
{
	char s[320];

	vs_err_sentence(why, s, sizeof s);
	return bad(c, "%s: %s", what, s);
}

static vs_rc
read_file(struct check *c, const char *name, size_t max, struct vs_buf *ret, struct vs_err *err)
{
	char path[VS_BUNDLE_PATH_BYTES];

	VS_TRY(vs_bundle_path(c->dir, name, path, err));
	ret->max = max + 1;
	return vs_file_read(path, max, VS_FILE_ANY, ret, err);
}

/* ---- whose signature --------------------------------------------------------------------- */

/* The key that the reader of the bundle believes in, as it stands in a PEM file. */
static bool
signer_is(struct check *c, struct vs_bytes pem, struct vs_err *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {.max = VS_BUNDLE_SMALL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {.max = VS_BUNDLE_SMALL_MAX};
	VS_CLEANUP(vs_ev_cert_freep) struct vs_ev_cert *cert = NULL;
	bool found = false;

	vs_rc rc = vs_bundle_pem_get(pem, "CERTIFICATE", &found, &der, why);
	if (!vs_failed(rc) && found) {
		rc = vs_ev_cert_der(vs_buf_view(&der), &cert, why);
		if (!vs_failed(rc))
			rc = vs_ev_cert_rsa_n(cert, &n, why);
	} else if (!vs_failed(rc)) {
		rc = vs_bundle_key_get(pem, &n, &der, why);
	}
	if (vs_failed(rc))
		return bad_err(c, "the expected signer cannot be read", why);
	if (!vs_bytes_eq(vs_buf_view(&n), vs_buf_view(&c->key_n)))
		return bad(c, "the bundle was signed by another key than the one expected");
	return true;
}

static bool
certified_by(struct check *c, struct vs_bytes ca, struct vs_err *why)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf n = {.max = VS_BUNDLE_SMALL_MAX};
	struct vs_ev_certs leaf = {0}, roots = {0}, none = {0};
	bool ok = false;

	if (vs_failed(read_file(c, "ak.cert.pem", VS_BUNDLE_SMALL_MAX, &pem, why)))
		return bad_err(c, "the bundle has no certificate of its key", why);
	vs_rc rc = vs_ev_certs_pem(vs_buf_view(&pem), &leaf, why);
	if (!vs_failed(rc))
		rc = vs_ev_certs_pem(ca, &roots, why);
	if (!vs_failed(rc) && (leaf.n != 1 || roots.n == 0))
		ok = bad(c, "one certificate of the key, and some of who signs them, are expected");
	else if (!vs_failed(rc))
		rc = vs_ev_cert_chain(leaf.v[0], &none, &roots, c->trust->at_unix, NULL, why);
	if (!vs_failed(rc) && c->report->reason[0] == '\0')
		rc = vs_ev_cert_rsa_n(leaf.v[0], &n, why);
	if (vs_failed(rc))
		ok = bad_err(c, "the certificate of the bundle's key is not accepted", why);
	else if (c->report->reason[0] == '\0' && !vs_ev_cert_has_eku(leaf.v[0], EKU_AIK))
		ok = bad(c, "the certificate is not one of an attestation key");
	else if (c->report->reason[0] == '\0')
		ok = vs_bytes_eq(vs_buf_view(&n), vs_buf_view(&c->key_n)) ||
			bad(c, "the certificate is of another key than ak.pub.pem");
	vs_ev_certs_done(&leaf);
	vs_ev_certs_done(&roots);
	return ok;
}

static bool
check_signature(struct check *c)
{
	struct vs_err why = {0};
	const struct vs_bundle_trust *t = c->trust;

	if (t->signer.n == 0 && t->ca.n == 0)
		return bad(c, "nobody's signature is believed");
	if (t->signer.n != 0 && !signer_is(c, t->signer, &why))
		return false;
	if (t->ca.n != 0 && !certified_by(c, t->ca, &why))
		return false;
	if (vs_failed(vs_ev_rsa_verify(vs_buf_view(&c->key_n), 65537, vs_buf_view(&c->statement),
		    vs_buf_view(&c->signature), &why)))
		return bad_err(c, "the signature of statement.bin is not one of ak.pub.pem", &why);
	return true;
}

/* ---- what was signed --------------------------------------------------------------------- */

static bool
check_statement(struct check *c)
{
	struct vs_bundle_statement *s = &c->said;
	uint8_t hash[32], name[VS_NV_NAME_BYTES];
	struct vs_err why = {0};

	if (vs_failed(vs_bundle_statement_get(vs_buf_view(&c->statement), s, &why)))
		return bad_err(c, "statement.bin", &why);
	if (vs_failed(vs_ev_sha256(vs_buf_view(&c->manifest_text), hash, &why)) ||
		vs_failed(vs_bundle_nv_name(c->manifest.nv, name, &why)))
		return bad_err(c, "the bundle cannot be hashed", &why);
	if (!vs_bytes_eq(s->extra, vs_bytes_of(hash, sizeof hash)))
		return bad(c, "the TPM signed another manifest than this one");
	if (!vs_bytes_eq(s->name, vs_bytes_of(name, sizeof name)))
		return bad(c, "the TPM spoke of another NV index than a counter at %08x",
			(unsigned)c->manifest.nv);
	if (s->counter != c->manifest.counter)
		return bad(c, "the TPM's counter is %" PRIu64 ", the manifest says %" PRIu64,
			s->counter, c->manifest.counter);
	c->report->counter = s->counter;
	c->report->clock_ms = s->clock_ms;
	c->report->resets = s->resets;
	c->report->restarts = s->restarts;
	return true;
}

/* ---- the log ----------------------------------------------------------------------------- */

static bool
check_hashes(struct check *c, char (*paths)[VS_BUNDLE_PATH_BYTES])
{
	struct vs_err why = {0};
	char hash[VS_BUNDLE_HEX];

	for (size_t i = 0; i < c->manifest.n; i++) {
		if (vs_failed(vs_bundle_hash_file(paths[i], hash, &why)))
			return bad_err(c, c->manifest.files[i].name, &why);
		if (strcmp(hash, c->manifest.files[i].sha256) != 0)
			return bad(c, "%s is not the file that the manifest names",
				c->manifest.files[i].name);
	}
	return true;
}

static bool
check_records(struct check *c, const char *const *list)
{
	const struct vs_bundle_manifest *m = &c->manifest;
	struct vs_audit_report *r = &c->report->log;
	struct vs_err why = {0};

	if (vs_failed(vs_audit_verify_files(list, m->n, c->trust->earlier, r, &why)))
		return bad_err(c, "the log cannot be read", &why);
	if (!r->ok)
		return bad(c, "%s, line %" PRIu64 ", record %" PRIu64 ": %s",
			m->files[r->bad_file].name, r->bad_line, r->bad_seq, r->reason);
	vs_audit_compare_counter(r, c->said.counter);
	if (!r->ok)
		return bad(c, "%s", r->reason);
	if (r->counter != c->said.counter || r->counter_seq != r->last_seq)
		return bad(c, "the last record is not the checkpoint that the TPM counted");
	if (r->n_records != m->records || r->last_seq != m->last_seq || r->lab != m->lab ||
		strcmp(r->last_hash, m->last_hash) != 0 || strcmp(r->last_log_id, m->log_id) != 0)
		return bad(c, "the log is not the one that the manifest describes");
	return true;
}

static vs_rc
check_log(struct check *c, bool *ret_ok, struct vs_err *err)
{
	const size_t n = c->manifest.n;
	char(*paths)[VS_BUNDLE_PATH_BYTES] = calloc(n, sizeof *paths);
	const char **list = calloc(n, sizeof *list);
	vs_rc rc = paths == NULL || list == NULL
		? vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory")
		: VS_OK;

	for (size_t i = 0; i < n && !vs_failed(rc); i++) {
		rc = vs_bundle_path(c->dir, c->manifest.files[i].name, paths[i], err);
		list[i] = paths[i];
	}
	*ret_ok = !vs_failed(rc) && check_hashes(c, paths) && check_records(c, list);
	free(paths);
	free(list);
	return rc;
}

/* ---- interface --------------------------------------------------------------------------- */

static vs_rc
read_bundle(struct check *c, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf key = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf der = {.max = VS_BUNDLE_SMALL_MAX};

	VS_TRY(read_file(c, "manifest.txt", VS_BUNDLE_MANIFEST_MAX, &c->manifest_text, err));
	VS_TRY(vs_bundle_manifest_get(vs_buf_view(&c->manifest_text), &c->manifest, err));
	VS_TRY(read_file(c, "statement.bin", VS_BUNDLE_SMALL_MAX, &c->statement, err));
	VS_TRY(read_file(c, "statement.sig", VS_BUNDLE_SMALL_MAX, &c->signature, err));
	VS_TRY(read_file(c, "ak.pub.pem", VS_BUNDLE_SMALL_MAX, &key, err));
	VS_TRY(vs_bundle_key_get(vs_buf_view(&key), &c->key_n, &der, err));
	return vs_ev_sha256(vs_buf_view(&der), c->report->signer_sha256, err);
}

vs_rc
vs_bundle_verify(const char *dir, const struct vs_bundle_trust *trust, struct vs_bundle_report *ret,
	struct vs_err *err)
{
	struct vs_bundle_report report = {0};
	struct check c = {.dir = dir,
		.trust = trust,
		.report = &report,
		.key_n = {.max = VS_BUNDLE_SMALL_MAX}};

	c.manifest.files = calloc(VS_BUNDLE_FILES_MAX, sizeof *c.manifest.files);
	vs_rc rc = c.manifest.files == NULL
		? vs_err_put(err, VS_E_MEMORY, __func__, __LINE__, 0, "out of memory")
		: read_bundle(&c, err);
	if (!vs_failed(rc) && check_signature(&c) && check_statement(&c))
		rc = check_log(&c, &report.ok, err);
	memcpy(report.made, c.manifest.made, sizeof report.made);
	memcpy(report.host, c.manifest.host, sizeof report.host);
	free(c.manifest.files);
	vs_buf_done(&c.manifest_text);
	vs_buf_done(&c.statement);
	vs_buf_done(&c.signature);
	vs_buf_done(&c.key_n);
	VS_TRY(rc);
	*ret = report;
	return VS_OK;
}
