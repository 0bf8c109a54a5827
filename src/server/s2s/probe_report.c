/* SPDX-License-Identifier: MIT */
/* The report of a test: what was found, in the order in which a stream is made, and a verdict. The verdict
 * names the first thing that stands in the way on the address that came furthest, since that is what is to
 * be mended, and says who can mend it. It fits on a screen for a domain with a few addresses. */
#include "server/s2s/probe.h"

enum { SOON_DAYS = 14 };

/* What is wrong, and what to do about it. */
struct verdict {
    bool works;
    const char *how, *problem, *advice;
};

/* ---- DNS */

static const char *count_text(enum err err, bool secure)
{
    if (err == OK)
        return secure ? "found, and validated by the name server" : "found, not validated";
    return err == ERR_NOT_FOUND ? "none" : "the name server did not say";
}

static void report_target(const struct dns_target *target, struct buf *out)
{
    buf_addf(out, "      priority %u weight %u: %s port %u, %s%s\n", target->priority, target->weight,
             target->name, target->port, target->direct_tls ? "direct TLS" : "STARTTLS",
             target->err == OK              ? ""
             : target->err == ERR_NOT_FOUND ? ": this name has NO ADDRESS"
                                            : ": the name server did not say its addresses");
    if (target->expected_count)
        buf_addf(out, "        DANE: %zu TLSA records say which certificate is there\n",
                 target->expected_count);
    else if (target->dane_err != OK && target->dane_err != ERR_NOT_FOUND)
        buf_lit(out, "        DANE: its TLSA records CAN'T BE HAD, so it is not used\n");
}

static void report_dns(const struct probe *probe, struct buf *out)
{
    const struct dns_found *found = probe->lookup.found;
    if (!found)
        return;
    if (found->how == DNS_FROM_OVERRIDE || found->how == DNS_FROM_LITERAL) {
        buf_addf(out, "DNS   not asked: %s\n",
                 found->how == DNS_FROM_OVERRIDE ? "s2s.addresses has this domain" : "that is an IP address");
        return;
    }
    buf_addf(out, "DNS   _xmpp-server._tcp (STARTTLS): %s\n",
             count_text(found->services[0], found->services_secure[0]));
    buf_addf(out, "      _xmpps-server._tcp (direct TLS): %s\n",
             count_text(found->services[1], found->services_secure[1]));
    if (found->refused)
        buf_lit(out, "      a record says that there is no such service here (\".\")\n");
    if (found->how == DNS_FROM_DOMAIN)
        buf_lit(out, "      so the domain itself is tried\n");
    for (size_t i = 0; i < found->target_count; i++)
        report_target(&found->targets[i], out);
}

/* ---- Addresses */

static const char *stage_text(const struct probe_stream *stream)
{
    switch (stream->stage) {
    case PROBE_CONNECTING:
        return "it can't be connected to";
    case PROBE_OPENING:
        return "no stream header came";
    case PROBE_FEATURES:
        return "no features came";
    case PROBE_STARTING_TLS:
        return "it did not begin TLS";
    case PROBE_SECURING:
        return "the TLS handshake failed";
    case PROBE_READY:
    case PROBE_DIALBACK:
        break;
    }
    return "it went away";
}

static bool got_through(const struct probe_stream *stream)
{
    return stream->stage >= PROBE_READY && stream->told == STREAM_ERROR_NONE && !stream->garbage;
}

static void report_failure(const struct probe_stream *stream, struct buf *out)
{
    if (stream->garbage)
        buf_lit(out, "      what it sends is no XMPP between servers\n");
    else if (stream->told != STREAM_ERROR_NONE)
        buf_addf(out, "      it ended the stream: %s\n", stream_error_name(stream->told));
    else if (stream->no_tls && stream->stage < PROBE_READY)
        buf_lit(out, "      it offers NO TLS\n");
    else if (!got_through(stream))
        buf_addf(out, "      %s: %s\n", stage_text(stream),
                 stream->late ? "no answer in time" : err_text(stream->err));
}

