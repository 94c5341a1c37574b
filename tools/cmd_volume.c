/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe volume: data volumes (LUKS2) whose passphrase only an attested machine can unwrap. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "crypto/ossl.h"
#include "crypto/rsa_crypt.h"
#include "tools/cli.h"
#include "tools/volume_header.h"

#ifndef WITH_CRYPTSETUP
int
vs_cmd_volume(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	(void)fprintf(stderr,
		"vouchsafe: this program was built without libcryptsetup; configure "
		"--with-cryptsetup\n");
	return VS_EXIT_USAGE;
}
#else
#include <libcryptsetup.h>

static const char help[] =
	"usage: vouchsafe volume enroll --token T --key K [--passphrase-fd N] [--config FILE] "
	"DEVICE\n"
	"       vouchsafe volume open [--expect HEX] [--test] [--read-only] [--config FILE] DEVICE "
	"[NAME]\n"
	"       vouchsafe volume close NAME\n\n"
	"A data volume (LUKS2) gets one more key slot, with a random passphrase that is wrapped to "
	"an\n"
	"RSA key of a token: only a machine to which the key is released can open it. Other "
	"slots,\n"
	"such as a recovery passphrase, stay.\n\n"
	"  enroll  add that slot; an existing passphrase is asked for, or read from descriptor N;\n"
	"          prints the header's fingerprint\n"
	"  open    copy the header, judge the copy, let the key be released, activate from the "
	"copy\n"
	"          as /dev/mapper/NAME\n"
	"  close   deactivate NAME\n\n"
	"  --expect HEX   the fingerprint that enroll printed; without it a header that somebody "
	"else\n"
	"                 made for the same key is not noticed\n"
	"  --test         all but the activation\n\n"
	"Exit status: 0 done, 1 refused (header, attestation, key), 2 usage, file or device, 3 try "
	"again.\n";

enum { PASSPHRASE = 64, TYPED_MAX = 8192, LABEL_ROOM = 8192 };

struct volume {
	const char *device, *name, *token, *key, *config, *expect;
	int passphrase_fd;
	bool test, read_only;
	struct vs_arena *arena;
	struct vs_ossl *ossl;
	struct vs_profile *profile;
	struct vs_client *client;
	struct crypt_device *cd;
	struct vs_buf canonical;
	char fingerprint[65];
	int device_fd, copy_fd;
	char words[256]; /* the library's last error */
};

static void
volume_done(struct volume *v)
{
	if (v->cd)
		crypt_free(v->cd);
	vs_client_free(v->client);
	vs_profile_free(v->profile);
	vs_ossl_unref(v->ossl);
	vs_arena_free(v->arena);
	vs_buf_done(&v->canonical);
	if (v->device_fd >= 0)
		(void)close(v->device_fd);
	if (v->copy_fd >= 0)
		(void)close(v->copy_fd);
}

static void
take_words(int level, const char *msg, void *usrptr)
{
	struct volume *v = usrptr;
	if (level == CRYPT_LOG_ERROR && msg && !v->words[0])
		(void)vs_quote(vs_bytes_str(msg), v->words, sizeof v->words);
}

/* r is libcryptsetup's negative errno. */
static vs_rc
crypt_failed(struct volume *v, int r, const char *what, struct vs_err *err)
{
	return vs_err_put(err, VS_E_FILE, __func__, __LINE__, -r, "%s: %s: %s %s", v->device, what,
		strerror(-r), v->words);
}

