/* SPDX-License-Identifier: BSD-2-Clause */
#include "token/instance.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/ossl.h"
#include "token/keyuse.h"
#include "token/session.h"

/* ---- shared things --------------------------------------------------------------------------- */

VS_RC
vs_instance_arena(struct vs_instance *inst, struct vs_arena **ret, struct vs_err *err)
{
	vs_rc rc = VS_OK;
	(void)pthread_mutex_lock(&inst->shared_lock);
	if (inst->arena == NULL)
		rc = vs_arena_new(
			VS_ARENA_FIRST, VS_ARENA_MAX, inst->profile->lock_mode, &inst->arena, err);
	*ret = inst->arena;
	(void)pthread_mutex_unlock(&inst->shared_lock);
	return rc;
}

VS_RC
vs_instance_client(struct vs_instance *inst, struct vs_client **ret, struct vs_err *err)
{
	struct vs_arena *arena = NULL;
	vs_rc rc = vs_instance_arena(inst, &arena, err);
	if (vs_failed(rc))
		return rc;
	(void)pthread_mutex_lock(&inst->shared_lock);
	if (inst->client == NULL)
		rc = vs_client_new(inst->profile, arena, &inst->client, err);
	*ret = inst->client;
	(void)pthread_mutex_unlock(&inst->shared_lock);
	return rc;
}

VS_RC
vs_instance_ossl(struct vs_instance *inst, struct vs_ossl **ret, struct vs_err *err)
{
	struct vs_ossl *made = NULL;
	(void)pthread_mutex_lock(&inst->shared_lock);
	*ret = inst->ossl;
	(void)pthread_mutex_unlock(&inst->shared_lock);
	if (*ret != NULL)
		return VS_OK;
	/* With no lock held: the host's configuration may name a provider that calls us. */
	VS_TRY(vs_ossl_new(&made, err));
	(void)pthread_mutex_lock(&inst->shared_lock);
	if (inst->ossl == NULL)
		inst->ossl = VS_TAKE(made);
	*ret = inst->ossl;
	(void)pthread_mutex_unlock(&inst->shared_lock);
	vs_ossl_unref(made);
	return VS_OK;
}

/* ---- making and unmaking --------------------------------------------------------------------- */

/* A number that a forked child reads as zero. Where the kernel cannot do that we do not start. */
static _Atomic uint32_t *
map_sentinel(void)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, page, MADV_WIPEONFORK) != 0) {
		(void)munmap(p, page);
		return NULL;
	}
	return p;
}

static struct vs_instance *
make_shell(void)
{
	struct vs_instance *inst = calloc(1, sizeof *inst);
	if (inst == NULL)
		return NULL;
	inst->alive = map_sentinel();
	if (inst->alive == NULL) {
		free(inst);
		return NULL;
	}
	(void)pthread_mutex_init(&inst->lock, NULL);
	(void)pthread_mutex_init(&inst->shared_lock, NULL);
	(void)pthread_mutex_init(&inst->grow_lock, NULL);
	for (size_t i = 0; i < VS_STRIPES; i++)
		(void)pthread_mutex_init(&inst->stripes[i].lock, NULL);
	inst->log_fd = -1;
	inst->next_number = 1;
	atomic_store(&inst->alive[1], 1);
	return inst;
}

static void
free_shell(struct vs_instance *inst)
{
	(void)munmap((void *)(uintptr_t)inst->alive, (size_t)sysconf(_SC_PAGESIZE));
	free(inst);
}

static void
free_tokens(struct vs_instance *inst)
{
	for (size_t i = 0; i < inst->n_tokens; i++) {
		struct vs_token *t = &inst->tokens[i];
		vs_keyuse_drop_all(t);
		(void)vs_store_drop(t, 0);
		vs_objset_done(&t->store);
		vs_catalog_unref(t->catalog);
		vs_idmap_free(t->ids);
		(void)pthread_mutex_destroy(&t->lock);
	}
	free(inst->tokens);
	inst->tokens = NULL;
	inst->n_tokens = 0;
}

