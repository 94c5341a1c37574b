/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What checking costs: a real token against its real key set, a policy, an event log. Usage:
 * bench_check [--strict]
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "attest/validate.h"
#include "base/codec.h"
#include "bench/bench.h"
#include "evidence/eventlog.h"
#include "jose/json.h"

#define DATA VS_TEST_SRCDIR "/tests/data/"
#define ISSUER "https://sharedwus.wus.attest.azure.net"
enum { LOG_BYTES = 64 << 10, AT_UNIX = 1662584747 };

static const char policy_text[] =
	"{\"version\":\"1.0.0\",\"anyOf\":[{\"authority\":\"" ISSUER "\",\"allOf\":["
	"{\"claim\":\"x-ms-isolation-tee.x-ms-attestation-type\",\"equals\":\"sevsnpvm\"},"
	"{\"claim\":\"secureboot\",\"equals\":\"true\"}]}]}";

static struct vs_buf token, event_log;
static struct vs_jwks *jwks;
static struct vs_policy *policy;
static struct vs_json *claims;

static void
must(vs_rc rc)
{
	if (vs_failed(rc))
		bench_die("an operation failed: %s", vs_code_name(rc.code));
}

static void
read_file(const char *path, struct vs_buf *out)
{
	uint8_t *p = NULL;
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		bench_die("%s cannot be read", path);
	must(vs_buf_room(out, 1 << 17, &p, NULL));
	out->n = fread(p, 1, 1 << 17, f);
	(void)fclose(f);
}

static void *
nothing(void)
{
	return NULL;
}

static void
drop_nothing(void *work)
{
	(void)work;
}

/* ---- token ---------------------------------------------------------------------------------- */

static void
run_token(void *work, unsigned n)
{
	const struct vs_validate_in in = {.token = vs_buf_view(&token),
		.jwks = jwks,
		.issuer = ISSUER,
		.policy = policy,
		.nonce = vs_bytes_str("1234"),
		.at_unix = AT_UNIX,
		.skew_s = 60};
	(void)work;
	while (n-- != 0) {
		struct vs_token_facts facts = {0};
		struct vs_verdict verdict;
		must(vs_validate(&in, &facts, &verdict, NULL, NULL));
		vs_token_facts_done(&facts);
	}
}

/* Only the RSA operation, everything prepared. */
struct raw {
	EVP_PKEY_CTX *ctx;
	struct vs_buf sig;
	unsigned char digest[SHA256_DIGEST_LENGTH];
};

