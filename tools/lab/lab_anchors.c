/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include <openssl/sha.h>

#include "lab/lab_evidence.h"
#include "lab/lab_machine.h"
#include "lab/lab_report.h"
#include "lab/lab_roots.h"

vs_rc
lab_anchors_make(
	const struct lab_roots *roots, int64_t now, struct lab_anchors *ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf db = {0}, dbx = {0};
	*ret = (struct lab_anchors){
		.vtpm_root = roots->vtpm_root.cert,
		.vtpm_ca = roots->vtpm_ca.cert,
		.ark = roots->ark.cert,
		.now = now,
	};
	VS_TRY(lab_roots_signature_db(roots, &db, err));
	VS_TRY(lab_roots_signature_dbx(roots, &dbx, err));
	SHA256(db.p, db.n, ret->db_sha256);
	SHA256(dbx.p, dbx.n, ret->dbx_sha256);
	SHA384((const uint8_t *)LAB_PARAVISOR, strlen(LAB_PARAVISOR), ret->measurement);
	SHA384((const uint8_t *)LAB_ID_KEY, strlen(LAB_ID_KEY), ret->id_key_digest);
	return VS_OK;
}

vs_rc
lab_machine_root_file(const struct lab_machine *m, size_t i, const char **ret_name,
	struct vs_buf *pem, struct vs_err *err)
{
	const struct lab_roots *r = lab_machine_roots(m);
	const struct {
		const char *name;
		X509 *cert;
	} all[] = {
		{"roots/amd-ark.pem", r->ark.cert},
		{"roots/amd-ask.pem", r->ask.cert},
		{"roots/azure-vtpm-root.pem", r->vtpm_root.cert},
		{"roots/azure-vtpm-ca.pem", r->vtpm_ca.cert},
	};
	*ret_name = NULL;
	if (i >= sizeof all / sizeof *all)
		return VS_OK;
	*ret_name = all[i].name;
	return lab_hwcert_pem(all[i].cert, pem, err);
}
