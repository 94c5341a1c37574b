/* SPDX-License-Identifier: BSD-2-Clause */
/* The Azure guest provider against a real swtpm. */
#include "unit/unit.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/file.h"
#include "evidence/data.h"
#include "evidence/ev_azguest.h"
#include "evidence/ev_crypto.h"
#include "evidence/hcl.h"
#include "evidence/quote.h"
#include "evidence/swtpm.h"
#include "evidence/tpm.h"
#include "evidence/tpm_link.h"
#include "evidence/verify.h"

static struct swtpm machine;
static struct vs_arena *arena;
static int saved_stderr = -1, stderr_file = -1;

static int64_t
in_ms(int64_t ms)
{
	const struct vs_clock c = vs_clock_system();
	return c.ops->boot_ns(c.self) + ms * 1000000;
}

static void
fill_env(struct vs_azguest_env *env)
{
	static char lock[96], log[96];
	snprintf(lock, sizeof lock, "%s/lock", machine.dir);
	snprintf(log, sizeof log, "%s/no-event-log", machine.dir);
	*env = (struct vs_azguest_env){.tcti = machine.front,
		.lock_path = lock,
		.event_log = log,
		.clock = vs_clock_system(),
		.rng = vs_rng_system()};
}

static void
open_source(struct vs_evidence_src *src)
{
	struct vs_azguest_env env;
	struct vs_err err = {0};
	fill_env(&env);
	assert_ok(vs_azguest_open(&env, src, &err), &err);
}

static void
make_nonce(uint8_t nonce[VS_NONCE_BYTES])
{
	const struct vs_rng rng = vs_rng_system();
	struct vs_err err = {0};
	assert_ok(rng.ops->fill(rng.self, nonce, VS_NONCE_BYTES, &err), &err);
}

/* What a service would do with the transport key. */
static void
encrypt(const struct vs_evidence *ev, int padding, const EVP_MD *md, const char *text,
	uint8_t out[256])
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(ev->enc_n.p, (int)ev->enc_n.n, NULL), *e = BN_new();
	BN_set_word(e, ev->enc_e);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new(key, NULL);
	size_t len = 256;
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	if (md != NULL) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
	}
	assert_int_equal(EVP_PKEY_encrypt(ctx, out, &len, (const uint8_t *)text, strlen(text)), 1);
	assert_int_equal(len, 256);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	BN_free(n);
	BN_free(e);
}

static void
collects_fresh_evidence_of_a_confidential_machine(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], expected[64] = {0}, name[VS_TPM_NAME_BYTES];
	make_nonce(nonce);
	open_source(&src);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_int_equal(ev.kind, VS_EVIDENCE_AZURE_GUEST);
	assert_int_equal(ev.tee, VS_TEE_SNP);
	assert_int_equal(ev.pcr_mask, 0xFF);
	assert_int_equal(ev.hw_report.n, 1184);
	assert_int_equal(ev.quote.n, 145);
	assert_int_equal(ev.quote_sig.n, 256);
	assert_int_equal(ev.enc_n.n, 256);
	assert_int_equal(ev.enc_e, 65537);
	assert_int_equal(ev.event_log.n, 0);

	struct vs_runtime rt;
	assert_ok(vs_runtime_parse(vs_buf_view(&ev.runtime_json), &rt, &err), &err);
	assert_ok(vs_ev_sha256((struct vs_bytes){nonce, 32}, expected, &err), &err);
	assert_memory_equal(rt.user_data, expected, 64);

	struct vs_tpm_public enc, ak;
	struct vs_tpm_attest certify;
	assert_ok(vs_tpm_public_parse(vs_buf_view(&ev.ak_public_2b), &ak, &err), &err);
	assert_memory_equal(ak.n.p, machine.ak_n, 256);
	assert_int_equal(ak.attributes, VS_TPM_AK_ATTRIBUTES);
	assert_ok(vs_tpm_public_parse(vs_buf_view(&ev.enc_public_2b), &enc, &err), &err);
	assert_int_equal(enc.attributes, VS_TPM_TRANSPORT_ATTRIBUTES);
	assert_ok(vs_tpm_attest_parse(vs_buf_view(&ev.enc_certify), &certify, &err), &err);
	assert_ok(vs_tpm_public_name(&enc, name, &err), &err);
	assert_int_equal(certify.type, VS_ATTEST_CERTIFY);
	assert_int_equal(certify.name.n, sizeof name);
	assert_memory_equal(certify.name.p, name, sizeof name);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