/* Loads the header from path, judges it, computes the fingerprint. */
static VS_RC
load_header(struct volume *v, const char *path, const char *data, const char **ret_json,
	struct vs_err *err)
{
	int r = data ? crypt_init_data_device(&v->cd, path, data) : crypt_init(&v->cd, path);
	if (r < 0)
		return crypt_failed(v, r, "it cannot be used", err);
	crypt_set_log_callback(v->cd, take_words, v);
	r = crypt_load(v->cd, CRYPT_LUKS2, NULL);
	if (r < 0)
		return crypt_failed(v, r, "its LUKS2 header cannot be used", err);
	r = crypt_dump_json(v->cd, ret_json, 0);
	if (r < 0)
		return crypt_failed(v, r, "its metadata cannot be read", err);
	v->canonical = (struct vs_buf){.max = LABEL_ROOM};
	const char *uuid = crypt_get_uuid(v->cd);
	VS_TRY(vs_volume_judge(vs_bytes_str(*ret_json), uuid ? uuid : "", &v->canonical, err));
	uint8_t digest[32];
	VS_TRY(vs_hash_once(v->ossl, VS_HASH_SHA256, vs_buf_view(&v->canonical), digest, err));
	vs_hex_str(digest, sizeof digest, v->fingerprint, sizeof v->fingerprint);
	return VS_OK;
}

static VS_RC
prepare(struct volume *v, struct vs_err *err)
{
	if (!vs_cli_use_config(v->config))
		VS_FAIL(err, MEMORY, "out of memory");
	VS_TRY(vs_profile_load(&v->profile, err));
	if (v->profile->broken)
		VS_FAIL(err, CONFIG_FILE, "%s", v->profile->why);
	VS_TRY(vs_arena_new(256 * 1024, 4 << 20, v->profile->lock_mode, &v->arena, err));
	VS_TRY(vs_ossl_new(&v->ossl, err));
	return vs_client_new(v->profile, v->arena, &v->client, err);
}

static VS_RC
find_token(const struct volume *v, const char *label, size_t *ret, struct vs_err *err)
{
	char quoted[80];
	for (size_t i = 0; i < v->profile->n_tokens; i++)
		if (strcmp(v->profile->tokens[i].label, label) == 0) {
			*ret = i;
			return VS_OK;
		}
	VS_FAIL(err, NOT_FOUND, "the configuration has no token %s",
		vs_quote(vs_bytes_str(label), quoted, sizeof quoted));
}

static int64_t
deadline(int seconds)
{
	const struct vs_clock clock = vs_clock_system();
	return clock.ops->boot_ns(clock.self) + (int64_t)seconds * 1000000000;
}

/* The fingerprint is OAEP's label: a wrapped passphrase does not fit to another header. */
static struct vs_rsa_params
wrapping(const struct volume *v)
{
	return (struct vs_rsa_params){.scheme = VS_RSA_OAEP,
		.hash = VS_HASH_SHA256,
		.mgf_hash = VS_HASH_SHA256,
		.label = vs_buf_view(&v->canonical)};
}

static void
free_catalog(struct vs_catalog_data **c)
{
	vs_catalog_data_free(*c);
}
static void
unref_key(struct vs_pkey **k)
{
	vs_pkey_unref(*k);
}
static void
free_rsa(struct vs_rsa **r)
{
	vs_rsa_free(*r);
}
static void
unref_grant(struct vs_grant **g)
{
	if (*g)
		vs_grant_unref(*g);
}

