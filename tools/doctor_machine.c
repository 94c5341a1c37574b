/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of doctor about this machine: libraries, memory, TPM, evidence, the agent and its users. */
#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/ossl.h"
#include "evidence/hcl.h"
#include "evidence/quote.h"
#include "evidence/tpm.h"
#include "evidence/verify.h"
#include "tools/doctor.h"
#include "tools/libver.h"

enum { EVENT_LOG_MAX = 16 << 20, LOCK_BYTES = 16 << 20, TPM_MS = 10000 };

void
vs_doc_libraries(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const struct {
		const char *name, *version;
	} libs[] = {{"OpenSSL", vs_ossl_version()}, {"libcurl", vs_http_curl_version()},
		{"jansson", jansson_version_str()}, {"tpm2-tss", VS_TSS_VERSION}};
	char all[300] = "";
	const struct vs_lib_range *bad = NULL;
	const char *which = "";
	(void)d;
	(void)t;
	for (size_t i = 0; i < sizeof libs / sizeof libs[0]; i++) {
		const size_t n = strlen(all);
		(void)snprintf(all + n, sizeof all - n, "%s%s %s", i ? ", " : "", libs[i].name,
			libs[i].version);
		const struct vs_lib_range *b = vs_lib_bad(libs[i].name, libs[i].version);
		if (b && !bad) {
			bad = b;
			which = libs[i].name;
		}
	}
	/* Distributions repair defects without a new version number: no more than a warning. */
	if (bad)
		vs_doc_warn(r, "%s; %s %s to %s: %s, unless the distribution has repaired it", all,
			which, bad->first, bad->last, bad->why);
	else
		vs_doc_good(r, "%s", all);
}

void
vs_doc_memory_lock(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const bool required = d->w.conf && d->w.conf->memory_lock_required;
	struct rlimit limit = {0};
	char size[32] = "unlimited";
	(void)t;
	(void)getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur != RLIM_INFINITY)
		(void)snprintf(
			size, sizeof size, "%llu KiB", (unsigned long long)limit.rlim_cur / 1024);
	/* The limit is not the whole story (capabilities): try it. */
	void *p =
		mmap(NULL, LOCK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const bool locked = p != MAP_FAILED && mlock(p, LOCK_BYTES) == 0;
	if (p != MAP_FAILED)
		(void)munmap(p, LOCK_BYTES);
	if (locked)
		vs_doc_good(r, "can be locked, limit %s", size);
	else if (required)
		vs_doc_bad(r, VS_EXIT_USAGE,
			"16 MiB cannot be locked (limit %s), and memory-lock = required", size);
	else
		vs_doc_warn(r, "16 MiB cannot be locked (limit %s): keys may reach the swap", size);
}

/* ---- TPM ------------------------------------------------------------------------------------- */

void
vs_doc_tpm_device(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *tcti = d->w.conf->tcti;
	const char *path = strncmp(tcti, "device:", 7) == 0 ? tcti + 7
		: strncmp(tcti, "swtpm:path=", 11) == 0     ? tcti + 11
							    : NULL;
	struct stat st;
	(void)t;
	if (!path) {
		vs_doc_good(r, "%s: a software TPM", tcti);
		return;
	}
	if (stat(path, &st) != 0) {
		vs_doc_bad(r, VS_EXIT_TEMPORARY, "%s: %s", path, strerror(errno));
		return;
	}
	const struct group *g = getgrgid(st.st_gid);
	if (access(path, R_OK | W_OK) != 0)
		vs_doc_bad(r, VS_EXIT_USAGE, "%s: %s (group %s, mode %04o)", path, strerror(errno),
			g ? g->gr_name : "?", (unsigned)st.st_mode & 07777);
	else if (strncmp(tcti, "device:", 7) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)))
		vs_doc_warn(r, "%s is open to everybody (mode %04o)", path,
			(unsigned)st.st_mode & 07777);
	else
		vs_doc_good(r, "%s, group %s, mode %04o", path, g ? g->gr_name : "?",
			(unsigned)st.st_mode & 07777);
}

static VS_RC
open_tpm(const struct vs_doc *d, struct vs_tpm **ret, struct vs_err *err)
{
	char lock[1100];
	(void)snprintf(lock, sizeof lock, "%s/tpm.lock", d->w.conf->state_dir);
	const struct vs_tpm_env env = {
		.tcti = d->w.conf->tcti, .lock_path = lock, .clock = d->w.clock};
	return vs_tpm_open(&env,
		d->w.clock.ops->boot_ns(d->w.clock.self) + TPM_MS * INT64_C(1000000), ret, err);
}