each_collect_makes_another_key(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence a = {0}, b = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES];
	open_source(&src);
	make_nonce(nonce);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &a, &err), &err);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &b, &err), &err);
	assert_memory_not_equal(a.enc_n.p, b.enc_n.p, 256);
	vs_evidence_done(&a);
	vs_evidence_done(&b);
	src.ops->close(src.self);
}

static void
unwraps_rsaes_and_oaep_inside_the_tpm(void **state)
{
	(void)state;
	static const struct {
		enum vs_unwrap scheme;
		int padding;
		const char *md;
	} cases[] = {
		{VS_UNWRAP_RSAES, RSA_PKCS1_PADDING, NULL},
		{VS_UNWRAP_OAEP_SHA1, RSA_PKCS1_OAEP_PADDING, "SHA1"},
		{VS_UNWRAP_OAEP_SHA256, RSA_PKCS1_OAEP_PADDING, "SHA256"},
		{VS_UNWRAP_OAEP_SHA384, RSA_PKCS1_OAEP_PADDING, "SHA384"},
	};
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], wrapped[257] = {0};
	open_source(&src);
	make_nonce(nonce);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_secret out = {0};
		const EVP_MD *md = cases[i].md != NULL ? EVP_get_digestbyname(cases[i].md) : NULL;
		encrypt(&ev, cases[i].padding, md, "thirty-two octets of key-wrapping",
			wrapped + 1);
		const struct vs_bytes plain = {wrapped + 1, 256}, padded = {wrapped, 257};
		assert_ok(
			src.ops->unwrap(src.self, cases[i].scheme, plain, arena, &out, &err), &err);
		assert_true(
			vs_bytes_eq_str(vs_secret_view(&out), "thirty-two octets of key-wrapping"));
		vs_secret_done(&out);
		assert_ok(src.ops->unwrap(src.self, cases[i].scheme, padded, arena, &out, &err),
			&err);
		vs_secret_done(&out);
		wrapped[100] ^= 1;
		const enum vs_unwrap other = cases[i].scheme == VS_UNWRAP_RSAES
			? VS_UNWRAP_OAEP_SHA256
			: cases[i].scheme;
		assert_code(src.ops->unwrap(src.self, other, plain, arena, &out, &err), DATA);
		assert_code(src.ops->unwrap(src.self, cases[i].scheme,
				    (struct vs_bytes){wrapped, 255}, arena, &out, &err),
			DATA);
		assert_null(out.p);
	}
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
refuses_to_unwrap_before_collecting(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_secret out = {0};
	struct vs_err err = {0};
	uint8_t c[256] = {0};
	open_source(&src);
	assert_code(src.ops->unwrap(src.self, VS_UNWRAP_RSAES, (struct vs_bytes){c, 256}, arena,
			    &out, &err),
		STATE);
	src.ops->close(src.self);
}

static void
refuses_to_unwrap_after_a_pcr_changed_and_names_it(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], wrapped[256];
	char sentence[1600];
	open_source(&src);
	make_nonce(nonce);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	encrypt(&ev, RSA_PKCS1_OAEP_PADDING, EVP_sha256(), "secret", wrapped);
	const struct vs_bytes c = {wrapped, 256};
	/* A PCR that is not quoted does not matter, a quoted one does. */
	swtpm_sh(&machine, "tpm2_pcrextend 9:sha256=$(printf x | sha256sum | cut -d' ' -f1)");
	assert_ok(src.ops->unwrap(src.self, VS_UNWRAP_OAEP_SHA256, c, arena, &out, &err), &err);
	vs_secret_done(&out);
	swtpm_sh(&machine, "tpm2_pcrextend 7:sha256=$(printf x | sha256sum | cut -d' ' -f1)");
	assert_code(src.ops->unwrap(src.self, VS_UNWRAP_OAEP_SHA256, c, arena, &out, &err),
		REFUSED_BINDING);
	vs_err_sentence(&err, sentence, sizeof sentence);
	assert_non_null(strstr(sentence, "PCR changed"));
	assert_non_null(strstr(sentence, "changed PCRs: 7"));
	assert_null(out.p);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static atomic_int extends_left;

