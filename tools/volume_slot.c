/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/volume_slot.h"

#ifdef WITH_CRYPTSETUP
#include <errno.h>
#include <libcryptsetup.h>
#include <string.h>

#include "crypto/ossl.h"

enum { ITERATIONS_MIN = 1001 }; /* 1000 is what others write who want little */

vs_rc
vs_volume_disk_failed(struct vs_volume_disk *d, int r, const char *what, struct vs_err *err)
{
	return vs_err_put(err, VS_E_FILE, __func__, __LINE__, -r, "%s: %s: %s %s", d->device, what,
		strerror(-r), d->words);
}

VS_RC
vs_volume_slot_try(struct vs_volume_disk *d, const struct vs_secret *typed,
	const struct vs_volume_entry *begun, struct vs_err *err)
{
	const int r = crypt_activate_by_passphrase(
		d->cd, NULL, CRYPT_ANY_SLOT, (const char *)typed->p, typed->n, 0);
	if (r == -EPERM)
		VS_FAIL(err, PIN, "%s: the passphrase opens no key slot", d->device);
	if (r < 0)
		return vs_volume_disk_failed(d, r, "its key slots cannot be tried", err);
	if (begun && r == begun->slot)
		VS_FAIL(err, REFUSED_FORM,
			"%s: token %d says that key slot %d is left over from an enrolment, but it "
			"is the slot of your passphrase; see cryptsetup luksDump, and cryptsetup "
			"token remove",
			d->device, begun->number, r);
	return VS_OK;
}

/* Nobody else writes a slot with this count. */
static bool
is_begun(struct vs_volume_disk *d, const struct vs_volume_entry *e)
{
	struct crypt_pbkdf_type kdf = {0};
	return crypt_keyslot_get_pbkdf(d->cd, e->slot, &kdf) == 0 && kdf.type &&
		strcmp(kdf.type, CRYPT_KDF_PBKDF2) == 0 && kdf.iterations == e->begun;
}

VS_RC
vs_volume_slot_undo(
	struct vs_volume_disk *d, const struct vs_volume_entry *begun, struct vs_err *err)
{
	int r = 0;
	if (is_begun(d, begun) && (r = crypt_keyslot_destroy(d->cd, begun->slot)) < 0)
		return vs_volume_disk_failed(
			d, r, "a key slot of an enrolment that was cut off stays", err);
	r = crypt_token_json_set(d->cd, begun->number, NULL);
	if (r < 0)
		return vs_volume_disk_failed(
			d, r, "the entry of an enrolment that was cut off stays", err);
	return VS_OK;
}

static VS_RC
put_entry(struct vs_volume_disk *d, struct vs_volume_entry *e, struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf json = {.max = 4096};
	VS_TRY(vs_volume_entry_write(e, &json, err));
	const int r = crypt_token_json_set(
		d->cd, e->number < 0 ? CRYPT_ANY_TOKEN : e->number, vs_buf_cstr(&json));
	if (r < 0)
		return vs_volume_disk_failed(d, r, "no token could be written", err);
	e->number = r;
	return VS_OK;
}

static VS_RC
put_slot(struct vs_volume_disk *d, const struct vs_secret *typed, const struct vs_secret *fresh,
	const struct vs_volume_entry *e, struct vs_err *err)
{
	/* All its strength is in its own 512 random bits; stretching would cost boot time only. */
	const struct crypt_pbkdf_type light = {.type = CRYPT_KDF_PBKDF2,
		.hash = "sha256",
		.iterations = e->begun,
		.flags = CRYPT_PBKDF_NO_BENCHMARK};
	int r = crypt_set_pbkdf_type(d->cd, &light);
	if (r < 0)
		return vs_volume_disk_failed(d, r, "key derivation", err);
	r = crypt_keyslot_add_by_passphrase(
		d->cd, e->slot, (const char *)typed->p, typed->n, (const char *)fresh->p, fresh->n);
	if (r == -EPERM)
		VS_FAIL(err, PIN, "%s: the passphrase opens no key slot", d->device);
	if (r < 0)
		return vs_volume_disk_failed(d, r, "no key slot could be added", err);
	return VS_OK;
}

VS_RC
vs_volume_slot_add(struct vs_volume_disk *d, const struct vs_secret *typed,
	const struct vs_secret *fresh, struct vs_volume_entry *e, struct vs_err *err)
{
	uint16_t any = 0;
	const int max = crypt_keyslot_max(CRYPT_LUKS2);
	e->slot = 0;
	while (e->slot < max && crypt_keyslot_status(d->cd, e->slot) != CRYPT_SLOT_INACTIVE)
		e->slot++;
	if (e->slot >= max)
		VS_FAIL(err, LIMIT, "%s: all key slots are taken; see cryptsetup luksKillSlot",
			d->device);
	VS_TRY(vs_random((uint8_t *)&any, sizeof any, err));
	e->begun = ITERATIONS_MIN + any;
	VS_TRY(put_entry(d, e, err));
	vs_rc rc = put_slot(d, typed, fresh, e, err);
	if (!vs_failed(rc)) {
		struct vs_volume_entry whole = *e;
		whole.begun = 0;
		rc = put_entry(d, &whole, err);
	}
	if (vs_failed(rc) && vs_failed(vs_volume_slot_undo(d, e, NULL)))
		return vs_err_while(rc, err,
			"enrolling %s, whose next enrolment takes back what was begun", d->device);
	if (!vs_failed(rc))
		e->begun = 0;
	return rc;
}
#endif