/* Public data only: enrolling needs no attestation. */
static VS_RC
wrap(struct volume *v, const struct vs_secret *passphrase, struct vs_volume_entry *e,
	struct vs_err *err)
{
	VS_CLEANUP(free_catalog) struct vs_catalog_data *catalog = NULL;
	VS_CLEANUP(unref_key) struct vs_pkey *key = NULL;
	VS_CLEANUP(free_rsa) struct vs_rsa *rsa = NULL;
	size_t token = 0, n = 0;
	const struct vs_cat_entry *c = NULL;
	uint8_t *room = NULL;
	VS_TRY(find_token(v, v->token, &token, err));
	VS_TRY(vs_client_catalog(v->client, token, 0, deadline(120), &catalog, err));
	for (size_t i = 0; catalog && i < catalog->n; i++)
		if (vs_bytes_eq_str(catalog->entries[i].name, v->key))
			c = &catalog->entries[i];
	if (!c || c->type != VS_KEY_RSA || !(c->ops & VS_KOP_DECRYPT))
		VS_FAIL(err, NOT_FOUND, "token %s has no RSA key %s that may decrypt", v->token,
			v->key);
	if (c->version.n >= sizeof e->version)
		VS_FAIL(err, LIMIT, "the version of key %s is too long", v->key);
	const struct vs_key_public pub = {.type = VS_KEY_RSA, .n = c->n, .e = c->e};
	VS_TRY(vs_pkey_from_public(v->ossl, &pub, false, &key, err));
	const struct vs_rsa_params how = wrapping(v);
	VS_TRY(vs_rsa_new(key, &how, true, &rsa, err));
	e->wrapped = (struct vs_buf){.max = 1024};
	VS_TRY(vs_buf_room(&e->wrapped, vs_rsa_size(rsa), &room, err));
	VS_TRY(vs_rsa_encrypt(rsa, vs_secret_view(passphrase), room, vs_rsa_size(rsa), &n, err));
	e->wrapped.n = n;
	(void)snprintf(e->token, sizeof e->token, "%s", v->token);
	(void)snprintf(e->key, sizeof e->key, "%s", v->key);
	memcpy(e->version, c->version.p, c->version.n);
	return VS_OK;
}

static VS_RC
unwrap(struct volume *v, const struct vs_volume_entry *e, struct vs_secret *ret, struct vs_err *err)
{
	VS_CLEANUP(unref_grant) struct vs_grant *grant = NULL;
	VS_CLEANUP(vs_secret_done) struct vs_secret material = {0};
	VS_CLEANUP(unref_key) struct vs_pkey *key = NULL;
	VS_CLEANUP(free_rsa) struct vs_rsa *rsa = NULL;
	size_t token = 0;
	uint32_t key_no = 0;
	VS_TRY(find_token(v, e->token, &token, err));
	const int64_t until = deadline(120);
	VS_TRY(vs_client_need(v->client, token, NULL, 0, until, &grant, err));
	VS_TRY(vs_client_key(v->client, grant, vs_bytes_str(e->key), vs_bytes_str(e->version),
		until, NULL, &material, &key_no, err));
	VS_TRY(vs_pkey_from_agent(v->ossl, v->arena, VS_KEY_RSA, &material, &key, err));
	const struct vs_rsa_params how = wrapping(v);
	VS_TRY(vs_rsa_new(key, &how, false, &rsa, err));
	if (vs_failed(vs_rsa_decrypt_secret(rsa, vs_buf_view(&e->wrapped), v->arena, ret, NULL)))
		VS_FAIL(err, REFUSED_BINDING,
			"the passphrase in the header of %s was not wrapped for this header and "
			"this key",
			v->device);
	return VS_OK;
}

/* One line of at most TYPED_MAX bytes, or all up to the end of the descriptor. */
static VS_RC
read_passphrase(const struct volume *v, struct vs_secret *ret, struct vs_err *err)
{
	struct termios before;
	const bool tty = isatty(v->passphrase_fd) && tcgetattr(v->passphrase_fd, &before) == 0;
	VS_TRY(vs_secret_new(v->arena, TYPED_MAX, ret, err));
	if (tty) {
		struct termios quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(v->passphrase_fd, TCSAFLUSH, &quiet);
		(void)fprintf(stderr, "A passphrase of %s: ", v->device);
	}
	size_t n = 0;
	ssize_t got = 0;
	while (n < TYPED_MAX && (got = read(v->passphrase_fd, ret->p + n, 1)) == 1 &&
		ret->p[n] != '\n')
		n++;
	if (tty) {
		(void)tcsetattr(v->passphrase_fd, TCSAFLUSH, &before);
		(void)fprintf(stderr, "\n");
	}
	if (got < 0 || n == 0 || n == TYPED_MAX)
		VS_FAIL(err, USAGE, "no passphrase could be read from descriptor %d",
			v->passphrase_fd);
	ret->n = n;
	return VS_OK;
}