static void report_certificate(const struct probe_stream *stream, struct buf *out)
{
    const struct tls_certificate *certificate = stream->certificate;
    buf_addf(out, "      %s %s\n", stream->tls_version, stream->tls_cipher);
    if (!certificate) {
        buf_lit(out, "      it shows NO CERTIFICATE\n");
        return;
    }
    buf_addf(out, "      certificate of %.*s, %s %.*s, until %s (%d days)\n", STR_ARGS(stream->names),
             certificate->self_signed ? "SELF-SIGNED by" : "by", STR_ARGS(certificate->issuer),
             certificate->ends, certificate->days_left);
    if (stream->certified && stream->dane == TLS_DANE_SERVER)
        buf_lit(out, "      it is the one that DNS names (DANE)\n");
    else if (stream->by_posh)
        buf_addf(out, "      named by the web server of %.*s (POSH), though %s\n",
                 STR_ARGS(stream->probe->theirs), stream->fault);
    else if (stream->certified && stream->dane == TLS_DANE_CHAIN)
        buf_lit(out, "      it chains as DNS says (DANE), and is made for the domain or its server\n");
    else if (stream->certified)
        buf_addf(out, "      trusted, and made for %.*s%s\n", STR_ARGS(stream->probe->theirs),
                 certificate->days_left < SOON_DAYS ? "; it ENDS SOON" : "");
    else
        buf_addf(out, "      NOT GOOD for %.*s: %s%s\n", STR_ARGS(stream->probe->theirs), stream->fault,
                 stream->asked_posh ? "; its web server does not name it either (POSH)" : "");
}

static void report_offer(const struct probe_stream *stream, struct buf *out)
{
    const struct peer_features *features = &stream->features;
    bool dialback = features->dialback || stream->header_dialback;
    buf_addf(out, "      offers:%s%s%s%s", features->external ? " EXTERNAL (our certificate is taken)" : "",
             dialback ? " dialback" : "", features->bidi ? " bidi" : "", features->sm ? " sm" : "");
    if (features->max_bytes)
        buf_addf(out, " stanzas-up-to-%u-bytes", features->max_bytes);
    if (!features->external && !dialback)
        buf_lit(out, " NO WAY to prove who we are");
    buf_lit(out, "\n");
    if (!stream->tried_dialback)
        return;
    buf_addf(out, "      dialback: our key was %s%s\n",
             !stream->answered_dialback             ? "NOT ANSWERED in time"
             : stream->dialback == DIALBACK_VALID   ? "checked, and taken"
             : stream->dialback == DIALBACK_INVALID ? "found INVALID"
                                                    : "NOT CHECKED: ",
             stream->answered_dialback && stream->dialback == DIALBACK_ERROR
                 ? stanza_error_name(stream->dialback_error)
                 : "");
}

static void report_stream(const struct probe_stream *stream, struct buf *out)
{
    const struct dns_endpoint *endpoint = &stream->probe->lookup.endpoints[stream->endpoint];
    buf_addf(out, "%s port %u, %s", endpoint->address, endpoint->port,
             endpoint->direct_tls ? "direct TLS" : "STARTTLS");
    if (stream->stage > PROBE_CONNECTING || stream->connected)
        buf_addf(out, ": connected in %u ms", stream->connect_ms);
    buf_lit(out, "\n");
    report_failure(stream, out);
    if (stream->secure)
        report_certificate(stream, out);
    if (stream->stage >= PROBE_READY)
        report_offer(stream, out);
}

/* ---- The verdict */

static struct verdict judge_dns(const struct probe *probe)
{
    const struct dns_found *found = probe->lookup.found;
    if (probe->lookup.err != ERR_NOT_FOUND) {
        for (size_t i = 0; found && i < found->target_count; i++)
            if (found->targets[i].dane_err != OK && found->targets[i].dane_err != ERR_NOT_FOUND)
                return (struct verdict){
                    .problem = "DNSSEC vouches for the domain, but its TLSA records can't be had",
                    .advice = "its administrator mends the zone; or somebody tampers with it"
                };
        return (struct verdict){ .problem = "the name server does not answer",
                                 .advice = "check s2s.dns-server, and the way from here to it" };
    }
    if (found && found->refused)
        return (struct verdict){ .problem = "the domain says that it takes no streams from other servers",
                                 .advice = "nothing, unless that was not meant" };
    return (struct verdict){
        .problem = "DNS knows no server of this domain",
        .advice = "check how it is written; its administrator publishes SRV records _xmpp-server._tcp, with "
                  "targets that have addresses",
    };
}

static struct verdict judge_failure(const struct probe_stream *stream)
{
    struct verdict bad = { .problem = stage_text(stream),
                           .advice = "ask its administrator what its log says" };
    if (stream->garbage) {
        bad.problem = "what answers is no XMPP server for other servers";
        bad.advice = "its administrator corrects the port in the SRV records";
    } else if (stream->told == STREAM_ERROR_HOST_UNKNOWN) {
        bad.problem = "the server at this address does not know the domain";
        bad.advice = "its administrator corrects the SRV records, or adds the domain to the server";
    } else if (stream->told != STREAM_ERROR_NONE) {
        bad.problem = stream_error_name(stream->told);
    } else if (stream->no_tls) {
        bad.problem = "it offers no TLS, which s2s.require-tls wants, or DNS (DANE)";
        bad.advice = "its administrator gives it a certificate; or name the domain in s2s.without-tls";
    } else if (stream->stage == PROBE_CONNECTING) {
        bad.problem = "none of its addresses can be connected to";
        bad.advice = "its server is down, or a firewall on the way (also ours) is in between";
    }
    return bad;
}

