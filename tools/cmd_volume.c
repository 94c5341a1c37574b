/* SPDX-License-Identifier: BSD-2-Clause */
/* vouchsafe volume: data volumes (LUKS2) whose passphrase only an attested machine can unwrap. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "crypto/hash.h"
#include "crypto/ossl.h"
#include "conf/value.h"
#include "tools/cli.h"
#include "tools/volume_ask.h"
#include "tools/volume_key.h"
#include "tools/volume_slot.h"

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
	"       vouchsafe volume open [--expect HEX] [--wait T] [--test] [--read-only] [--config "
	"FILE] "
	"DEVICE [NAME]\n"
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
	"  --wait T       as long as something is not there or not reachable (device, network, "
	"service),\n"
	"                 say so and try again, for at most T (a number with s, m or h); a refusal "
	"is final\n"
	"  --test         all but the activation\n\n"
	"Exit status: 0 done, 1 refused (header, attestation, key), 2 usage, file or device, 3 try "
	"again.\n";

enum {
	PASSPHRASE = 64,
	LABEL_ROOM = 8192,
	NAME_MAX_BYTES = 127, /* of the device mapper */
	ONE_TRY_S = 120,
	WAIT_MAX_MS = 3600 * 1000,
	PAUSE_FIRST_MS = 500,
	PAUSE_MAX_MS = 8000,
};

struct volume {
	const char *device, *name, *token, *key, *config, *expect;
	int passphrase_fd;
	bool test, read_only;
	int64_t wait_ms, until; /* 0: one try; when to give up (boot clock, ns) */
	struct vs_arena *arena;
	struct vs_ossl *ossl;
	struct vs_profile *profile;
	struct vs_client *client;
	struct vs_volume_disk disk;
	struct vs_buf canonical;
	char fingerprint[65];
	int device_fd, copy_fd;
};

static void
volume_done(struct volume *v)
{
	if (v->disk.cd)
		crypt_free(v->disk.cd);
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
	if (level == CRYPT_LOG_ERROR && msg && !v->disk.words[0])
		(void)vs_quote(vs_bytes_str(msg), v->disk.words, sizeof v->disk.words);
}

static vs_rc
crypt_failed(struct volume *v, int r, const char *what, struct vs_err *err)
{
	return vs_volume_disk_failed(&v->disk, r, what, err);
}