static VS_CK
make_tokens(struct vs_instance *inst)
{
	const size_t n = inst->profile->n_tokens;
	inst->tokens = calloc(n ? n : 1, sizeof *inst->tokens);
	if (inst->tokens == NULL)
		return CKR_HOST_MEMORY;
	for (size_t i = 0; i < n; i++) {
		struct vs_token *t = &inst->tokens[i];
		t->inst = inst;
		t->index = i;
		t->conf = &inst->profile->tokens[i];
		(void)pthread_mutex_init(&t->lock, NULL);
		/* Words of sessions start at 0: a fresh catalog always differs. */
		atomic_init(&t->catalog_word, 1);
		inst->n_tokens = i + 1;
		t->ids = vs_idmap_new();
		if (t->ids == NULL)
			return CKR_HOST_MEMORY;
		VS_CK_TRY(vs_objset_init(&t->store, inst->seed, 0));
	}
	return CKR_OK;
}

/* A profile is there already in a forked child, and after a start that found no memory. */
static VS_CK
start(struct vs_instance *inst)
{
	/* Hash seeds and generations only; a poor seed harms nobody but us. */
	if (getrandom(&inst->seed, sizeof inst->seed, GRND_NONBLOCK) != (ssize_t)sizeof inst->seed)
		inst->seed ^= (uint64_t)(uintptr_t)inst ^ (uint64_t)vs_boot_now_ns();
	inst->seed |= 1;
	inst->log_fd = -2;
	if (inst->profile == NULL) {
		const char *log = vs_profile_elevated() ? NULL : secure_getenv("VOUCHSAFE_LOG");
		inst->log_path[0] = '\0';
		if (log != NULL && log[0] == '/' && strlen(log) < sizeof inst->log_path)
			(void)snprintf(inst->log_path, sizeof inst->log_path, "%s", log);
		if (vs_failed(vs_profile_load(&inst->profile, NULL)))
			return CKR_HOST_MEMORY;
	}
	const CK_RV rv = make_tokens(inst);
	if (rv != CKR_OK) {
		free_tokens(inst);
		return rv;
	}
	atomic_store(inst->alive, 1);
	atomic_store_explicit(&inst->state, VS_INST_LIVE, memory_order_release);
	return CKR_OK;
}

/* Hosts close or reuse descriptors they do not own: is this still the log? */
static bool
log_is_ours(const struct vs_instance *inst)
{
	struct stat st;
	return inst->log_fd >= 0 && fstat(inst->log_fd, &st) == 0 && st.st_dev == inst->log_dev &&
		st.st_ino == inst->log_ino;
}

static void
close_log(struct vs_instance *inst)
{
	if (log_is_ours(inst))
		(void)close(inst->log_fd);
	inst->log_fd = -1;
}

/*
 * What a forked child inherited. Its locks may be held by threads that do not exist here, so
 * nothing is waited for; the pages of the arena are zero already. Keys in OpenSSL's heap were
 * copied by the fork and are freed with clearing as far as nobody was working with them.
 */
static struct vs_profile *
abandon(struct vs_instance *old)
{
	for (size_t i = 0; i < old->n_tokens; i++)
		vs_keyuse_abandon(&old->tokens[i]);
	vs_session_abandon(old);
	vs_ossl_abandon(old->ossl);
	vs_client_abandon(old->client);
	vs_arena_abandon(old->arena);
	close_log(old);
	return old->profile;
}

/*
 * The instance of another process is taken away, and in the same step a shell of ours is there,
 * locked until it has what the parent knew: of two threads of a child neither starts without it.
 * False: no memory, and nothing has changed.
 */
static bool
replace_parents(struct vs_instance *_Atomic *slot, struct vs_instance *old)
{
	struct vs_instance *made = make_shell();
	if (made == NULL)
		return false;
	(void)pthread_mutex_lock(&made->lock);
	const bool ours = atomic_compare_exchange_strong(slot, &old, made);
	if (ours && atomic_load(&old->state) == VS_INST_LIVE) {
		memcpy(made->log_path, old->log_path, sizeof made->log_path);
		made->profile = abandon(old);
	}
	(void)pthread_mutex_unlock(&made->lock);
	if (!ours)
		free_shell(made);
	return true;
}