static void
extend_before_quote(struct swtpm *t, uint32_t code, int fd)
{
	(void)t;
	if (code == 0x158 && atomic_load(&extends_left) > 0) {
		atomic_fetch_sub(&extends_left, 1);
		swtpm_extend(fd, 5);
	}
}

/* Between reading the PCRs and the quote one of them changes: key and quote are made again. */
static void
key_values_and_quote_are_of_one_moment(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	struct vs_tpm_attest a;
	struct vs_tpm_public enc;
	uint8_t nonce[VS_NONCE_BYTES], digest[32], policy[32], wrapped[256];
	open_source(&src);
	make_nonce(nonce);
	machine.before = extend_before_quote;
	atomic_store(&extends_left, 2);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_int_equal(atomic_load(&extends_left), 0);
	assert_ok(vs_tpm_attest_parse(vs_buf_view(&ev.quote), &a, &err), &err);
	assert_ok(vs_pcr_digest(0xFF, (const uint8_t(*)[32])ev.pcr, digest, &err), &err);
	assert_true(vs_bytes_eq(a.pcr_digest, vs_bytes_of(digest, 32)));
	assert_ok(vs_policy_pcr(0xFF, digest, policy, &err), &err);
	assert_ok(vs_tpm_public_parse(vs_buf_view(&ev.enc_public_2b), &enc, &err), &err);
	assert_true(vs_bytes_eq(enc.policy, vs_bytes_of(policy, 32)));
	encrypt(&ev, RSA_PKCS1_OAEP_PADDING, EVP_sha256(), "secret", wrapped);
	assert_ok(src.ops->unwrap(src.self, VS_UNWRAP_OAEP_SHA256, (struct vs_bytes){wrapped, 256},
			  arena, &out, &err),
		&err);
	vs_secret_done(&out);
	vs_evidence_done(&ev);
	/* A PCR that never stands still is no state that could be proved. */
	atomic_store(&extends_left, 1000);
	assert_code(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), EVIDENCE);
	atomic_store(&extends_left, 0);
	machine.before = NULL;
	src.ops->close(src.self);
}

static atomic_uint extended_pcr;

static void
extend_before_decryption(struct swtpm *t, uint32_t code, int fd)
{
	(void)t;
	if (code == 0x159 && atomic_load(&extends_left) > 0) {
		atomic_fetch_sub(&extends_left, 1);
		swtpm_extend(fd, atomic_load(&extended_pcr));
	}
}

/* The kernel measures files at any moment; only the PCRs of the policy decide. */
static void
a_pcr_of_others_may_change_between_session_and_decryption(void **state)
{
	(void)state;
	static const struct {
		int times;
		unsigned pcr;
		enum vs_code code;
	} cases[] = {
		{1, 10, VS_E_OK},
		{7, 10, VS_E_OK},
		{1000, 10, VS_E_TPM},
		{0, 10, VS_E_OK},
		{1, 3, VS_E_REFUSED_BINDING},
	};
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], wrapped[256];
	open_source(&src);
	make_nonce(nonce);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	encrypt(&ev, RSA_PKCS1_OAEP_PADDING, EVP_sha256(), "secret", wrapped);
	machine.before = extend_before_decryption;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_secret out = {0};
		atomic_store(&extended_pcr, cases[i].pcr);
		atomic_store(&extends_left, cases[i].times);
		const vs_rc rc = src.ops->unwrap(src.self, VS_UNWRAP_OAEP_SHA256,
			(struct vs_bytes){wrapped, 256}, arena, &out, &err);
		assert_int_equal(rc.code, cases[i].code);
		assert_int_equal(out.p != NULL, cases[i].code == VS_E_OK);
		vs_secret_done(&out);
	}
	machine.before = NULL;
	atomic_store(&extends_left, 0);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