static void
tpm_cleanup(struct vs_tpm **tpm)
{
	vs_tpm_close(*tpm);
}

void
vs_doc_tpm(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(tpm_cleanup) struct vs_tpm *tpm = NULL;
	struct vs_err err = {0};
	uint32_t resets = 0, restarts = 0;
	(void)t;
	vs_rc rc = open_tpm(d, &tpm, &err);
	if (!vs_failed(rc))
		rc = vs_tpm_counts(tpm, &resets, &restarts, &err);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else
		vs_doc_good(r, "answers; %u resets, %u restarts", resets, restarts);
}

/* The index is padded behind the certificate, which says itself how long it is. */
static struct vs_bytes
without_padding(struct vs_bytes der)
{
	struct vs_reader r = vs_reader_of(der);
	const uint8_t tag = vs_get_u8(&r);
	const uint8_t form = vs_get_u8(&r);
	const size_t n = vs_get_be16(&r);
	return r.bad || tag != 0x30 || form != 0x82 || n > r.left ? der : vs_bytes_of(der.p, n + 4);
}

/* Does the certificate belong to the key, and who says so? The verdict has what it has not. */
static VS_RC
judge_ak(struct vs_doc *d, struct vs_tpm *tpm, struct vs_verdict *v, struct vs_err *err)
{
	VS_CLEANUP(vs_roots_done) struct vs_roots roots = {.amd = {.n = 0}};
	VS_CLEANUP(vs_buf_done) struct vs_buf cert = {.max = VS_HCL_MAX};
	VS_CLEANUP(vs_buf_done) struct vs_buf key = {.max = 2048};
	struct vs_tpm_public public;
	bool tee = false;
	VS_TRY(d->w.conf->evidence_roots ? vs_roots_load(d->w.conf->evidence_roots, &roots, err)
					 : vs_roots_production(&roots, err));
	VS_TRY(vs_tpm_exists(tpm, VS_TPM_NV_HCL, &tee, err));
	VS_TRY(vs_tpm_read_public(tpm, VS_TPM_AK_HANDLE, &key, err));
	VS_TRY(vs_tpm_public_parse(vs_buf_view(&key), &public, err));
	VS_TRY(vs_tpm_nv_read(tpm, VS_TPM_NV_AK_CERT, &cert, err));
	/* Where a report vouches for the key, as on every confidential machine, a missing issuer is
	 * no failure. */
	return vs_akcert_check(without_padding(vs_buf_view(&cert)), public.n, &roots, NULL,
		d->w.clock.ops->wall_unix(d->w.clock.self), !tee, v, err);
}

void
vs_doc_ak(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	static struct vs_verdict v;
	VS_CLEANUP(tpm_cleanup) struct vs_tpm *tpm = NULL;
	struct vs_err err = {0};
	bool key = false, cert = false;
	(void)t;
	v = (struct vs_verdict){0};
	vs_rc rc = open_tpm(d, &tpm, &err);
	if (!vs_failed(rc))
		rc = vs_tpm_exists(tpm, VS_TPM_AK_HANDLE, &key, &err);
	if (!vs_failed(rc))
		rc = vs_tpm_exists(tpm, VS_TPM_NV_AK_CERT, &cert, &err);
	if (!vs_failed(rc) && key && cert)
		rc = judge_ak(d, tpm, &v, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		return;
	}
	if (!key || !cert) {
		vs_doc_bad(r, VS_EXIT_TEMPORARY, "key %s, certificate %s",
			key ? "present" : "absent", cert ? "present" : "absent");
		return;
	}
	for (size_t i = 0; i < v.n_checks; i++) {
		if (!v.checks[i].passed) {
			vs_doc_bad(r, VS_EXIT_REFUSED, "%s: expected %s, seen %s", v.checks[i].name,
				v.checks[i].expected, v.checks[i].seen);
			return;
		}
	}
	vs_doc_good(r, "the key has a certificate of its own");
}

static void
no_report(const struct vs_doc *d, const char *why, struct vs_doc_result *r)
{
	if (d->tee_demanded)
		vs_doc_bad(r, VS_EXIT_REFUSED, "%s, but a policy demands a TEE", why);
	else
		vs_doc_warn(r, "%s", why);
}