/* The process's shell with its lock held. A new one is published locked: others wait for us. */
static struct vs_instance *
lock_shell(struct vs_instance *_Atomic *slot)
{
	struct vs_instance *have = atomic_load(slot);
	if (have == NULL) {
		struct vs_instance *made = make_shell();
		if (made == NULL)
			return NULL;
		(void)pthread_mutex_lock(&made->lock);
		if (atomic_compare_exchange_strong(slot, &have, made))
			return made;
		(void)pthread_mutex_unlock(&made->lock);
		free_shell(made);
	}
	(void)pthread_mutex_lock(&have->lock);
	return have;
}

VS_CK
vs_instance_init(struct vs_instance *_Atomic *slot)
{
	struct vs_instance *inst = atomic_load(slot);
	if (inst != NULL && atomic_load(&inst->alive[1]) == 0 && !replace_parents(slot, inst))
		return CKR_HOST_MEMORY;
	inst = lock_shell(slot);
	if (inst == NULL)
		return CKR_HOST_MEMORY;
	CK_RV rv = CKR_CRYPTOKI_ALREADY_INITIALIZED;
	if (atomic_load(&inst->state) != VS_INST_LIVE)
		rv = start(inst);
	(void)pthread_mutex_unlock(&inst->lock);
	return rv;
}

VS_CK
vs_instance_enter(struct vs_instance *inst)
{
	if (!vs_instance_live(inst))
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	(void)pthread_mutex_lock(&inst->lock);
	if (!vs_instance_live(inst)) {
		(void)pthread_mutex_unlock(&inst->lock);
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	}
	return CKR_OK;
}

void
vs_instance_leave(struct vs_instance *inst)
{
	(void)pthread_mutex_unlock(&inst->lock);
}

VS_CK
vs_instance_fini(struct vs_instance *inst)
{
	VS_CK_TRY(vs_instance_enter(inst));
	/* From here on nobody gets in; each entry's lock waits for those who are inside. */
	atomic_store(&inst->state, VS_INST_CLOSING);
	vs_session_shut(inst);
	free_tokens(inst);
	vs_client_free(inst->client);
	inst->client = NULL;
	vs_ossl_unref(inst->ossl);
	inst->ossl = NULL;
	vs_arena_free(inst->arena);
	inst->arena = NULL;
	vs_profile_free(inst->profile);
	inst->profile = NULL;
	close_log(inst);
	atomic_store(inst->alive, 0);
	atomic_store_explicit(&inst->state, VS_INST_NONE, memory_order_release);
	(void)pthread_mutex_unlock(&inst->lock);
	return CKR_OK;
}

/* ---- log ---------------------------------------------------------------------------------------
 */

/* A file or a device, and nothing that could block a caller or send it a signal. */
static void
open_log(struct vs_instance *inst)
{
	struct stat st;
	inst->log_fd = -1;
	if (inst->log_path[0] == '\0')
		return;
	int fd = open(inst->log_path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		0600);
	/* A descriptor below 3 is the host's standard input, output or error. */
	if (fd >= 0 && fd < 3) {
		const int up = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		(void)close(fd);
		fd = up;
	}
	if (fd < 0)
		return;
	if (fstat(fd, &st) != 0 || !(S_ISREG(st.st_mode) || S_ISCHR(st.st_mode))) {
		(void)close(fd);
		return;
	}
	inst->log_fd = fd;
	inst->log_dev = st.st_dev;
	inst->log_ino = st.st_ino;
}

/* Opened at the first line: C_Initialize reads the profile and nothing else. */
static int
log_fd(struct vs_instance *inst)
{
	(void)pthread_mutex_lock(&inst->shared_lock);
	if (inst->log_fd == -2 || (inst->log_fd >= 0 && !log_is_ours(inst)))
		open_log(inst);
	const int fd = inst->log_fd;
	(void)pthread_mutex_unlock(&inst->shared_lock);
	return fd;
}

