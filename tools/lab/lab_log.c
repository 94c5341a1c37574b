/* SPDX-License-Identifier: BSD-2-Clause */
#include "lab/lab_log.h"

#include <string.h>

#include <openssl/evp.h>

#include "lab/lab_roots.h"

enum {
	EV_NO_ACTION = 3,
	EV_SEPARATOR = 4,
	EV_S_CRTM_VERSION = 8,
	EV_COMPACT_HASH = 0xc,
	EV_IPL = 0xd,
};
#define EV_VARIABLE_DRIVER_CONFIG 0x80000001u
#define EV_VARIABLE_BOOT 0x80000002u
#define EV_BOOT_SERVICES_APPLICATION 0x80000003u
#define EV_GPT 0x80000006u
#define EV_ACTION 0x80000007u
#define EV_PLATFORM_FIRMWARE_BLOB 0x80000008u
#define EV_HANDOFF_TABLES 0x80000009u
#define EV_VARIABLE_AUTHORITY 0x800000e0u

static const uint8_t guid_global[16] = {0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d,
	0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
static const uint8_t guid_image_security[16] = {0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
	0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
static const uint8_t guid_shim[16] = {0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43, 0xab, 0xb6,
	0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23};

struct builder {
	const struct lab_boot_spec *spec;
	struct lab_boot *boot;
	struct vs_err *err;
	vs_rc rc; /* the first failure; later steps do nothing */
};

static const EVP_MD *
bank_md(uint16_t alg)
{
	switch (alg) {
	case TPM2_ALG_SHA1: return EVP_sha1();
	case TPM2_ALG_SHA256: return EVP_sha256();
	case TPM2_ALG_SHA384: return EVP_sha384();
	case TPM2_ALG_SHA512: return EVP_sha512();
	default: return NULL;
	}
}

size_t
lab_bank_size(uint16_t alg)
{
	const EVP_MD *md = bank_md(alg);
	return md ? (size_t)EVP_MD_get_size(md) : 0;
}

static void
put(struct builder *b, struct vs_buf *to, const void *p, size_t n)
{
	if (!vs_failed(b->rc))
		b->rc = vs_buf_add(to, p, n, b->err);
}

static void
put_le(struct builder *b, struct vs_buf *to, uint64_t v, size_t n)
{
	uint8_t le[8];
	for (size_t i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	put(b, to, le, n);
}

static void
put_utf16(struct builder *b, struct vs_buf *to, const char *s)
{
	for (; *s; s++)
		put_le(b, to, (uint8_t)*s, 2);
}

/* One event: what was measured, and what the log says about it. */
static void
event(struct builder *b, uint32_t pcr, uint32_t type, struct vs_bytes measured,
	struct vs_bytes data)
{
	struct lab_boot *boot = b->boot;
	if (vs_failed(b->rc))
		return;
	if (boot->n == LAB_BOOT_EVENTS_MAX) {
		b->rc = vs_err_put(b->err, VS_E_INTERNAL, __func__, __LINE__, 0, "too many events");
		return;
	}
	struct lab_boot_event *e = &boot->events[boot->n++];
	*e = (struct lab_boot_event){.pcr = pcr, .at = boot->log.n};
	put_le(b, &boot->log, pcr, 4);
	put_le(b, &boot->log, type, 4);
	put_le(b, &boot->log, b->spec->n_algs, 4);
	for (size_t i = 0; i < b->spec->n_algs; i++) {
		TPMT_HA *ha = &e->digests.digests[e->digests.count++];
		unsigned n = 0;
		ha->hashAlg = b->spec->algs[i];
		if (EVP_Digest(measured.p, measured.n, (uint8_t *)&ha->digest, &n,
			    bank_md(ha->hashAlg), NULL) != 1 &&
			!vs_failed(b->rc))
			b->rc = lab_ossl_fail("cannot hash an event", b->err);
		put_le(b, &boot->log, ha->hashAlg, 2);
		put(b, &boot->log, &ha->digest, n);
	}
	put_le(b, &boot->log, data.n, 4);
	e->data_at = boot->log.n;
	e->data_n = data.n;
	put(b, &boot->log, data.p, data.n);
	e->n = boot->log.n - e->at;
}

static void
event_of_data(struct builder *b, uint32_t pcr, uint32_t type, struct vs_bytes data)
{
	event(b, pcr, type, data, data);
}

static void
spec_id(struct builder *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	static const uint8_t zero[20] = {0};
	put(b, &d, "Spec ID Event03", 16);
	put_le(b, &d, 0, 4); /* platform class: client */
	put(b, &d, "\x00\x02\x00\x02", 4); /* 2.00 errata 0, 64-bit */
	put_le(b, &d, b->spec->n_algs, 4);
	for (size_t i = 0; i < b->spec->n_algs; i++) {
		put_le(b, &d, b->spec->algs[i], 2);
		put_le(b, &d, lab_bank_size(b->spec->algs[i]), 2);
	}
	put_le(b, &d, 0, 1);
	struct vs_buf *log = &b->boot->log;
	put_le(b, log, 0, 4);
	put_le(b, log, EV_NO_ACTION, 4);
	put(b, log, zero, sizeof zero);
	put_le(b, log, d.n, 4);
	put(b, log, d.p, d.n);
}

/* UEFI_VARIABLE_DATA. */
static void
variable(struct builder *b, uint32_t pcr, uint32_t type, const uint8_t guid[16], const char *name,
	struct vs_bytes value)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	put(b, &d, guid, 16);
	put_le(b, &d, strlen(name), 8);
	put_le(b, &d, value.n, 8);
	put_utf16(b, &d, name);
	put(b, &d, value.p, value.n);
	if (type == EV_VARIABLE_BOOT)
		event(b, pcr, type, value, vs_buf_view(&d));
	else
		event_of_data(b, pcr, type, vs_buf_view(&d));
}

/* UEFI_IMAGE_LOAD_EVENT; the digest is the image's, which only the loader saw. */
static void
application(struct builder *b, const char *image, const char *file)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0}, path = {0};
	put_utf16(b, &path, file);
	put_le(b, &path, 0, 2);
	put_le(b, &d, 0x7d3c4018, 8);
	put_le(b, &d, 0x000e7b30, 8);
	put_le(b, &d, 0, 8);
	put_le(b, &d, path.n + 8, 8);
	put_le(b, &d, 0x0404, 2); /* media device path, file */
	put_le(b, &d, path.n + 4, 2);
	put(b, &d, path.p, path.n);
	put_le(b, &d, 0x0004ff7f, 4); /* end of path */
	event(b, 4, EV_BOOT_SERVICES_APPLICATION, vs_bytes_str(image), vs_buf_view(&d));
}