/* ---- structures that the same key signs ----------------------------------------------------- */

static void
read_into(const char *name, struct vs_buf *out)
{
	char path[128];
	struct vs_err err = {0};
	snprintf(path, sizeof path, "%s/%s", machine.dir, name);
	out->max = 4096;
	assert_ok(vs_file_read(path, 4096, VS_FILE_ANY, out, &err), &err);
}

/* The quote's checks only: this machine's other evidence has no vendor behind it. */
static const struct vs_check *
check_of(const struct vs_evidence *ev, const char *name, struct vs_verdict *v)
{
	const struct vs_roots none = {.amd = {.n = 0}};
	const struct vs_evidence_expect x = {.at_unix = 1786752000,
		.roots = &none,
		.nonce = vs_bytes_of(ev->nonce, sizeof ev->nonce),
		.pcr_mask = 0xFF};
	struct vs_err err = {0};
	assert_code(vs_evidence_verify(ev, &x, v, &err), REFUSED_EVIDENCE);
	return data_check(v, name);
}

static void
only_the_quote_that_was_asked_for_is_one(void **state)
{
	(void)state;
	static const struct {
		const char *command, *check;
	} cases[] = {
		{"tpm2_quote -Q -c 0x81000003 -l sha256:0,1,2,3,4,5,6,7 -q $N -g sha256 -m m -s s "
		 "-f plain",
			NULL},
		{"tpm2_quote -Q -c 0x81000003 -l sha1:0,1,2,3,4,5,6,7 -q $N -g sha256 -m m -s s -f "
		 "plain",
			"PCR selection"},
		{"tpm2_quote -Q -c 0x81000003 -l sha256:0,1,2,3,4,5,6 -q $N -g sha256 -m m -s s -f "
		 "plain",
			"PCR selection"},
		{"tpm2_quote -Q -c 0x81000003 -l sha256:0,1,2,3,4,5,6,7,8 -q $N -g sha256 -m m -s "
		 "s -f "
		 "plain",
			"PCR selection"},
		{"tpm2_quote -Q -c 0x81000003 -l sha256:16 -q $N -g sha256 -m m -s s -f plain",
			"PCR selection"},
		{"tpm2_quote -Q -c 0x81000003 -l sha256:0,1,2,3,4,5,6,7+sha1:0 -q $N -g sha256 -m "
		 "m -s s "
		 "-f plain",
			"PCR selection"},
		{"tpm2_quote -Q -c 0x81000003 -l sha256:0,1,2,3,4,5,6,7 -g sha256 -m m -s s -f "
		 "plain",
			"nonce in the quote"},
		{"tpm2_nvcertify -Q -C 0x81000003 -c o -g sha256 -f plain -o s --attestation m "
		 "--size 32 "
		 "-q $N 0x01400002",
			"quote's form"},
	};
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	static struct vs_verdict v;
	uint8_t nonce[VS_NONCE_BYTES];
	char hex[65], line[1024];
	open_source(&src);
	make_nonce(nonce);
	vs_hex_str(nonce, sizeof nonce, hex, sizeof hex);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(line, sizeof line, "N=%s && %s", hex, cases[i].command);
		swtpm_sh(&machine, line);
		vs_buf_done(&ev.quote);
		vs_buf_done(&ev.quote_sig);
		read_into("m", &ev.quote);
		read_into("s", &ev.quote_sig);
		/* Whatever it is, the key did sign it. */
		assert_true(check_of(&ev, "quote's signature", &v)->passed);
		if (cases[i].check == NULL) {
			assert_true(data_check(&v, "PCR selection")->passed);
			assert_true(data_check(&v, "PCR values")->passed);
			assert_true(data_check(&v, "nonce in the quote")->passed);
		} else if (data_check(&v, cases[i].check)->passed) {
			fail_msg("%s", cases[i].command);
		}
	}
	/* The certification of the transport key in place of the quote. */
	assert_ok(vs_buf_set(&ev.quote, ev.enc_certify.p, ev.enc_certify.n, &err), &err);
	assert_ok(
		vs_buf_set(&ev.quote_sig, ev.enc_certify_sig.p, ev.enc_certify_sig.n, &err), &err);
	assert_true(check_of(&ev, "quote's signature", &v)->passed);
	assert_false(data_check(&v, "quote's type")->passed);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