void
vs_doc_report(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	static const char *const tees[VS_TEE_COUNT_] = {"none", "SEV-SNP", "TDX", "none"};
	VS_CLEANUP(tpm_cleanup) struct vs_tpm *tpm = NULL;
	VS_CLEANUP(vs_buf_done) struct vs_buf nv = {.max = VS_HCL_MAX};
	struct vs_err err = {0};
	struct vs_hcl hcl = {0};
	bool there = false;
	(void)t;
	vs_rc rc = open_tpm(d, &tpm, &err);
	if (!vs_failed(rc))
		rc = vs_tpm_exists(tpm, VS_TPM_NV_HCL, &there, &err);
	if (!vs_failed(rc) && !there) {
		no_report(d, "no hardware report: this machine has no TEE", r);
		return;
	}
	if (!vs_failed(rc))
		rc = vs_tpm_nv_read(tpm, VS_TPM_NV_HCL, &nv, &err);
	if (!vs_failed(rc))
		rc = vs_hcl_parse(vs_buf_view(&nv), &hcl, &err);
	if (!vs_failed(rc))
		rc = vs_hcl_check_binding(&hcl, &err);
	if (vs_failed(rc))
		vs_doc_error(r, rc, &err);
	else
		vs_doc_good(r, "%s, %zu bytes, vouches for its runtime data", tees[hcl.tee],
			hcl.report.n);
}

void
vs_doc_event_log(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf log = {.max = EVENT_LOG_MAX};
	const char *path = d->w.conf->event_log;
	struct vs_err err = {0};
	(void)t;
	const vs_rc rc = vs_file_read(path, EVENT_LOG_MAX, VS_FILE_KERNEL, &log, &err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		r->exit_code = VS_EXIT_USAGE;
	} else if (log.n == 0) {
		vs_doc_bad(r, VS_EXIT_USAGE, "%s is empty", path);
	} else {
		vs_doc_good(r, "%s, %zu bytes", path, log.n);
	}
}

/* ---- agent ----------------------------------------------------------------------------------- */

void
vs_doc_agent(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	const char *path = d->w.conf->agent_socket;
	VS_CLEANUP(vs_cli_agent_done) struct vs_cli_agent agent = {0};
	struct vs_token_status status = {0};
	struct vs_err err = {0};
	struct stat st;
	(void)t;
	if (lstat(path, &st) != 0) {
		vs_doc_warn(r, "%s: %s: each program starts an agent of its own, with its rights",
			path, strerror(errno));
		return;
	}
	if (!S_ISSOCK(st.st_mode)) {
		vs_doc_bad(r, VS_EXIT_USAGE, "%s is no socket", path);
		return;
	}
	vs_rc rc = vs_cli_agent_open(d->w.arena, &agent, &err);
	if (!vs_failed(rc))
		rc = vs_client_status(agent.client, 0,
			d->w.clock.ops->boot_ns(d->w.clock.self) + INT64_C(5000000000), &status,
			&err);
	if (vs_failed(rc)) {
		vs_doc_error(r, rc, &err);
		return;
	}
	const struct passwd *pw = getpwuid(st.st_uid);
	vs_doc_good(r, "answers at %s (%s, mode %04o)", path, pw ? pw->pw_name : "?",
		(unsigned)st.st_mode & 07777);
}

/* A group that nobody is in, neither by /etc/group nor as the first group. */
static bool
group_is_empty(uint32_t gid)
{
	const struct group *g = getgrgid(gid);
	bool empty = !g || !g->gr_mem[0];
	setpwent();
	for (const struct passwd *p; empty && (p = getpwent());)
		empty = p->pw_gid != gid;
	endpwent();
	return empty;
}

void
vs_doc_users(struct vs_doc *d, struct vs_doc_token *t, struct vs_doc_result *r)
{
	char list[700] = "";
	const char *empty = NULL;
	(void)d;
	for (size_t i = 0; i < t->t->n_allow; i++) {
		const struct vs_conf_allow *a = &t->t->allow[i];
		const size_t n = strlen(list);
		(void)snprintf(list + n, sizeof list - n, ", %s", a->name);
		if (a->group && group_is_empty(a->id))
			empty = a->name;
	}
	if (empty)
		vs_doc_warn(r, "root, the agent's own user%s; but nobody is in %s", list, empty);
	else
		vs_doc_good(r, "root, the agent's own user%s", list);
}
