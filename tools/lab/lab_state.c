/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "lab/lab_ctl.h"
#include "lab/lab_entra.h"
#include "lab/lab_machine.h"
#include "lab/lab_pki.h"
#include "lab/lab_vault.h"

enum { LAB_JSON_MAX = 64 * 1024, DIR_LENGTH_MAX = 88 };

static const char *const folders[] = {"certs", "state", "secrets", "machine", "roots"};

/* What the lab itself puts into D, besides folders; other people's files are left alone. */
static const char *const files[] = {"ctl.sock", "env", "vouchsafe.conf", "policy.json", "ca.pem",
	"eventlog.bin", "tpm.sock", "tpm.sock.ctrl", "agent.sock", "audit.log", "agent.log",
	"audit.log.lock", "lab.json"}; /* the last one tells `down` that all is gone */

int
lab_state_find(const char *dir)
{
	char path[LAB_PATH_MAX + 16];
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	(void)snprintf(path, sizeof(path), "%s/lab.json", dir);
	if (vs_failed(vs_file_read(path, LAB_JSON_MAX, VS_FILE_TRUSTED, &text, NULL)))
		return 0;
	json_t *j = json_loadb((const char *)text.p, text.n, 0, NULL);
	const int pid = (int)json_integer_value(json_object_get(j, "pid"));
	json_decref(j);
	return pid > 1 && lab_ctl_alive(dir) ? pid : 0;
}

static VS_RC
make_dir(const char *path, struct vs_err *err)
{
	struct stat st = {0};
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		VS_FAIL_N(err, FILE, errno, "%s cannot be made: %s", path, strerror(errno));
	if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		VS_FAIL(err, USAGE, "%s is not a folder of this user", path);
	if ((st.st_mode & 077) != 0 && chmod(path, 0700) != 0)
		VS_FAIL_N(err, FILE, errno, "%s cannot be closed to other users", path);
	return VS_OK;
}

VS_RC
lab_state_make(struct lab *lab, struct vs_err *err)
{
	char path[LAB_PATH_MAX];
	if (lab->dir[0] != '/' || strlen(lab->dir) > DIR_LENGTH_MAX)
		VS_FAIL(err, USAGE,
			"the lab's directory must be an absolute path of at most %d characters, "
			"because it "
			"holds sockets",
			DIR_LENGTH_MAX);
	if (strpbrk(lab->dir, "'\"\\\n\r;#,") != NULL)
		VS_FAIL(err, USAGE,
			"the lab's directory must not contain quotes, ';', '#', ',' or "
			"line breaks");
	VS_TRY(make_dir(lab->dir, err));
	const int pid = lab_state_find(lab->dir);
	if (pid != 0)
		VS_FAIL(err, USAGE, "a lab is running in %s already (process %d)", lab->dir, pid);
	lab_state_remove(lab, false);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		VS_TRY(lab_path(lab, folders[i], path, err));
		VS_TRY(make_dir(path, err));
	}
	return VS_OK;
}

/* ---- files ---------------------------------------------------------------------------------- */

static VS_RC
write_file(const struct lab *lab, const char *name, unsigned mode, const struct vs_buf *text,
	struct vs_err *err)
{
	char path[LAB_PATH_MAX];
	VS_TRY(lab_path(lab, name, path, err));
	return vs_file_replace(path, mode, vs_buf_view(text), err);
}

VS_RC
lab_state_policy(const struct lab *lab, struct vs_buf *out, struct vs_err *err)
{
	static const char *const claims[][2] = {
		{"x-ms-isolation-tee.x-ms-attestation-type", "sevsnpvm"},
		{"x-ms-isolation-tee.x-ms-compliance-status", "azure-compliant-cvm"},
		{"secureboot", "true"},
		{"x-ms-isolation-tee.x-ms-sevsnpvm-is-debuggable", "false"},
	};
	VS_TRY(vs_buf_addf(out, err,
		"{\n  \"version\": \"1.0.0\",\n  \"anyOf\": [\n    {\n      \"authority\": "
		"\"%s\",\n"
		"      \"allOf\": [\n",
		lab->url[LAB_MAA]));
	for (size_t i = 0; i < 4; i++)
		VS_TRY(vs_buf_addf(out, err,
			"        { \"claim\": \"%s\", \"equals\": \"%s\" }%s\n", claims[i][0],
			claims[i][1], i < 3 ? "," : ""));
	return vs_buf_add_str(out, "      ]\n    }\n  ]\n}\n", err);
}

VS_RC
lab_state_write_trust(struct lab *lab, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(lab_pki_bundle(lab->pki, &text, err));
	VS_TRY(write_file(lab, "ca.pem", 0644, &text, err));
	vs_buf_reset(&text);
	VS_TRY(lab_state_policy(lab, &text, err));
	return write_file(lab, "policy.json", 0644, &text, err);
}