an_old_report_is_read_again_until_it_is_new(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES];
	open_source(&src);
	make_nonce(nonce);
	atomic_store(&machine.stale, 3);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_int_equal(atomic_load(&machine.stale), 0);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
an_old_report_is_never_sent(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES];
	open_source(&src);
	make_nonce(nonce);
	atomic_store(&machine.stale, 1000000);
	const vs_rc rc = src.ops->collect(src.self, nonce, in_ms(1500), &ev, &err);
	atomic_store(&machine.stale, 0);
	assert_code(rc, EVIDENCE_STALE);
	assert_int_equal(ev.hcl.n, 0);
	src.ops->close(src.self);
}

static void
counts_are_those_of_the_quote_and_change_with_a_reset(void **state)
{
	(void)state;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], wrapped[256];
	uint32_t reset = 0, restart = 0;
	open_source(&src);
	make_nonce(nonce);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_ok(src.ops->counts(src.self, &reset, &restart, &err), &err);
	assert_int_equal(reset, ev.reset_count);
	assert_int_equal(restart, ev.restart_count);
	encrypt(&ev, RSA_PKCS1_PADDING, NULL, "secret", wrapped);
	swtpm_sh(&machine, "tpm2_shutdown -c && swtpm_ioctl -i --unix tpm.ctrl && tpm2_startup -c");
	assert_ok(src.ops->counts(src.self, &reset, &restart, &err), &err);
	assert_int_equal(reset, ev.reset_count + 1);
	assert_code(src.ops->unwrap(src.self, VS_UNWRAP_RSAES, (struct vs_bytes){wrapped, 256},
			    arena, &out, &err),
		REFUSED_BINDING);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
nothing_stays_loaded_in_the_tpm(void **state)
{
	(void)state;
	swtpm_sh(&machine,
		"test -z \"$(tpm2_getcap handles-transient)\" && "
		"test -z \"$(tpm2_getcap handles-loaded-session)\"");
}