static void *
make_raw(void)
{
	static struct raw r;
	struct evp_pkey_st *keys[VS_JWKS_SAME_KID_MAX];
	struct vs_jws_parts parts = {0};
	struct vs_bytes text = vs_buf_view(&token);
	char kid[128];
	size_t n = 0;

	must(vs_jws_trim(text, VS_JWS_TEXT_MAX, &text, NULL));
	must(vs_jws_split(text, &parts, NULL));
	must(vs_b64url_decode(parts.signature, &r.sig, NULL));
	must(vs_token_peek_kid(text, kid, sizeof kid, NULL));
	must(vs_jwks_select(jwks, vs_bytes_str(kid), AT_UNIX, keys, &n, NULL));
	(void)SHA256(parts.signed_text.p, parts.signed_text.n, r.digest);
	r.ctx = EVP_PKEY_CTX_new(keys[0], NULL);
	BENCH_REQUIRE(r.ctx != NULL && EVP_PKEY_verify_init(r.ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(r.ctx, RSA_PKCS1_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(r.ctx, EVP_sha256()) == 1);
	return &r;
}

static void
run_raw(void *work, unsigned n)
{
	struct raw *r = work;
	while (n-- != 0)
		BENCH_REQUIRE(EVP_PKEY_verify(r->ctx, r->sig.p, r->sig.n, r->digest,
				      sizeof r->digest) == 1);
}

static void
drop_raw(void *work)
{
	struct raw *r = work;
	EVP_PKEY_CTX_free(r->ctx);
	vs_buf_done(&r->sig);
}

/* ---- policy and log ------------------------------------------------------------------------- */

static void
run_policy(void *work, unsigned n)
{
	(void)work;
	while (n-- != 0) {
		struct vs_policy_report report = {0};
		must(vs_policy_eval(policy, claims, ISSUER, &report, NULL));
		BENCH_REQUIRE(report.allowed);
		vs_policy_report_done(&report);
	}
}

static void
run_log(void *work, unsigned n)
{
	(void)work;
	while (n-- != 0) {
		struct vs_replay r;
		must(vs_eventlog_replay(vs_buf_view(&event_log), VS_HASH_SHA256, &r, NULL));
		BENCH_REQUIRE(r.has_bank && r.end == event_log.n);
	}
}

/* A real log, its events once more behind it until there are 64 KiB of whole events. */
static void
make_log(void)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf file = {0};
	struct vs_eventlog at;
	struct vs_event e;
	bool end = false;

	read_file(DATA "evidence/tcg/ubuntu-2404-amd-sevsnp.bin", &file);
	must(vs_eventlog_open(vs_buf_view(&file), &at, NULL));
	const size_t head = vs_eventlog_offset(&at);
	must(vs_buf_add(&event_log, file.p, head, NULL));
	while (event_log.n < LOG_BYTES) {
		const size_t from = vs_eventlog_offset(&at);
		must(vs_eventlog_next(&at, &e, &end, NULL));
		const size_t n = vs_eventlog_offset(&at) - from;
		if (end)
			must(vs_eventlog_open(vs_buf_view(&file), &at, NULL));
		else
			must(vs_buf_add(&event_log, file.p + from, n, NULL));
	}
}

static void
set_up(void)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf keys = {0};
	VS_CLEANUP(vs_buf_done) struct vs_buf payload = {0};
	struct vs_jws_parts parts = {0};
	struct vs_bytes text;

	read_file(DATA "maa/tokens/azurevm-linux-snp-sharedwus-2022-09-07.jwt", &token);
	read_file(DATA "maa/jwks/sharedwus-2022-11.json", &keys);
	must(vs_jwks_parse(vs_buf_view(&keys), &jwks, NULL));
	must(vs_policy_parse(vs_bytes_str(policy_text), &policy, NULL));
	must(vs_jws_trim(vs_buf_view(&token), VS_JWS_TEXT_MAX, &text, NULL));
	must(vs_jws_split(text, &parts, NULL));
	must(vs_b64url_decode(parts.payload, &payload, NULL));
	must(vs_json_load_object(vs_buf_view(&payload), VS_JWS_TEXT_MAX, "claims", &claims, NULL));
	make_log();
}

int
main(int argc, char **argv)
{
	static const struct bench_op token_op = {nothing, run_token, drop_nothing},
				     raw_op = {make_raw, run_raw, drop_raw},
				     policy_op = {nothing, run_policy, drop_nothing},
				     log_op = {nothing, run_log, drop_nothing};
	double ours = 0, raw = 0;
	bool good = true;

	set_up();
	bench_head("checking");
	bench_pair(&token_op, &raw_op, 1, &ours, &raw);
	(void)bench_figure("RSA-2048 verify, plain", raw / 1e3, "us", 0);
	good = bench_figure("token, all checks (3 verifies + 50 us)", ours / 1e3, "us",
		       3 * raw / 1e3 + 50) &&
		good;
	(void)bench_figure("policy of two conditions", bench_alone(&policy_op, 1) / 1e3, "us", 0);
	good = bench_figure(
		       "event log of 64 KiB, replay", bench_alone(&log_op, 1) / 1e3, "us", 1000) &&
		good;
	vs_json_free(claims);
	vs_jwks_unref(jwks);
	vs_policy_unref(policy);
	vs_buf_done(&token);
	vs_buf_done(&event_log);
	return argc > 1 && strcmp(argv[1], "--strict") == 0 && !good ? 1 : 0;
}