void
vs_token_note(struct vs_token *t, const char *what, vs_rc rc, const struct vs_err *err)
{
	atomic_store(&t->last_code, (uint32_t)rc.code);
	const int fd = log_fd(t->inst);
	if (fd < 0)
		return;
	struct vs_log log = {&vs_log_fd_ops, (void *)(intptr_t)fd, VS_LOG_INFO};
	char said[160];
	(void)snprintf(said, sizeof said, "token \"%s\": %s", t->conf->label, what);
	vs_log_err(&log, VS_LOG_ERROR, "token", said, err);
}

/* ---- slots and tokens --------------------------------------------------------------------------
 */

/* Blank-padded, never NUL-padded; a character of several bytes is not cut. */
static void
pad(unsigned char *to, size_t n, const char *text)
{
	size_t k = strlen(text);
	if (k > n) {
		k = n;
		while (k > 0 && ((unsigned char)text[k] & 0xc0) == 0x80)
			k--;
	}
	memset(to, ' ', n);
	memcpy(to, text, k);
}

static const CK_VERSION our_version = {0, 1};

void
vs_instance_info(CK_INFO *ret)
{
	*ret = (CK_INFO){.cryptokiVersion = {3, 0}, .libraryVersion = our_version};
	pad(ret->manufacturerID, sizeof ret->manufacturerID, "Vouchsafe");
	pad(ret->libraryDescription, sizeof ret->libraryDescription, "Vouchsafe attested keys");
}

VS_CK
vs_instance_slots(struct vs_instance *inst, CK_SLOT_ID *list, CK_ULONG *n)
{
	if (n == NULL)
		return CKR_ARGUMENTS_BAD;
	const CK_ULONG have = inst->n_tokens;
	const CK_ULONG room = *n;
	*n = have;
	if (list == NULL)
		return CKR_OK;
	if (room < have)
		return CKR_BUFFER_TOO_SMALL;
	for (CK_ULONG i = 0; i < have; i++)
		list[i] = i;
	return CKR_OK;
}

VS_CK
vs_instance_token(struct vs_instance *inst, CK_SLOT_ID id, struct vs_token **ret)
{
	if (id >= inst->n_tokens)
		return CKR_SLOT_ID_INVALID;
	*ret = &inst->tokens[id];
	return CKR_OK;
}

void
vs_token_slot_info(const struct vs_token *t, CK_SLOT_INFO *ret)
{
	char text[80];
	*ret = (CK_SLOT_INFO){
		.flags = CKF_TOKEN_PRESENT | CKF_HW_SLOT, .firmwareVersion = our_version};
	(void)snprintf(text, sizeof text, "Vouchsafe %s", t->conf->label);
	pad(ret->slotDescription, sizeof ret->slotDescription, text);
	pad(ret->manufacturerID, sizeof ret->manufacturerID, "Vouchsafe");
}

void
vs_token_info(struct vs_token *t, CK_TOKEN_INFO *ret)
{
	*ret = (CK_TOKEN_INFO){
		.flags = CKF_RNG | CKF_WRITE_PROTECTED | CKF_TOKEN_INITIALIZED |
			CKF_DUAL_CRYPTO_OPERATIONS,
		.ulMaxSessionCount = CK_EFFECTIVELY_INFINITE,
		.ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE,
		.ulMaxPinLen = 255,
		.ulTotalPublicMemory = CK_UNAVAILABLE_INFORMATION,
		.ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION,
		.ulTotalPrivateMemory = CK_UNAVAILABLE_INFORMATION,
		.ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION,
		.firmwareVersion = our_version,
	};
	if (t->conf->login != VS_LOGIN_NONE)
		ret->flags |= CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
	if (atomic_load(&t->wrong_pin))
		ret->flags |= CKF_USER_PIN_COUNT_LOW;
	if (t->conf->login == VS_LOGIN_ATTEST)
		ret->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	vs_session_counts(t->inst, t, &ret->ulSessionCount, &ret->ulRwSessionCount);
	pad(ret->label, sizeof ret->label, t->conf->label);
	pad(ret->manufacturerID, sizeof ret->manufacturerID, "Vouchsafe");
	pad(ret->model, sizeof ret->model, t->inst->profile->lab ? "Vouchsafe LAB" : "Vouchsafe");
	pad(ret->serialNumber, sizeof ret->serialNumber, t->conf->serial);
	memset(ret->utcTime, ' ', sizeof ret->utcTime);
}
