/* SPDX-License-Identifier: MIT */
/* XEP-0198 1.6.3: stream management, its words and settings. What they do is in server/sm*.c, since sessions
 * and streams are made of it; resumption on a stream without a session comes by server/c2s_resume.c. Sections
 * are of the XEP.
 *
 * An element that comes at the wrong moment is answered with <failed/> and forgiven (§6), but for a second
 * <enable/>, which ends the stream (§3). */
#include "server/ext.h"

struct sm_settings {
    unsigned resume_ms;
    struct sm_limits limits;
};

static struct ext_slot slot;

static const struct config_key keys[] = {
    { .name = "resume-time",
      .type = CONFIG_DURATION,
      CONFIG_FIELD(struct sm_settings, resume_ms),
      .default_text = "5m",
      .max = 24 * 3600000,
      .help = "How long a session waits for its client after the connection was lost; 0: sessions can't be\n"
              "resumed." },
    { .name = "max-stanzas",
      .type = CONFIG_INT,
      CONFIG_FIELD(struct sm_settings, limits.stanzas),
      .default_text = "2000",
      .min = 10,
      .max = 1000000,
      .unit = "stanzas",
      .help = "Stanzas that may wait for one client's acknowledgement. One more, and the session ends; its\n"
              "messages go to the offline store or to other devices." },
    { .name = "max-bytes",
      .type = CONFIG_SIZE,
      CONFIG_FIELD(struct sm_settings, limits.bytes),
      .default_text = "4M",
      .min = 64 << 10,
      .max = 1 << 30,
      .help = "The same, in bytes." },
    { 0 },
};

static const struct config_extension config = {
    .name = "sm",
    .help =
        "Stream management (XEP-0198): acknowledgement of stanzas, and sessions that outlive connections.",
    .size = sizeof(struct sm_settings),
    .keys = keys,
};

static bool is_true(str value)
{
    return str_is(value, "true") || str_is(value, "1");
}

/* The client's wish in seconds, within what we allow. */
static unsigned resume_time(const struct sm_settings *settings, const struct xml_node *enable,
                            struct arena *arena)
{
    uint64_t wish;
    if (!is_true(xml_attr(enable, STR("resume"), arena)))
        return 0;
    if (str_to_u64(xml_attr(enable, STR("max"), arena), settings->resume_ms / 1000, &wish) && wish)
        return (unsigned)wish * 1000;
    return settings->resume_ms;
}

static void failed(struct session *session, enum stanza_error error)
{
    struct buf out;
    buf_init(&out, 1024);
    sm_write_failed(&out, error);
    session->link->ops->write(session->link, buf_str(&out));
    buf_fini(&out);
}

static void begin(struct session *session, const struct xml_node *element, struct buf *out)
{
    const struct sm_settings *settings = ext_settings(session->user->actor.host, &slot);
    unsigned resume_ms = resume_time(settings, element, &session->user->actor.shard->arena);
    sm_begin(session, resume_ms, &settings->limits, out);
}

static void enable(struct session *session, const struct xml_node *element)
{
    struct buf out;
    if (session->sm) {
        failed(session, STANZA_ERROR_UNEXPECTED_REQUEST);
        session->link->ops->close(session->link, STREAM_ERROR_POLICY_VIOLATION,
                                  "stream management is enabled already");
        return;
    }
    buf_init(&out, 1024);
    begin(session, element, &out);
    session->link->ops->write(session->link, buf_str(&out));
    buf_fini(&out);
}

/* §8.1: as a part of binding. */
static void enable_inline(struct bind2_event *event)
{
    if (event->element && !event->session->sm)
        begin(event->session, event->element, event->bound);
}

static void request(struct session *session, const struct xml_node *element)
{
    (void)element;
    if (session->sm)
        sm_asked(session->sm);
    else
        failed(session, STANZA_ERROR_UNEXPECTED_REQUEST);
}

static void answer(struct session *session, const struct xml_node *element)
{
    struct arena *arena = &session->user->actor.shard->arena;
    uint64_t h;
    if (!session->sm)
        failed(session, STANZA_ERROR_UNEXPECTED_REQUEST);
    else if (!str_to_u64(xml_attr(element, STR("h"), arena), UINT32_MAX, &h))
        session->link->ops->close(session->link, STREAM_ERROR_BAD_FORMAT, "h must be a number");
    else
        sm_acked(session->sm, (uint32_t)h);
}

/* On a stream that has a session. */
static void resume(struct session *session, const struct xml_node *element)
{
    (void)element;
    failed(session, STANZA_ERROR_UNEXPECTED_REQUEST);
}

/* A session that was there before a restart. */
static void load_row(struct user *user, const struct store_row *row)
{
    const struct sm_settings *settings = ext_settings(user->actor.host, &slot);
    sm_load_row(user, row, &settings->limits);
}

static void stream_features(struct host *host, struct buf *out)
{
    (void)host;
    buf_lit(out, "<sm xmlns='" NS_SM "'/>");
}

static const struct ext_nonza nonzas[] = {
    { "enable", NS_SM, enable },
    { "r", NS_SM, request },
    { "a", NS_SM, answer },
    { "resume", NS_SM, resume },
    { 0 },
};

extern const struct ext ext_sm;
const struct ext ext_sm = {
    .slot = &slot,
    .name = "sm",
    .title = "Stream Management",
    .xep = { 198, "1.6.3" },
    .nonzas = nonzas,
    .bind2 = (const struct ext_bind2[]){ { NS_SM, "enable", NS_SM, enable_inline }, { 0 } },
    .config = &config,
    .user_rows = "sm",
    .load_row = load_row,
    .stream_features = stream_features,
};
