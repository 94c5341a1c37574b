/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent of Azure Arc: it names a file, and who can read it is this machine. The real one keeps
 * the files in /var/opt/azcmagent/tokens, the lab in D/arc.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "lab/lab_entra.h"

enum { SECRET_BYTES = 48 };

static vs_rc
make_challenge(struct lab *lab, char secret[96], char path[LAB_PATH_MAX], struct vs_err *err)
{
	VS_CLEANUP(vs_buf_done) struct vs_buf text = {0};
	char guid[LAB_GUID_SIZE] = "", relative[64], dir[LAB_PATH_MAX];
	uint8_t bytes[SECRET_BYTES];
	VS_TRY(lab_guid(guid, err));
	VS_TRY(lab_random(bytes, sizeof(bytes), err));
	VS_TRY(vs_b64_encode(vs_bytes_of(bytes, sizeof(bytes)), &text, err));
	(void)snprintf(relative, sizeof(relative), "arc/%s.key", guid);
	VS_TRY(lab_path(lab, "arc", dir, err));
	VS_TRY(lab_path(lab, relative, path, err));
	(void)mkdir(dir, 0700);
	(void)snprintf(secret, 96, "%s", vs_buf_cstr(&text));
	return vs_file_replace(path, 0600, vs_buf_view(&text), err);
}

static void
challenge(struct lab *lab, struct lab_resp *resp)
{
	struct lab_arc *arc = &lab->entra->arc;
	char secret[96] = "", path[LAB_PATH_MAX] = "", text[LAB_PATH_MAX + 16];
	if (vs_failed(make_challenge(lab, secret, path, NULL))) {
		lab_resp_text(resp, 500, "", "");
		return;
	}
	pthread_mutex_lock(&arc->lock);
	const unsigned i = arc->next++ % LAB_ARC_PENDING;
	if (arc->path[i][0] != '\0')
		(void)unlink(arc->path[i]);
	memcpy(arc->secret[i], secret, sizeof(arc->secret[i]));
	memcpy(arc->path[i], path, sizeof(arc->path[i]));
	pthread_mutex_unlock(&arc->lock);
	(void)snprintf(text, sizeof(text), "Basic realm=%s", path);
	lab_resp_text(resp, 401, "", "");
	lab_resp_header(resp, "WWW-Authenticate", text);
}

/* Whether this is the content of a file that was named; each opens the door once. */
static bool
redeem(struct lab_arc *arc, const char *secret)
{
	bool found = false;
	pthread_mutex_lock(&arc->lock);
	for (size_t i = 0; i < LAB_ARC_PENDING; i++) {
		const size_t n = strlen(arc->secret[i]);
		if (n == 0 || strlen(secret) != n || CRYPTO_memcmp(secret, arc->secret[i], n) != 0)
			continue;
		found = true;
		(void)unlink(arc->path[i]);
		arc->secret[i][0] = arc->path[i][0] = '\0';
	}
	pthread_mutex_unlock(&arc->lock);
	return found;
}

bool
lab_arc_admit(struct lab *lab, const struct lab_req *req, struct lab_resp *resp)
{
	const char *header = lab_req_header(req, "authorization");
	if (header != NULL && strncasecmp(header, "Basic ", 6) == 0 &&
		redeem(&lab->entra->arc, header + 6))
		return true;
	challenge(lab, resp);
	return false;
}