/* Programs of the same build, or the installed ones. */
static void
find_program(const char *const *beside, const char *installed, char out[LAB_PATH_MAX])
{
	char exe[LAB_PATH_MAX] = "";
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash = n > 0 ? strrchr(exe, '/') : NULL;
	(void)snprintf(out, LAB_PATH_MAX, "%s", installed);
	if (slash == NULL)
		return;
	*slash = '\0';
	for (size_t i = 0; beside[i] != NULL; i++) {
		char path[2 * LAB_PATH_MAX];
		(void)snprintf(path, sizeof(path), "%s/%s", exe, beside[i]);
		if (strlen(path) < LAB_PATH_MAX && access(path, R_OK) == 0) {
			memcpy(out, path, strlen(path) + 1);
			return;
		}
	}
}

void
lab_state_agent(char out[LAB_PATH_MAX])
{
	static const char *const beside[] = {"vouchsafe-agent", "../vouchsafe-agent",
		"tools/vouchsafe-agent", "../libexec/vouchsafe-agent", NULL};
	find_program(beside, VS_LIBEXECDIR "/vouchsafe-agent", out);
}

static void
find_module(char out[LAB_PATH_MAX])
{
	static const char *const beside[] = {".libs/vouchsafe-pkcs11.so", "vouchsafe-pkcs11.so",
		"module/.libs/vouchsafe-pkcs11.so", "../module/.libs/vouchsafe-pkcs11.so",
		"../.libs/vouchsafe-pkcs11.so", NULL};
	find_program(beside, LAB_PKCS11DIR "/vouchsafe-pkcs11.so", out);
}

VS_RC
lab_state_vars(
	const struct lab *lab, struct lab_var vars[LAB_VARS_MAX], size_t *n, struct vs_err *err)
{
	const struct lab_entra *e = lab->entra;
	char module[LAB_PATH_MAX], resource_id[256];
	size_t i = 0;
	find_module(module);
#define TEXT(name_, value_) \
	do { \
		vars[i].name = name_; \
		(void)snprintf(vars[i++].value, LAB_PATH_MAX, "%s", value_); \
	} while (0)
#define PATH(name_, file_) \
	do { \
		vars[i].name = name_; \
		VS_TRY(lab_path(lab, file_, vars[i++].value, err)); \
	} while (0)
	TEXT("VOUCHSAFE_LAB", lab->dir);
	PATH("VOUCHSAFE_CONF", "vouchsafe.conf");
	TEXT("P11_MODULE", module);
	TEXT("VAULT_URL", lab->url[LAB_VAULT]);
	TEXT("MHSM_URL", lab->url[LAB_MHSM]);
	TEXT("MAA_URL", lab->url[LAB_MAA]);
	TEXT("MAA_SHARED_URL", lab->url[LAB_MAA_SHARED]);
	TEXT("MAA_ISOLATED_URL", lab->url[LAB_MAA_ISOLATED]);
	PATH("POLICY_SIGNER_FILE", "secrets/policy-signer.pem");
	TEXT("IMDS_URL", lab->url[LAB_IMDS]);
	TEXT("AUTHORITY_URL", lab->url[LAB_ENTRA]);
	TEXT("TENANT_ID", lab->tenant_id);
	TEXT("CLIENT_ID", e->client_id[LAB_ID_SECRET]);
	TEXT("CLIENT_SECRET", e->secret);
	PATH("CLIENT_CERT_FILE", "secrets/client.pem");
	TEXT("CERT_CLIENT_ID", e->client_id[LAB_ID_CERTIFICATE]);
	PATH("FEDERATED_TOKEN_FILE", "secrets/federated-token");
	TEXT("WI_CLIENT_ID", e->client_id[LAB_ID_FEDERATED]);
	TEXT("MI_CLIENT_ID", e->client_id[LAB_ID_MACHINE]);
	TEXT("MI_OBJECT_ID", e->object_id[LAB_ID_MACHINE]);
	lab_imds_resource_id(lab, resource_id);
	TEXT("MI_RESOURCE_ID", resource_id);
	PATH("CA_FILE", "ca.pem");
#undef TEXT
#undef PATH
	*n = i;
	return VS_OK;
}

static VS_RC
write_env(const struct lab *lab, struct vs_err *err)
{
	struct lab_var vars[LAB_VARS_MAX];
	size_t n = 0;
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(lab_state_vars(lab, vars, &n, err));
	VS_TRY(vs_buf_add_str(&text, "# Vouchsafe LAB: protects nothing. Use: . D/env\n", err));
	for (size_t i = 0; i < n; i++)
		VS_TRY(vs_buf_addf(&text, err, "export %s='%s'\n", vars[i].name, vars[i].value));
	return write_file(lab, "env", 0600, &text, err);
}

/* ---- configuration -------------------------------------------------------------------------- */