/* Slot and entry, or neither. */
static VS_RC
write_entry(struct volume *v, const struct vs_secret *typed, const struct vs_secret *fresh,
	struct vs_volume_entry *e, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {.max = 4096};
	/* All its strength is in its own 512 random bits; stretching would cost boot time only. */
	const struct crypt_pbkdf_type light = {.type = CRYPT_KDF_PBKDF2,
		.hash = "sha256",
		.iterations = 1000,
		.flags = CRYPT_PBKDF_NO_BENCHMARK};
	int r = crypt_set_pbkdf_type(v->cd, &light);
	if (r < 0)
		return crypt_failed(v, r, "key derivation", err);
	e->slot = crypt_keyslot_add_by_passphrase(v->cd, CRYPT_ANY_SLOT, (const char *)typed->p,
		typed->n, (const char *)fresh->p, fresh->n);
	if (e->slot == -EPERM)
		VS_FAIL(err, PIN, "%s: the passphrase opens no key slot", v->device);
	if (e->slot < 0)
		return crypt_failed(v, e->slot, "no key slot could be added", err);
	vs_rc rc = vs_volume_entry_write(e, &json, err);
	if (!vs_failed(rc)) {
		r = crypt_token_json_set(v->cd, CRYPT_ANY_TOKEN, vs_buf_cstr(&json));
		if (r < 0)
			rc = crypt_failed(v, r, "no token could be added", err);
	}
	if (vs_failed(rc))
		(void)crypt_keyslot_destroy(v->cd, e->slot);
	return rc;
}

static VS_RC
enroll(struct volume *v, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret typed = {0}, fresh = {0};
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry e = {.number = -1},
			       had = {.number = -1};
	const char *json = NULL;
	VS_TRY(prepare(v, err));
	VS_TRY(vs_volume_copy(v->device_fd, v->device, &v->copy_fd, err));
	VS_TRY(load_header(v, v->device, NULL, &json, err));
	if (vs_volume_entry_read(vs_bytes_str(json), &had, NULL).code != VS_E_NOT_FOUND)
		VS_FAIL(err, USAGE,
			"%s is enrolled already; remove that first (cryptsetup token remove, "
			"luksKillSlot)",
			v->device);
	VS_TRY(vs_secret_new(v->arena, PASSPHRASE, &fresh, err));
	VS_TRY(vs_random(fresh.p, fresh.n, err));
	VS_TRY(wrap(v, &fresh, &e, err));
	VS_TRY(read_passphrase(v, &typed, err));
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	const vs_rc rc = write_entry(v, &typed, &fresh, &e, err);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	VS_TRY(rc);
	(void)printf("key slot %d of %s is wrapped to %s in %s\nfingerprint %s\n", e.slot,
		v->device, e.key, e.token, v->fingerprint);
	return VS_OK;
}

static VS_RC
open_volume(struct volume *v, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret passphrase = {0};
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
	const char *json = NULL;
	char path[32];
	VS_TRY(prepare(v, err));
	VS_TRY(vs_volume_copy(v->device_fd, v->device, &v->copy_fd, err));
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", v->copy_fd);
	VS_TRY(load_header(v, path, v->device, &json, err));
	if (v->expect && strcmp(v->expect, v->fingerprint) != 0)
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: its fingerprint is %s, expected %.64s",
			v->fingerprint, v->expect);
	VS_TRY(vs_volume_entry_read(vs_bytes_str(json), &e, err));
	VS_TRY(unwrap(v, &e, &passphrase, err));
	const uint32_t flags = v->read_only ? CRYPT_ACTIVATE_READONLY : 0;
	const int r = crypt_activate_by_passphrase(v->cd, v->test ? NULL : v->name, e.slot,
		(const char *)passphrase.p, passphrase.n, flags);
	if (r == -EPERM)
		VS_FAIL(err, REFUSED_KEY, "%s: the passphrase does not open its key slot",
			v->device);
	if (r < 0)
		return crypt_failed(v, r, "it cannot be activated", err);
	(void)printf("%s %s\n", v->device, v->test ? "can be opened" : "is open");
	return VS_OK;
}