static void
waits_for_the_lock_no_longer_than_the_deadline(void **state)
{
	(void)state;
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES];
	char sentence[1600];
	fill_env(&env);
	assert_ok(vs_azguest_open(&env, &src, &err), &err);
	make_nonce(nonce);
	const int fd = open(env.lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_code(src.ops->collect(src.self, nonce, in_ms(200), &ev, &err), TPM);
	vs_err_sentence(&err, sentence, sizeof sentence);
	assert_non_null(strstr(sentence, "in use by another process"));
	close(fd);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
says_why_there_is_no_tpm(void **state)
{
	(void)state;
	static const struct {
		const char *tcti, *says;
	} cases[] = {
		{"device:/dev/no-such-tpm", "does not exist"},
		{"device:/etc/passwd", "not a character device"},
		{"swtpm:path=/tmp/no-such-socket", "does not answer"},
		{"swtpm:host=127.0.0.1,port=1", "does not answer"},
		{"mssim:host=127.0.0.1,port=1", "does not answer"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vs_azguest_env env;
		struct vs_evidence_src src;
		struct vs_err err = {0};
		uint32_t a, b;
		char sentence[1600];
		fill_env(&env);
		env.tcti = cases[i].tcti;
		assert_ok(vs_azguest_open(&env, &src, &err), &err);
		assert_code(src.ops->counts(src.self, &a, &b, &err), TPM_ABSENT);
		vs_err_sentence(&err, sentence, sizeof sentence);
		if (strstr(sentence, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].tcti, sentence);
		src.ops->close(src.self);
	}
}

static void
accepts_only_known_kinds_of_tpm(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "device", "device:", "device:dev/tpm0", "tabrmd",
		"libtss2-tcti-device.so.0", "/tmp/evil.so", "cmd:/bin/sh", "pcap:device:/dev/tpm0",
		"swtpm", "swtpm:path=rel", "swtpm:host=10.0.0.1,port=2321",
		"swtpm:host=127.0.0.1.5", "swtpm:host=127.0.0,port=1", "swtpm:port=0",
		"swtpm:port=65536", "swtpm:port=1x", "mssim:path=/x", "swtpm:host=example.com",
		"swtpm:user=x", "device:/dev/tpm0,x=y"};
	struct vs_err err = {0};
	for (size_t i = 0; i + 1 < sizeof bad / sizeof *bad; i++)
		assert_code(vs_tpm_tcti_check(bad[i], &err), CONFIG_VALUE);
	assert_code(vs_tpm_tcti_check(NULL, &err), CONFIG_VALUE);
	static const char *const good[] = {"device:/dev/tpmrm0", "swtpm:path=/x",
		"swtpm:", "swtpm:host=127.0.0.1,port=2321", "swtpm:port=2321,host=localhost",
		"mssim:host=127.1.2.3,port=2321"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_ok(vs_tpm_tcti_check(good[i], &err), &err);
}

/* ---- hostile answers ------------------------------------------------------------------------ */

struct liar {
	uint32_t code; /* which command's answer; 0: all */
	int mode;
	size_t at;
	unsigned hits;
};

enum { TRUNCATE, EXTEND, FLIP, GROW_SIZE, BAD_TAG, HUGE_2B, ODD_ERROR };

static uint32_t
code_of(struct vs_bytes command)
{
	struct vs_reader r = vs_reader_of(command);
	vs_get_bytes(&r, 6);
	return vs_get_be32(&r);
}

static void
lie(void *self, struct vs_bytes command, uint8_t *buf, size_t *n, size_t cap)
{
	struct liar *l = self;
	const uint32_t code = code_of(command);
	if (l->code != 0 && l->code != code)
		return;
	l->hits++;
	switch (l->mode) {
	case TRUNCATE: *n = l->at < *n ? l->at : *n - 1; break;
	case EXTEND:
		for (size_t i = 0; i < l->at && *n < cap; i++)
			buf[(*n)++] = 0;
		break;
	case FLIP:
		if (l->at < *n)
			buf[l->at] ^= 0xFF;
		break;
	case GROW_SIZE: buf[5]++; break;
	case BAD_TAG: buf[1] ^= 3; break;
	case HUGE_2B: {
		/* The first sized field: behind the header, the handle, the parameters' size. */
		const size_t first = 10u + (code == 0x131 ? 4 : 0) + (buf[1] == 2 ? 4 : 0);
		if (*n > first + 2)
			buf[first] = buf[first + 1] = 0xFF;
		break;
	}
	case ODD_ERROR: buf[9] = 1; break;
	default: break;
	}
}

static vs_rc
collect_with(struct liar *l, struct vs_evidence *ev, struct vs_err *err)
{
	const struct vs_tpm_fault fault = {.response = lie, .self = l};
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	uint8_t nonce[VS_NONCE_BYTES];
	fill_env(&env);
	env.fault = &fault;
	make_nonce(nonce);
	assert_ok(vs_azguest_open(&env, &src, err), err);
	const vs_rc rc = src.ops->collect(src.self, nonce, in_ms(900), ev, err);
	src.ops->close(src.self);
	return rc;
}

struct recorder {
	unsigned n;
	struct {
		size_t command_n, n;
		uint8_t command[4096], p[4096];
	} answers[64];
};

static void
record(void *self, struct vs_bytes command, uint8_t *buf, size_t *n, size_t cap)
{
	struct recorder *r = self;
	(void)cap;
	if (r->n == 64)
		return;
	memcpy(r->answers[r->n].command, command.p, command.n);
	r->answers[r->n].command_n = command.n;
	r->answers[r->n].n = *n;
	memcpy(r->answers[r->n++].p, buf, *n);
}

static vs_rc
check_answer(struct vs_bytes command, const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n != 0 ? n : 1);
	memcpy(copy, p, n);
	const vs_rc rc = vs_tpm_response_check(command, vs_bytes_of(copy, n), NULL);
	free(copy);
	return rc;
}

/* Real answers of one collection, cut at every length, as they are and with the size put right. */
static void
every_cut_or_longer_answer_is_refused(void **state)
{
	(void)state;
	static struct recorder r;
	const struct vs_tpm_fault fault = {.response = record, .self = &r};
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES];
	fill_env(&env);
	env.fault = &fault;
	make_nonce(nonce);
	assert_ok(vs_azguest_open(&env, &src, &err), &err);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	assert_in_range(r.n, 15, 64);
	for (unsigned i = 0; i < r.n; i++) {
		uint8_t *p = r.answers[i].p;
		const struct vs_bytes command = {r.answers[i].command, r.answers[i].command_n};
		assert_ok(check_answer(command, p, r.answers[i].n), &err);
		for (size_t n = 0; n < r.answers[i].n; n++) {
			assert_code(check_answer(command, p, n), TPM);
			const uint8_t was[2] = {p[4], p[5]};
			p[4] = (uint8_t)(n >> 8);
			p[5] = (uint8_t)n;
			if (!vs_failed(check_answer(command, p, n)))
				fail_msg("command %x cut to %zu of %zu", code_of(command), n,
					r.answers[i].n);
			p[4] = was[0];
			p[5] = was[1];
		}
		const size_t longer = r.answers[i].n + 1;
		p[longer - 1] = 0;
		p[4] = (uint8_t)(longer >> 8);
		p[5] = (uint8_t)longer;
		assert_code(check_answer(command, p, longer), TPM);
	}
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

/* Every command that collect sends. */
static const uint32_t commands[] = {
	0x131, 0x137, 0x148, 0x14E, 0x158, 0x162, 0x169, 0x173, 0x17A, 0x17E};

static void
refuses_answers_of_wrong_length_from_every_command(void **state)
{
	(void)state;
	static const size_t cut[] = {0, 1, 9, 10, 11, 14, 18, 30};
	for (size_t c = 0; c < sizeof commands / sizeof *commands; c++) {
		for (size_t k = 0; k < sizeof cut / sizeof *cut; k++) {
			struct liar l = {.code = commands[c], .mode = TRUNCATE, .at = cut[k]};
			struct vs_evidence ev = {0};
			struct vs_err err = {0};
			assert_code(collect_with(&l, &ev, &err), TPM);
			assert_true(l.hits > 0);
		}
		static const int modes[] = {EXTEND, GROW_SIZE, BAD_TAG, ODD_ERROR, HUGE_2B};
		for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
			/* These begin with no sized field. */
			if (modes[k] == HUGE_2B &&
				(commands[c] == 0x137 || commands[c] == 0x162 ||
					commands[c] == 0x17A || commands[c] == 0x17E))
				continue;
			struct liar l = {.code = commands[c], .mode = modes[k], .at = 1};
			struct vs_evidence ev = {0};
			struct vs_err err = {0};
			const vs_rc rc = collect_with(&l, &ev, &err);
			if (rc.code != VS_E_TPM)
				fail_msg("command %x mode %d: %s", commands[c], modes[k],
					vs_code_name(rc.code));
		}
	}
}