static void
firmware_blob(struct builder *b, uint64_t base, uint64_t length, const char *content)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	put_le(b, &d, base, 8);
	put_le(b, &d, length, 8);
	event(b, 0, EV_PLATFORM_FIRMWARE_BLOB, vs_bytes_str(content), vs_buf_view(&d));
}

static void
secure_boot_variables(struct builder *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf db = {0}, dbx = {0};
	const bool on = b->spec->secure_boot;
	const uint8_t state = on ? 1 : 0;
	if (on && !vs_failed(b->rc))
		b->rc = lab_roots_signature_db(b->spec->roots, &db, b->err);
	if (on && !vs_failed(b->rc))
		b->rc = lab_roots_signature_dbx(b->spec->roots, &dbx, b->err);
	const uint32_t t = EV_VARIABLE_DRIVER_CONFIG;
	variable(b, 7, t, guid_global, "SecureBoot", vs_bytes_of(&state, 1));
	variable(b, 7, t, guid_global, "PK", vs_buf_view(&db));
	variable(b, 7, t, guid_global, "KEK", vs_buf_view(&db));
	variable(b, 7, t, guid_image_security, "db", vs_buf_view(&db));
	variable(b, 7, t, guid_image_security, "dbx", vs_buf_view(&dbx));
}

/* EFI_SIGNATURE_DATA: the certificate that let an image through. */
static void
authority(struct builder *b, const uint8_t guid[16], const char *name)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	put(b, &d, b->spec->roots->owner_guid, 16);
	if (!vs_failed(b->rc))
		b->rc = lab_hwcert_der(b->spec->roots->firmware.cert, &d, b->err);
	variable(b, 7, EV_VARIABLE_AUTHORITY, guid, name, vs_buf_view(&d));
}

static void
uuid_event(struct builder *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	put(b, &d, "UUID: ", 6);
	put(b, &d, b->spec->vm_id_upper, strlen(b->spec->vm_id_upper));
	event_of_data(b, 6, EV_COMPACT_HASH, vs_buf_view(&d));
}