static VS_RC
close_volume(struct volume *v, struct vs_err *err)
{
	int r = crypt_init_by_name(&v->cd, v->device);
	if (r >= 0) {
		crypt_set_log_callback(v->cd, take_words, v);
		r = crypt_deactivate(v->cd, v->device);
	}
	return r < 0 ? crypt_failed(v, r, "it cannot be closed", err) : VS_OK;
}

static bool
read_number(const char *s, int *ret)
{
	char *end = NULL;
	errno = 0;
	const unsigned long n = s[0] >= '0' && s[0] <= '9' ? strtoul(s, &end, 10) : 1024;
	*ret = (int)n;
	return errno == 0 && n < 1024 && *end == '\0';
}

static int
read_options(int argc, char **argv, struct volume *v)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"token", required_argument, NULL, 't'}, {"key", required_argument, NULL, 'k'},
		{"passphrase-fd", required_argument, NULL, 'p'},
		{"expect", required_argument, NULL, 'e'}, {"test", no_argument, NULL, 'n'},
		{"read-only", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
	int o;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'c': v->config = optarg; break;
		case 't': v->token = optarg; break;
		case 'k': v->key = optarg; break;
		case 'e': v->expect = optarg; break;
		case 'n': v->test = true; break;
		case 'r': v->read_only = true; break;
		case 'p':
			if (!read_number(optarg, &v->passphrase_fd))
				return vs_cli_usage("volume", "'%.40s' is no descriptor", optarg);
			break;
		case 'h': return vs_cli_help(help);
		default: return vs_cli_usage("volume", "an option was not understood");
		}
	}
	return -1;
}

int
vs_cmd_volume(int argc, char **argv)
{
	VS_CLEANUP(volume_done) struct volume v = {.device_fd = -1, .copy_fd = -1};
	static const struct {
		const char *name;
		VS_RC (*run)(struct volume *v, struct vs_err *err);
	} verbs[] = {{"enroll", enroll}, {"open", open_volume}, {"close", close_volume}};
	struct vs_err err = {0};
	int code = read_options(argc, argv, &v);
	if (code >= 0)
		return code;
	const char *verb = optind < argc ? argv[optind] : "";
	size_t i = 0;
	while (i < sizeof verbs / sizeof verbs[0] && strcmp(verbs[i].name, verb) != 0)
		i++;
	if (i == sizeof verbs / sizeof verbs[0])
		return vs_cli_usage("volume", "enroll, open or close is missing");
	const int n = argc - optind - 1;
	v.device = n >= 1 ? argv[optind + 1] : NULL;
	v.name = n >= 2 ? argv[optind + 2] : NULL;
	const bool opening = verbs[i].run == open_volume;
	if (!v.device || n > 2 || (v.name != NULL) != (opening && !v.test))
		return vs_cli_usage("volume", "%s takes other arguments", verb);
	if (verbs[i].run == enroll && (!v.token || !v.key))
		return vs_cli_usage("volume", "enroll needs --token and --key");
	if (v.name && (strchr(v.name, '/') || v.name[0] == '.'))
		return vs_cli_usage("volume", "'%.60s' is no name for a mapping", v.name);
	if (verbs[i].run != close_volume) {
		v.device_fd = open(v.device, O_RDONLY | O_CLOEXEC);
		if (v.device_fd < 0)
			return vs_cli_usage("volume", "%.200s: %s", v.device, strerror(errno));
	}
	const vs_rc rc = verbs[i].run(&v, &err);
	return vs_cli_done(vs_failed(rc) ? vs_cli_fail(rc, &err) : VS_EXIT_OK);
}
#endif