static void
survives_an_answer_with_any_single_byte_changed(void **state)
{
	(void)state;
	/* Quote and PCR_Read: whatever comes out is refused, or is evidence that verification
	 * judges. */
	static const uint32_t some[] = {0x17E, 0x158, 0x169, 0x17A};
	for (size_t c = 0; c < sizeof some / sizeof *some; c++) {
		for (size_t at = 0; at < 80; at += 3) {
			struct liar l = {.code = some[c], .mode = FLIP, .at = at};
			struct vs_evidence ev = {0};
			struct vs_err err = {0};
			const vs_rc rc = collect_with(&l, &ev, &err);
			if (!vs_failed(rc))
				vs_evidence_done(&ev);
			else
				assert_true(err.n_frames > 0);
		}
	}
}

static void
refuses_hostile_answers_while_unwrapping(void **state)
{
	(void)state;
	static const uint32_t used[] = {0x161, 0x176, 0x17F, 0x159};
	struct liar l = {.code = 1};
	const struct vs_tpm_fault fault = {.response = lie, .self = &l};
	struct vs_azguest_env env;
	struct vs_evidence_src src;
	struct vs_evidence ev = {0};
	struct vs_secret out = {0};
	struct vs_err err = {0};
	uint8_t nonce[VS_NONCE_BYTES], wrapped[256];
	fill_env(&env);
	env.fault = &fault;
	make_nonce(nonce);
	assert_ok(vs_azguest_open(&env, &src, &err), &err);
	assert_ok(src.ops->collect(src.self, nonce, in_ms(20000), &ev, &err), &err);
	encrypt(&ev, RSA_PKCS1_OAEP_PADDING, EVP_sha256(), "secret", wrapped);
	const struct vs_bytes c = {wrapped, 256};
	for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
		static const int modes[] = {TRUNCATE, EXTEND, GROW_SIZE, BAD_TAG, ODD_ERROR};
		for (size_t k = 0; k < sizeof modes / sizeof *modes; k++) {
			l = (struct liar){.code = used[i], .mode = modes[k], .at = 12};
			assert_code(src.ops->unwrap(
					    src.self, VS_UNWRAP_OAEP_SHA256, c, arena, &out, &err),
				TPM);
			assert_int_equal(l.hits, 1);
			assert_null(out.p);
		}
	}
	l = (struct liar){.code = 1};
	assert_ok(src.ops->unwrap(src.self, VS_UNWRAP_OAEP_SHA256, c, arena, &out, &err), &err);
	vs_secret_done(&out);
	vs_evidence_done(&ev);
	src.ops->close(src.self);
}