static void
firmware_phase(struct builder *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf version = {0};
	put_utf16(b, &version, "Vouchsafe LAB UEFI 1.0");
	put_le(b, &version, 0, 2);
	event_of_data(b, 0, EV_S_CRTM_VERSION, vs_buf_view(&version));
	firmware_blob(b, 0x00820000, 0xe0000, "Vouchsafe LAB PEI volume 1.0");
	firmware_blob(b, 0x00900000, 0x800000, "Vouchsafe LAB DXE volume 1.0");
	secure_boot_variables(b);
	const uint8_t order[] = {0, 0};
	variable(
		b, 1, EV_VARIABLE_BOOT, guid_global, "BootOrder", vs_bytes_of(order, sizeof order));
	variable(b, 1, EV_VARIABLE_BOOT, guid_global, "Boot0000",
		vs_bytes_str("Vouchsafe LAB disk: \\EFI\\debian\\shimx64.efi"));
	event(b, 1, EV_HANDOFF_TABLES, vs_bytes_str("Vouchsafe LAB ACPI and SMBIOS tables"),
		vs_bytes_of("\0\0\0\0\0\0\0\0", 8));
	uuid_event(b);
	event_of_data(b, 4, EV_ACTION, vs_bytes_str("Calling EFI Application from Boot Option"));
	for (uint32_t pcr = 0; pcr < 8; pcr++)
		event_of_data(b, pcr, EV_SEPARATOR, vs_bytes_of("\0\0\0\0", 4));
}

static void
text_event(struct builder *b, uint32_t pcr, const char *prefix, const char *text)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	put(b, &d, prefix, strlen(prefix));
	put(b, &d, text, strlen(text) + 1);
	event(b, pcr, EV_IPL, vs_bytes_str(text), vs_buf_view(&d));
}

/* UEFI_GPT_DATA: header of the partition table, one partition. */
static void
gpt(struct builder *b)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf d = {0};
	uint8_t head[92] = "EFI PART", part[128] = {0};
	head[10] = 1;
	head[12] = sizeof head;
	memcpy(head + 56, b->spec->roots->owner_guid, 16);
	memcpy(part + 16, b->spec->roots->owner_guid, 16);
	part[33] = 8;
	memcpy(part + 56, "L\0A\0B\0", 6);
	put(b, &d, head, sizeof head);
	put_le(b, &d, 1, 8);
	put(b, &d, part, sizeof part);
	event_of_data(b, 5, EV_GPT, vs_buf_view(&d));
}

static void
boot_phase(struct builder *b)
{
	const bool on = b->spec->secure_boot;
	gpt(b);
	if (on)
		authority(b, guid_image_security, "db");
	application(b, "Vouchsafe LAB shim 16.1", "\\EFI\\debian\\shimx64.efi");
	variable(b, 7, EV_VARIABLE_AUTHORITY, guid_shim, "SbatLevel",
		vs_bytes_str(on ? "sbat,1,2025021800\nshim,4\ngrub,5\n" : "sbat,1,2021030218\n"));
	event(b, 14, EV_IPL, vs_bytes_str("Vouchsafe LAB MokList"), vs_bytes_of("MokList", 8));
	if (on)
		authority(b, guid_shim, "MokListRT");
	application(b, "Vouchsafe LAB GRUB 2.12", "\\EFI\\debian\\grubx64.efi");
	text_event(b, 8, "grub_cmd: ", "linux /vmlinuz root=/dev/sda1 ro quiet");
	event(b, 9, EV_IPL, vs_bytes_str("Vouchsafe LAB kernel 6.12"),
		vs_bytes_of("(hd0,gpt1)/vmlinuz", 19));
	if (on)
		application(b, "Vouchsafe LAB kernel 6.12", "/vmlinuz");
	text_event(b, 8, "kernel_cmdline: ", "/vmlinuz root=/dev/sda1 ro quiet");
	event(b, 9, EV_IPL, vs_bytes_str("Vouchsafe LAB initrd"),
		vs_bytes_of("(hd0,gpt1)/initrd.img", 22));
	event_of_data(b, 5, EV_ACTION, vs_bytes_str("Exit Boot Services Invocation"));
	event_of_data(b, 5, EV_ACTION, vs_bytes_str("Exit Boot Services Returned with Success"));
}

vs_rc
lab_boot_make(const struct lab_boot_spec *spec, struct lab_boot *ret, struct vs_err *err)
{
	lab_boot_done(ret);
	for (size_t i = 0; i < spec->n_algs; i++)
		VS_REQUIRE(err, bank_md(spec->algs[i]));
	struct builder b = {.spec = spec, .boot = ret, .err = err, .rc = VS_OK};
	spec_id(&b);
	firmware_phase(&b);
	boot_phase(&b);
	return b.rc;
}

void
lab_boot_done(struct lab_boot *b)
{
	vs_buf_done(&b->log);
	b->n = 0;
}
