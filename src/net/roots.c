/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/roots.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/file.h"

enum { CA_FILE_MAX = 8 << 20 };

vs_rc
vs_net_roots_load(const char *path, X509_STORE **ret, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
	unsigned n = 0;

	VS_TRY(vs_file_read(path, CA_FILE_MAX, VS_FILE_TRUSTED, &pem, err));
	X509_STORE *store = X509_STORE_new();
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	ERR_set_mark();
	while (store != NULL && bio != NULL) {
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (cert == NULL)
			break;
		n += X509_STORE_add_cert(store, cert) == 1;
		X509_free(cert);
	}
	ERR_pop_to_mark();
	BIO_free(bio);
	if (n == 0) {
		X509_STORE_free(store);
		VS_FAIL(err, CONFIG_FILE,
			"%s holds no certificate in PEM form; set ca-bundle to a file of TLS roots",
			path);
	}
	*ret = store;
	return VS_OK;
}