static void
nothing_was_printed(void **state)
{
	(void)state;
	char buf[512] = {0};
	fflush(stderr);
	const ssize_t n = pread(stderr_file, buf, sizeof buf - 1, 0);
	if (n != 0)
		fail_msg("on standard error: %.500s", buf);
}

static int
set_up(void **state)
{
	(void)state;
	struct vs_err err = {0};
	swtpm_start(&machine, true);
	if (vs_failed(vs_arena_new(65536, 65536, VS_LOCK_WARN, &arena, &err)))
		return -1;
	char path[] = "/tmp/vs-stderr.XXXXXX";
	stderr_file = mkstemp(path);
	unlink(path);
	saved_stderr = dup(2);
	return stderr_file < 0 || dup2(stderr_file, 2) != 2;
}

static int
tear_down(void **state)
{
	(void)state;
	char buf[4096];
	dup2(saved_stderr, 2);
	close(saved_stderr);
	const ssize_t n = pread(stderr_file, buf, sizeof buf, 0);
	if (n > 0)
		(void)!write(2, buf, (size_t)n);
	close(stderr_file);
	vs_arena_free(arena);
	swtpm_stop(&machine);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_only_known_kinds_of_tpm),
		cmocka_unit_test(says_why_there_is_no_tpm),
		cmocka_unit_test(collects_fresh_evidence_of_a_confidential_machine),
		cmocka_unit_test(each_collect_makes_another_key),
		cmocka_unit_test(unwraps_rsaes_and_oaep_inside_the_tpm),
		cmocka_unit_test(refuses_to_unwrap_before_collecting),
		cmocka_unit_test(refuses_to_unwrap_after_a_pcr_changed_and_names_it),
		cmocka_unit_test(a_pcr_of_others_may_change_between_session_and_decryption),
		cmocka_unit_test(key_values_and_quote_are_of_one_moment),
		cmocka_unit_test(only_the_quote_that_was_asked_for_is_one),
		cmocka_unit_test(an_old_report_is_read_again_until_it_is_new),
		cmocka_unit_test(an_old_report_is_never_sent),
		cmocka_unit_test(waits_for_the_lock_no_longer_than_the_deadline),
		cmocka_unit_test(nothing_stays_loaded_in_the_tpm),
		cmocka_unit_test(every_cut_or_longer_answer_is_refused),
		cmocka_unit_test(refuses_answers_of_wrong_length_from_every_command),
		cmocka_unit_test(refuses_hostile_answers_while_unwrapping),
		cmocka_unit_test(survives_an_answer_with_any_single_byte_changed),
		cmocka_unit_test(nothing_stays_loaded_in_the_tpm),
		cmocka_unit_test(counts_are_those_of_the_quote_and_change_with_a_reset),
		cmocka_unit_test(nothing_was_printed),
	};
	if (!swtpm_available())
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
