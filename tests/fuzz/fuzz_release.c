/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes as the signed payload of a release answer: what a vault that lies could say. Only the
 * true key of the seed may come out. The signature is not made and not checked here, which would
 * take more time than all the rest: fuzz_x5c does that part.
 */
#include <string.h>
#include <strings.h>
#include <time.h>

#include "crypto/ossl.h"
#include "fuzz/fuzz.h"
#include "jose/jose.h"
#include "keys/release.h"
#include "unit/releasekit.h"

static struct vs_arena *arena;
static struct vs_ossl *ossl;

/* A TPM that opens every block, to get behind it. */
static vs_rc
unwrap(void *self, enum vs_unwrap scheme, struct vs_bytes ciphertext, struct vs_arena *to,
	struct vs_secret *ret, struct vs_err *err)
{
	(void)self;
	(void)scheme;
	FUZZ_MUST(ciphertext.n == 256);
	return vs_secret_new(to, 32, ret, err);
}

static const struct vs_evidence_ops evidence_ops = {.name = "fuzz", .version = 1, .unwrap = unwrap};

vs_rc __wrap_vs_jws_open_x5c(struct vs_bytes text, const struct vs_certs *anchors, const char *host,
	int64_t at_unix, struct vs_buf *payload, struct vs_err *err);

vs_rc
__wrap_vs_jws_open_x5c(struct vs_bytes text, const struct vs_certs *anchors, const char *host,
	int64_t at_unix, struct vs_buf *payload, struct vs_err *err)
{
	FUZZ_MUST(anchors == rk_anchors() && strcmp(host, RK_HOST) == 0 && at_unix != 0);
	return vs_buf_set(payload, text.p, text.n, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret key = {0};
	VS_CLEANUP(vs_release_facts_done) struct vs_release_facts facts = {0};
	const struct vs_evidence_src src = {.ops = &evidence_ops};
	struct vs_cat_entry entry;

	if (size == 0 || size > 65536)
		return 0;
	if (arena == NULL) {
		FUZZ_MUST(!vs_failed(vs_arena_new(65536, 4 << 20, VS_LOCK_WARN, &arena, NULL)) &&
			!vs_failed(vs_ossl_new(&ossl, NULL)));
		rk_up();
	}
	rk_entry(&entry, NULL);
	const struct vs_release_want want = {
		.entry = &entry,
		.vault = RK_VAULT,
		.enc = "RSA_AES_KEY_WRAP_256",
		.anchors = rk_anchors(),
		.now_unix = time(NULL),
		.wrap_bytes = 256,
		.ossl = ossl,
	};
	const vs_rc rc =
		vs_release_open(&want, vs_bytes_of(data, size), &src, arena, &key, &facts, NULL);
	if (vs_failed(rc)) {
		FUZZ_MUST(rc.code == VS_E_REFUSED_ANSWER || rc.code == VS_E_REFUSED_KEY);
		FUZZ_MUST(key.n == 0);
	} else {
		/* The vault's names are the same in any case. */
		FUZZ_MUST(strcasecmp(facts.kid, RK_KID) == 0);
		FUZZ_MUST(key.n == 16 || key.n == 24 || key.n == 32);
	}
	return 0;
}