/* Loads the header from path, judges it, computes the fingerprint. */
static VS_RC
load_header(struct volume *v, const char *path, const char *data, const char **ret_json,
	struct vs_err *err)
{
	int r = data ? crypt_init_data_device(&v->disk.cd, path, data)
		     : crypt_init(&v->disk.cd, path);
	if (r < 0)
		return crypt_failed(v, r, "it cannot be used", err);
	crypt_set_log_callback(v->disk.cd, take_words, v);
	r = crypt_load(v->disk.cd, CRYPT_LUKS2, NULL);
	if (r < 0)
		return crypt_failed(v, r, "its LUKS2 header cannot be used", err);
	r = crypt_dump_json(v->disk.cd, ret_json, 0);
	if (r < 0)
		return crypt_failed(v, r, "its metadata cannot be read", err);
	v->canonical = (struct vs_buf){.max = LABEL_ROOM};
	const char *uuid = crypt_get_uuid(v->disk.cd);
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

static int64_t
boot_ns(void)
{
	const struct vs_clock clock = vs_clock_system();
	return clock.ops->boot_ns(clock.self);
}

static struct vs_volume_way
way_of(const struct volume *v)
{
	const int64_t one = boot_ns() + (int64_t)ONE_TRY_S * 1000000000;
	return (struct vs_volume_way){.profile = v->profile,
		.client = v->client,
		.arena = v->arena,
		.ossl = v->ossl,
		.device = v->device,
		.canonical = vs_buf_view(&v->canonical),
		.until = v->until && v->until < one ? v->until : one};
}

/* O_NONBLOCK: what is no device or file, such as a pipe, is refused and not waited for. */
static VS_RC
open_device(struct volume *v, struct vs_err *err)
{
	struct stat st = {0};
	v->device_fd = open(v->device, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const int e = errno;
	if (v->device_fd < 0 && (e == ENOENT || e == ENXIO || e == ENODEV))
		return vs_err_put(err, VS_E_USAGE, __func__, __LINE__, e,
			"%.200s is not there; lsblk lists the devices", v->device);
	if (v->device_fd < 0)
		VS_FAIL_N(err, USAGE, e, "%.200s: %s%s", v->device, strerror(e),
			e == EACCES || e == EPERM ? "; run this as root" : "");
	if (fstat(v->device_fd, &st) != 0 || (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)))
		VS_FAIL(err, USAGE,
			"%.200s is neither a block device nor an image; lsblk lists the devices",
			v->device);
	return VS_OK;
}

/* What is there: nothing, or something that was begun. */
static VS_RC
read_had(struct volume *v, const char *json, struct vs_volume_entry *had, struct vs_err *err)
{
	const vs_rc rc = vs_volume_entry_read(vs_bytes_str(json), had, NULL);
	if (rc.code == VS_E_NOT_FOUND)
		return VS_OK;
	if (vs_failed(rc) || !had->begun)
		VS_FAIL(err, USAGE,
			"%s is enrolled already; remove that first (cryptsetup token remove, "
			"luksKillSlot)",
			v->device);
	return VS_OK;
}

static VS_RC
undo_begun(struct volume *v, struct vs_err *err)
{
	const char *json = NULL;
	for (int i = 0; i < crypt_token_max(CRYPT_LUKS2); i++) {
		VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
		const int r = crypt_dump_json(v->disk.cd, &json, 0);
		if (r < 0)
			return crypt_failed(v, r, "its metadata cannot be read", err);
		VS_TRY(read_had(v, json, &e, err));
		if (e.number < 0)
			break;
		VS_TRY(vs_volume_slot_undo(&v->disk, &e, err));
		(void)fprintf(stderr,
			"vouchsafe volume: an enrolment of %s that was cut off is taken back\n",
			v->device);
	}
	return VS_OK;
}

static VS_RC
enroll(struct volume *v, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret typed = {0}, fresh = {0};
	VS_CLEANUP(vs_volume_entry_done)
	struct vs_volume_entry e = {.number = -1}, had = {.number = -1};
	const char *json = NULL;
	VS_TRY(open_device(v, err));
	VS_TRY(prepare(v, err));
	VS_TRY(vs_volume_copy(v->device_fd, v->device, &v->copy_fd, err));
	VS_TRY(load_header(v, v->device, NULL, &json, err));
	VS_TRY(read_had(v, json, &had, err));
	VS_TRY(vs_secret_new(v->arena, PASSPHRASE, &fresh, err));
	VS_TRY(vs_random(fresh.p, fresh.n, err));
	const struct vs_volume_way way = way_of(v);
	VS_TRY(vs_volume_wrap(&way, v->token, v->key, &fresh, &e, err));
	VS_TRY(vs_volume_read_passphrase(v->passphrase_fd, v->device, v->arena, &typed, err));
	sigset_t before;
	vs_volume_hold_signals(&before);
	VS_TRY(vs_volume_slot_try(&v->disk, &typed, had.number >= 0 ? &had : NULL, err));
	VS_TRY(undo_begun(v, err));
	VS_TRY(vs_volume_slot_add(&v->disk, &typed, &fresh, &e, err));
	(void)printf("key slot %d of %s is wrapped to %s in %s\nfingerprint %s\n", e.slot,
		v->device, e.key, e.token, v->fingerprint);
	(void)fflush(stdout);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return VS_OK;
}

static VS_RC
open_volume(struct volume *v, struct vs_err *err)
{
	VS_CLEANUP(vs_secret_done) struct vs_secret passphrase = {0};
	VS_CLEANUP(vs_volume_entry_done) struct vs_volume_entry e = {.number = -1};
	const char *json = NULL;
	char path[32];
	VS_TRY(open_device(v, err));
	VS_TRY(prepare(v, err));
	if (v->name && crypt_status(NULL, v->name) >= CRYPT_ACTIVE)
		VS_FAIL(err, USAGE, "/dev/mapper/%s is there already; vouchsafe volume close %s",
			v->name, v->name);
	VS_TRY(vs_volume_copy(v->device_fd, v->device, &v->copy_fd, err));
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", v->copy_fd);
	VS_TRY(load_header(v, path, v->device, &json, err));
	if (v->expect && strcmp(v->expect, v->fingerprint) != 0)
		VS_FAIL(err, REFUSED_FORM,
			"the volume's header was refused: its fingerprint is %s, expected %.64s",
			v->fingerprint, v->expect);
	VS_TRY(vs_volume_entry_read(vs_bytes_str(json), &e, err));
	if (e.begun)
		VS_FAIL(err, NOT_FOUND,
			"the enrolment of %s was cut off before its end; do vouchsafe volume "
			"enroll again",
			v->device);
	const struct vs_volume_way way = way_of(v);
	VS_TRY(vs_volume_unwrap(&way, &e, &passphrase, err));
	const uint32_t flags = v->read_only ? CRYPT_ACTIVATE_READONLY : 0;
	sigset_t before;
	vs_volume_hold_signals(&before);
	const int r = crypt_activate_by_passphrase(v->disk.cd, v->test ? NULL : v->name, e.slot,
		(const char *)passphrase.p, passphrase.n, flags);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
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
	if (crypt_status(NULL, v->device) < CRYPT_ACTIVE)
		VS_FAIL(err, USAGE, "no volume %.127s is open; ls /dev/mapper shows those that are",
			v->device);
	int r = crypt_init_by_name(&v->disk.cd, v->device);
	if (r >= 0) {
		crypt_set_log_callback(v->disk.cd, take_words, v);
		r = crypt_deactivate(v->disk.cd, v->device);
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

static bool
is_fingerprint(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static int
read_options(int argc, char **argv, struct volume *v)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"token", required_argument, NULL, 't'}, {"key", required_argument, NULL, 'k'},
		{"passphrase-fd", required_argument, NULL, 'p'},
		{"expect", required_argument, NULL, 'e'}, {"wait", required_argument, NULL, 'w'},
		{"test", no_argument, NULL, 'n'}, {"read-only", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'}, {0}};
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'c': v->config = optarg; break;
		case 't': v->token = optarg; break;
		case 'k': v->key = optarg; break;
		case 'e':
			v->expect = optarg;
			if (!is_fingerprint(optarg))
				return vs_cli_usage("volume",
					"--expect is the 64 hex digits that enroll printed");
			break;
		case 'w':
			if (!vs_duration_parse(optarg, &v->wait_ms) || v->wait_ms > WAIT_MAX_MS)
				return vs_cli_usage("volume",
					"--wait is a number with unit ms, s, m or h, at most 1h");
			break;
		case 'n': v->test = true; break;
		case 'r': v->read_only = true; break;
		case 'p':
			if (!read_number(optarg, &v->passphrase_fd))
				return vs_cli_usage("volume", "'%.40s' is no descriptor", optarg);
			break;
		case 'h': return vs_cli_help(help);
		default: return vs_cli_bad_option("volume", argv);
		}
	}
	return -1;
}

/* What time can mend: something is not there yet, or cannot be reached. A refusal is final. */
static bool
may_pass(vs_rc rc, const struct vs_err *err)
{
	const bool absent = rc.code == VS_E_USAGE && err->n_frames > 0 &&
		(err->frames[0].foreign == ENOENT || err->frames[0].foreign == ENXIO ||
			err->frames[0].foreign == ENODEV);
	return absent || vs_cli_exit_code(rc.code) == VS_EXIT_TEMPORARY;
}

/* Says what it waits for; false: the time is over. */
static bool
wait_a_little(const struct volume *v, int64_t ms, unsigned tries, const struct vs_err *err)
{
	char why[1200];
	const int64_t left = (v->until - boot_ns()) / 1000000;
	if (left <= 0)
		return false;
	vs_err_sentence(err, why, sizeof why);
	(void)fprintf(stderr, "vouchsafe volume: waiting for %s, try %u, %lld s left: %s\n",
		v->device, tries, (long long)(left / 1000), why);
	if (ms > left)
		ms = left;
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
	return boot_ns() < v->until;
}

typedef VS_RC verb_fn(struct volume *v, struct vs_err *err);

/* Tries share nothing but the order: each opens, reads and judges anew. */
static int
run_verb(verb_fn *run, struct volume *order)
{
	int64_t pause = PAUSE_FIRST_MS;
	order->until = order->wait_ms ? boot_ns() + order->wait_ms * 1000000 : 0;
	for (unsigned tries = 1;; tries++) {
		VS_CLEANUP(volume_done) struct volume v = *order;
		struct vs_err err = {0};
		const vs_rc rc = run(&v, &err);
		if (!vs_failed(rc))
			return vs_cli_done(VS_EXIT_OK);
		if (v.until && may_pass(rc, &err) && wait_a_little(&v, pause, tries, &err)) {
			pause = pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
			continue;
		}
		return vs_cli_fail(rc, &err);
	}
}

static int
check_words(const char *verb, verb_fn *run, int n, const struct volume *v)
{
	const bool opening = run == open_volume;
	if (!v->device || n > 2 || (v->name != NULL) != (opening && !v->test))
		return vs_cli_usage("volume", "%s takes other arguments", verb);
	if (run == enroll && (!v->token || !v->key))
		return vs_cli_usage("volume", "enroll needs --token and --key");
	if (!opening && v->wait_ms)
		return vs_cli_usage("volume", "--wait is for open");
	if (v->name &&
		(strchr(v->name, '/') || v->name[0] == '.' || !v->name[0] ||
			strlen(v->name) > NAME_MAX_BYTES))
		return vs_cli_usage("volume", "'%.60s' is no name for a mapping", v->name);
	if ((v->name || run == close_volume) && geteuid() != 0)
		return vs_cli_usage("volume", "only root may %s a volume; run this as root%s", verb,
			opening ? ", or try with --test" : "");
	return -1;
}

int
vs_cmd_volume(int argc, char **argv)
{
	struct volume v = {.device_fd = -1, .copy_fd = -1};
	static const struct {
		const char *name;
		verb_fn *run;
	} verbs[] = {{"enroll", enroll}, {"open", open_volume}, {"close", close_volume}};
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
	v.disk.device = v.device;
	v.name = n >= 2 ? argv[optind + 2] : NULL;
	code = check_words(verb, verbs[i].run, n, &v);
	if (code >= 0)
		return code;
	return run_verb(verbs[i].run, &v);
}
#endif