static struct verdict judge_dialback(const struct probe_stream *stream)
{
    if (!stream->tried_dialback)
        return (struct verdict){ .problem = "it takes neither our certificate nor dialback",
                                 .advice = "give our host a certificate of a CA that it trusts" };
    if (stream->answered_dialback && stream->dialback == DIALBACK_INVALID)
        return (struct verdict){ .problem = "somebody else answers for our domain",
                                 .advice =
                                     "check our SRV records; several servers of one domain need the same "
                                     "s2s.dialback-secret" };
    return (struct verdict){
        .problem = "it could not check who we are",
        .advice = "check that our SRV records and our port for other servers can be reached from outside",
    };
}

static struct verdict judge_stream(const struct probe_stream *stream)
{
    const struct s2s_policy *policy = &stream->probe->policy;
    bool dialback = stream->answered_dialback && stream->dialback == DIALBACK_VALID;
    if (!got_through(stream))
        return judge_failure(stream);
    if (stream->dane == TLS_DANE_FAILED)
        return (struct verdict){
            .problem = "its certificate is not the one that DNS names (DANE)",
            .advice = "its administrator publishes TLSA records for this certificate; or somebody "
                      "stands between"
        };
    if (policy->require_certificate && !stream->certified)
        return (struct verdict){
            .problem = stream->fault ? stream->fault : "no certificate",
            .advice = "its administrator gives it a good certificate; or take the domain out of "
                      "s2s.with-certificate"
        };
    if (stream->features.external)
        return (struct verdict){ .works = true, .how = "our certificate is taken" };
    if (dialback)
        return (struct verdict){ .works = true, .how = "by dialback" };
    return judge_dialback(stream);
}

/* The address that came furthest; those that work before others. */
static struct verdict judge_streams(const struct probe *probe)
{
    struct verdict best = judge_stream(&probe->streams[0]);
    enum probe_stage furthest = probe->streams[0].stage;
    for (size_t i = 1; i < probe->lookup.count; i++) {
        struct verdict verdict = judge_stream(&probe->streams[i]);
        bool better = verdict.works != best.works ? verdict.works : probe->streams[i].stage > furthest;
        if (!better)
            continue;
        best = verdict;
        furthest = probe->streams[i].stage;
    }
    return best;
}

static void warn(const struct probe *probe, struct buf *out)
{
    size_t silent = 0, doubtful = 0;
    for (size_t i = 0; i < probe->lookup.count; i++) {
        silent += !got_through(&probe->streams[i]);
        doubtful += got_through(&probe->streams[i]) && !probe->streams[i].certified;
    }
    if (silent)
        buf_addf(out, "but   %zu of %zu addresses can't be used, see above\n", silent, probe->lookup.count);
    if (doubtful)
        buf_lit(
            out,
            "but   its certificate is not good, so that it is the right server is known from DNS alone\n");
}

bool probe_report(struct probe *probe, struct buf *out)
{
    struct verdict verdict;
    buf_addf(out, "%.*s, as %.*s sees it: TLS %s, certificate %s, dialback %s\n", STR_ARGS(probe->theirs),
             STR_ARGS(probe->ours), probe->policy.require_tls ? "required" : "not required",
             probe->policy.require_certificate ? "required" : "not required",
             probe->policy.dialback ? "taken" : "refused");
    report_dns(probe, out);
    for (size_t i = 0; probe->streams && i < probe->lookup.count; i++)
        report_stream(&probe->streams[i], out);
    if (probe->policy.refused)
        verdict =
            (struct verdict){ .problem = "the configuration says that nothing is exchanged with this domain",
                              .advice = "take it out of s2s.block, or put it into s2s.allow" };
    else
        verdict = probe->streams ? judge_streams(probe) : judge_dns(probe);
    if (verdict.works) {
        buf_addf(out, "works %s\n", verdict.how);
        warn(probe, out);
    } else {
        buf_addf(out, "wrong %s\nto do %s\n", verdict.problem, verdict.advice);
    }
    return verdict.works;
}
