/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The services of gate/attempt.h made of data: the file that the setting `policy` names is read at
 * each call and says what happens, one `name = value` per line; each call adds a line to the same
 * path with ".calls" behind. Linked in the place of libvsattempt and libvsnet.
 *
 *   attest   accept | refuse | unreachable | config      delay-ms   before it answers
 *   exp-s    life of the token in seconds                 resets     the TPM's reset count
 *   policy-lease-s  the policy's own limit, 0 for none
 *   release  accept | refuse | gone | unbound | unreachable         counts     ok | fail
 *   catalog  ok | unreachable                             keys       number of keys listed
 *   gone     name of a key whose release is refused for good
 *   key-bytes  length of a released key
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gate/attempt.h"
#include "net/http_curl.h"

struct vs_services {
	struct vs_services_env env;
};

struct script {
	char attest[32], release[32], counts[32], catalog[32], gone[64];
	long delay_ms, release_delay_ms, exp_s, policy_lease_s, resets, keys, key_bytes;
};

static void
set_number(const char *value, long *out)
{
	(void)!sscanf(value, "%ld", out);
}

static struct script
read_script(const struct vs_services *s)
{
	struct script sc = {.attest = "accept",
		.release = "accept",
		.counts = "ok",
		.catalog = "ok",
		.exp_s = 3600,
		.resets = 7,
		.keys = 3,
		.key_bytes = 32};
	char line[256], name[64], value[128];
	FILE *f = fopen(s->env.token->policy, "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%63s = %127s", name, value) != 2)
			continue;
		if (strcmp(name, "attest") == 0)
			snprintf(sc.attest, sizeof sc.attest, "%.31s", value);
		else if (strcmp(name, "release") == 0)
			snprintf(sc.release, sizeof sc.release, "%.31s", value);
		else if (strcmp(name, "counts") == 0)
			snprintf(sc.counts, sizeof sc.counts, "%.31s", value);
		else if (strcmp(name, "catalog") == 0)
			snprintf(sc.catalog, sizeof sc.catalog, "%.31s", value);
		else if (strcmp(name, "gone") == 0)
			snprintf(sc.gone, sizeof sc.gone, "%.63s", value);
		else if (strcmp(name, "delay-ms") == 0)
			set_number(value, &sc.delay_ms);
		else if (strcmp(name, "release-delay-ms") == 0)
			set_number(value, &sc.release_delay_ms);
		else if (strcmp(name, "exp-s") == 0)
			set_number(value, &sc.exp_s);
		else if (strcmp(name, "policy-lease-s") == 0)
			set_number(value, &sc.policy_lease_s);
		else if (strcmp(name, "resets") == 0)
			set_number(value, &sc.resets);
		else if (strcmp(name, "keys") == 0)
			set_number(value, &sc.keys);
		else if (strcmp(name, "key-bytes") == 0)
			set_number(value, &sc.key_bytes);
	}
	if (f)
		fclose(f);
	return sc;
}

static void
count_call(const struct vs_services *s, const char *what)
{
	char path[1200], line[200];
	snprintf(path, sizeof path, "%s.calls", s->env.token->policy);
	const int n = snprintf(line, sizeof line, "%s\n", what);
	const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)!write(fd, line, (size_t)n);
	close(fd);
}

static void
pause_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	if (ms > 0)
		nanosleep(&t, NULL);
}

VS_RC
vs_services_new(const struct vs_services_env *env, struct vs_services **ret, struct vs_err *err)
{
	if (!env->token->policy)
		VS_FAIL(err, POLICY_FILE, "there is no policy");
	struct vs_services *s = calloc(1, sizeof *s);
	if (!s)
		VS_FAIL(err, MEMORY, "out of memory");
	s->env = *env;
	*ret = s;
	return VS_OK;
}

void
vs_services_free(struct vs_services *s)
{
	free(s);
}

struct vs_attestation *
vs_attestation_ref(struct vs_attestation *a)
{
	a->refs++;
	return a;
}

void
vs_attestation_unref(struct vs_attestation *a)
{
	if (a && --a->refs == 0)
		free(a);
}

static void
add_check(struct vs_verdict *v, const char *rule, const char *name, bool passed)
{
	struct vs_check *c = &v->checks[v->n_checks++];
	*c = (struct vs_check){.rule = rule, .name = name, .passed = passed};
	snprintf(c->expected, sizeof c->expected, "true");
	snprintf(c->seen, sizeof c->seen, passed ? "true" : "false");
}