static VS_RC
add_global(const struct lab *lab, struct vs_buf *text, struct vs_err *err)
{
	char agent[LAB_PATH_MAX];
	const char *d = lab->dir;
	lab_state_agent(agent);
	return vs_buf_addf(text, err,
		"# Vouchsafe LAB %s: an emulated cloud; nothing in here is protected.\n"
		"[global]\n"
		"mode          = lab\n"
		"agent-socket  = %s/agent.sock\n"
		"agent-program = %s\n"
		"audit-log     = %s/audit.log\n"
		"state-dir     = %s/state\n"
		"ca-bundle     = %s/ca.pem\n"
		"tcti          = %s\n"
		"event-log     = %s\n"
		"evidence-roots = %s/roots\n"
		"imds          = %s\n",
		lab->id, d, agent, d, d, d, lab_machine_tcti(lab->machine),
		lab_machine_event_log(lab->machine), d, lab->url[LAB_IMDS]);
}

static VS_RC
add_token(const struct lab *lab, const struct lab_vault *v, struct vs_buf *text, struct vs_err *err)
{
	VS_TRY(vs_buf_addf(text, err,
		"\n[token %s]\n"
		"vault          = %s\n"
		"vault-kind     = %s\n"
		"vault-resource = %s\n"
		"attestation    = %s\n"
		"policy         = %s/policy.json\n"
		"credential     = managed-identity\n"
		"authority      = %s\n"
		"tenant-id      = %s\n"
		"client-id      = %s\n"
		"max-lease      = 1h\n",
		v->mhsm ? "lab-hsm" : "lab-vault", lab_vault_url(v),
		v->mhsm ? "managed-hsm" : "key-vault", v->audience, lab->url[LAB_MAA], lab->dir,
		lab->url[LAB_ENTRA], lab->tenant_id, lab->entra->client_id[LAB_ID_MACHINE]));
	for (size_t i = 0; i < v->n_keys; i++) {
		const struct lab_version *version = lab_key_version(v->keys[i], NULL);
		if (version != NULL && version->cert != NULL)
			VS_TRY(vs_buf_addf(text, err, "certificate.%s = %s/certs/%s%s.pem\n",
				v->keys[i]->name, lab->dir, v->mhsm ? "hsm-" : "",
				v->keys[i]->name));
	}
	return VS_OK;
}

/* Whom local verification of this machine's evidence must lead to, in place of the vendors. */
static VS_RC
write_roots(const struct lab *lab, struct vs_err *err)
{
	for (size_t i = 0;; i++) {
		VS_CLEANUP(vs_buf_done) struct vs_buf pem = {0};
		const char *name = NULL;
		VS_TRY(lab_machine_root_file(lab->machine, i, &name, &pem, err));
		if (name == NULL)
			return VS_OK;
		VS_TRY(write_file(lab, name, 0644, &pem, err));
	}
}

VS_RC
lab_state_write_conf(const struct lab *lab, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(add_global(lab, &text, err));
	VS_TRY(add_token(lab, lab->vault, &text, err));
	VS_TRY(add_token(lab, lab->mhsm, &text, err));
	return write_file(lab, "vouchsafe.conf", 0644, &text, err);
}

VS_RC
lab_state_write(struct lab *lab, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	VS_TRY(write_env(lab, err));
	VS_TRY(write_roots(lab, err));
	VS_TRY(lab_state_write_conf(lab, err));
	VS_TRY(vs_buf_addf(&text, err, "{\"lab\":\"%s\",\"pid\":%d,\"swtpm_pid\":%d,\"services\":{",
		lab->id, (int)getpid(), lab_machine_pid(lab->machine)));
	for (int i = 0; i < LAB_SERVICES_COUNT_; i++)
		VS_TRY(vs_buf_addf(&text, err, "%s\"%s\":\"%s\"", i > 0 ? "," : "",
			lab_service_name((enum lab_service)i), lab->url[i]));
	VS_TRY(vs_buf_add_str(&text, "}}\n", err));
	return write_file(lab, "lab.json", 0600, &text, err);
}

bool
lab_state_alive(const struct lab *lab)
{
	char path[LAB_PATH_MAX];
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	if (vs_failed(lab_path(lab, "lab.json", path, NULL)) ||
		vs_failed(vs_file_read(path, LAB_JSON_MAX, VS_FILE_ANY, &text, NULL)))
		return false;
	return memmem(text.p, text.n, lab->id, strlen(lab->id)) != NULL;
}

/* ---- removal -------------------------------------------------------------------------------- */

static void
empty_folder(int dir_fd, const char *name)
{
	const int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0) != 0 && errno == EISDIR) {
			empty_folder(dirfd(dir), e->d_name);
			(void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
		}
	}
	(void)closedir(dir);
}

void
lab_state_remove(const struct lab *lab, bool with_dir)
{
	const int fd = open(lab->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		empty_folder(fd, folders[i]);
		(void)unlinkat(fd, folders[i], AT_REMOVEDIR);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlinkat(fd, files[i], 0);
	(void)close(fd);
	if (with_dir) {
		char log[LAB_PATH_MAX + 16];
		(void)snprintf(log, sizeof(log), "%s/lab.log", lab->dir);
		(void)unlink(log);
		empty_folder(AT_FDCWD, lab->dir);
		(void)rmdir(lab->dir);
	}
}
