/* SPDX-License-Identifier: BSD-2-Clause */
#include "unit/webkit.h"

#include <time.h>

#include "base/clock.h"
#include "unit/unit.h"

static void
copy(char *out, size_t size, struct vs_bytes b)
{
	const size_t n = b.n < size - 1 ? b.n : size - 1;

	if (n > 0)
		memcpy(out, b.p, n);
	out[n] = '\0';
}

static struct webkit_step *
find_step(struct webkit *w, const char *line)
{
	for (size_t i = 0; i < w->n; i++) {
		struct webkit_step *s = &w->steps[i];
		if ((s->always || s->used == 0) &&
			(s->match == NULL || strstr(line, s->match) != NULL))
			return s;
	}
	return NULL;
}

static void
note(struct webkit *w, const struct vs_http_req *req)
{
	copy(w->last_url, sizeof w->last_url, vs_bytes_str(req->url));
	copy(w->last_body, sizeof w->last_body, req->body);
	copy(w->last_bearer, sizeof w->last_bearer,
		req->bearer != NULL ? vs_secret_view(req->bearer) : (struct vs_bytes){0});
	w->last_headers[0] = '\0';
	for (size_t i = 0; req->headers != NULL && req->headers[i] != NULL; i++) {
		const size_t n = strlen(w->last_headers);
		(void)snprintf(
			w->last_headers + n, sizeof w->last_headers - n, "%s\n", req->headers[i]);
	}
	w->requests++;
}

static vs_rc
perform(void *self, const struct vs_http_req *req, struct vs_http_res *ret, struct vs_err *err)
{
	struct webkit *w = self;
	char line[8300];

	VS_TRY(vs_http_check_req(req, err));
	(void)snprintf(
		line, sizeof line, "%s %s", req->method == VS_HTTP_GET ? "GET" : "POST", req->url);
	pthread_mutex_lock(&w->lock);
	note(w, req);
	struct webkit_step *s = find_step(w, line);
	if (s != NULL)
		s->used++;
	else
		w->unexpected++;
	pthread_mutex_unlock(&w->lock);
	if (s == NULL)
		return vs_err_put(
			err, VS_E_INTERNAL, __func__, __LINE__, 0, "nobody expected %.100s", line);
	if (s->delay_ms > 0) {
		const struct timespec ts = {
			s->delay_ms / 1000, (long)(s->delay_ms % 1000) * 1000000};
		(void)nanosleep(&ts, NULL);
	}
	if (s->status == 0)
		return vs_err_put(err, s->code, __func__, __LINE__, 0, "as scripted");
	struct vs_http_res res = {.status = s->status, .retry_after_s = -1};
	if (s->retry_after_s != 0)
		res.retry_after_s = s->retry_after_s < 0 ? 0 : s->retry_after_s;
	(void)snprintf(res.content_type, sizeof res.content_type, "%s",
		s->content_type != NULL ? s->content_type : "application/json");
	(void)snprintf(res.request_id, sizeof res.request_id, "req-%u", w->requests);
	if (s->www_authenticate != NULL)
		(void)snprintf(res.www_authenticate, sizeof res.www_authenticate, "%s",
			s->www_authenticate);
	res.body.max = req->max_body > 0 ? req->max_body : VS_HTTP_BODY_MAX;
	if (s->body != NULL)
		VS_TRY(vs_buf_add_str(&res.body, s->body, err));
	*ret = res;
	return VS_OK;
}

static int64_t
wall(void *self)
{
	return ((struct webkit *)self)->wall_unix;
}

static int64_t
boot(void *self)
{
	return ((struct webkit *)self)->boot_ns;
}

static void
sleep_ms(void *self, int ms)
{
	struct webkit *w = self;

	w->sleeps++;
	w->slept_ms += ms;
	w->boot_ns += (ms + w->oversleep_ms) * 1000000;
}

void
webkit_add(struct webkit *w, struct webkit_step step)
{
	assert_true(w->n < WEBKIT_STEPS);
	w->steps[w->n++] = step;
}

void
webkit_init(struct webkit *w, const struct webkit_step *steps, size_t n)
{
	static const struct vs_http_ops http_ops = {
		.name = "script", .version = 1, .perform = perform};
	static const struct vs_clock_ops clock_ops = {
		.name = "hand", .version = 1, .wall_unix = wall, .boot_ns = boot};

	memset(w, 0, sizeof *w);
	pthread_mutex_init(&w->lock, NULL);
	for (size_t i = 0; i < n; i++)
		webkit_add(w, steps[i]);
	w->boot_ns = 1000 * INT64_C(1000000000);
	w->wall_unix = 1700000000;
	w->net = (struct vs_net){
		.http = {.ops = &http_ops, .self = w},
		.clock = {.ops = &clock_ops, .self = w},
		.rng = vs_rng_system(),
		.sleep_ms = sleep_ms,
		.sleep_self = w,
	};
}

int64_t
webkit_in_s(const struct webkit *w, int64_t s)
{
	return w->boot_ns + s * INT64_C(1000000000);
}

unsigned
webkit_used(const struct webkit *w, size_t step)
{
	return w->steps[step].used;
}