VS_RC
vs_services_attest(struct vs_services *s, int64_t deadline_boot_ns, struct vs_attestation **ret,
	struct vs_verdict *ret_verdict, struct vs_err *err)
{
	const struct script sc = read_script(s);
	struct vs_clock clock = s->env.clock;
	(void)deadline_boot_ns;
	*ret_verdict = (struct vs_verdict){0};
	count_call(s, "attest");
	pause_ms(sc.delay_ms);
	if (strcmp(sc.attest, "unreachable") == 0)
		VS_FAIL(err, CONNECT, "nobody answers");
	if (strcmp(sc.attest, "config") == 0)
		VS_FAIL(err, POLICY_FILE, "the policy is broken");
	add_check(ret_verdict, "A9", "signature", true);
	if (strcmp(sc.attest, "refuse") == 0) {
		add_check(ret_verdict, "policy", "secure boot", false);
		add_check(ret_verdict, "A15", "debug flag", false);
		VS_FAIL(err, REFUSED_POLICY, "the first of several checks failed");
	}
	ret_verdict->passed = true;
	struct vs_attestation *a = calloc(1, sizeof *a);
	if (!a)
		VS_FAIL(err, MEMORY, "out of memory");
	a->refs = 1;
	a->verdict = *ret_verdict;
	a->exp_unix = clock.ops->wall_unix(clock.self) + sc.exp_s;
	a->policy_max_lease_s = sc.policy_lease_s;
	a->reset_count = (uint32_t)sc.resets;
	snprintf(a->issuer, sizeof a->issuer, "%s", s->env.token->attestation);
	*ret = a;
	return VS_OK;
}

VS_RC
vs_services_release(struct vs_services *s, struct vs_attestation *a,
	const struct vs_cat_entry *entry, int64_t deadline_boot_ns, struct vs_secret *ret,
	struct vs_release_info *ret_info, struct vs_err *err)
{
	const struct script sc = read_script(s);
	char call[128], bytes[16000] = "";
	(void)a;
	(void)deadline_boot_ns;
	snprintf(
		call, sizeof call, "release %.*s", (int)entry->name.n, (const char *)entry->name.p);
	count_call(s, call);
	pause_ms(sc.release_delay_ms);
	if (strcmp(sc.release, "refuse") == 0)
		VS_FAIL(err, REFUSED_RELEASE, "the vault does not want to");
	if (strcmp(sc.release, "unbound") == 0)
		VS_FAIL(err, REFUSED_BINDING, "a PCR has changed");
	if (strcmp(sc.release, "unreachable") == 0)
		VS_FAIL(err, CONNECT, "the vault does not answer");
	if (strcmp(sc.release, "gone") == 0 || vs_bytes_eq_str(entry->name, sc.gone))
		VS_FAIL(err, KEY_GONE, "the key is disabled");
	*ret_info = (struct vs_release_info){.policy_immutable = true};
	snprintf(ret_info->kid, sizeof ret_info->kid, "%.*s", (int)entry->kid.n,
		(const char *)entry->kid.p);
	snprintf(bytes, 33, "secret of %-22.*s", (int)entry->name.n, (const char *)entry->name.p);
	const size_t n = (size_t)sc.key_bytes;
	return vs_secret_from(s->env.arena, bytes, n < sizeof bytes ? n : sizeof bytes, ret, err);
}

VS_RC
vs_services_catalog(struct vs_services *s, int64_t deadline_boot_ns, struct vs_catalog_data **ret,
	struct vs_err *err)
{
	const struct script sc = read_script(s);
	static const uint8_t id[20] = {1};
	(void)deadline_boot_ns;
	count_call(s, "catalog");
	if (strcmp(sc.catalog, "ok") != 0)
		VS_FAIL(err, CONNECT, "the vault does not answer");
	struct vs_catalog_data *c = calloc(1, sizeof *c);
	const size_t n = (size_t)sc.keys;
	if (!c || !(c->entries = calloc(n + 1, sizeof *c->entries)))
		VS_FAIL(err, MEMORY, "out of memory");
	c->generation = 1;
	c->block.max = 16 << 20;
	uint8_t *names = NULL;
	VS_TRY(vs_buf_room(&c->block, n * 32 + 1, &names, err));
	for (size_t i = 0; i < n; i++) {
		char *name = (char *)names + i * 32;
		snprintf(name, 32, "key-%zu", i + 1);
		c->entries[c->n++] = (struct vs_cat_entry){.name = vs_bytes_str(name),
			.version = vs_bytes_str("0123456789abcdef0123456789abcdef"),
			.kid = vs_bytes_str("https://vault/keys/key"),
			.id = vs_bytes_of(id, sizeof id),
			.type = VS_KEY_AES,
			.bits = 256,
			.ops = VS_KOP_ENCRYPT | VS_KOP_DECRYPT,
			.enabled = true};
	}
	*ret = c;
	return VS_OK;
}

VS_RC
vs_services_tpm_counts(
	struct vs_services *s, uint32_t *ret_reset, uint32_t *ret_restart, struct vs_err *err)
{
	const struct script sc = read_script(s);
	count_call(s, "counts");
	if (strcmp(sc.counts, "ok") != 0)
		VS_FAIL(err, TPM, "the TPM does not answer");
	*ret_reset = (uint32_t)sc.resets;
	*ret_restart = 0;
	return VS_OK;
}

/* ---- no HTTP -------------------------------------------------------------------------------- */

VS_RC
vs_http_curl_new(const struct vs_http_curl_env *env, struct vs_http_curl **ret, struct vs_err *err)
{
	(void)env;
	(void)err;
	*ret = NULL;
	return VS_OK;
}

void
vs_http_curl_free(struct vs_http_curl *h)
{
	(void)h;
}

struct vs_http
vs_http_curl_port(struct vs_http_curl *h)
{
	(void)h;
	return (struct vs_http){0};
}
