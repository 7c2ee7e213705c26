/* See link_findings.h. */
#include "transport/link_findings.h"

#include "transport/validator.h"

#include <openssl/x509_vfy.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

void link_step_set(struct link_step *step, enum link_step_verdict verdict, const char *hint,
                   const char *format, ...)
{
    va_list arguments;
    step->verdict = verdict;
    va_start(arguments, format);
    if (vsnprintf(step->text, sizeof step->text, format, arguments) < 0)
        step->text[0] = '\0';
    va_end(arguments);
    for (char *c = step->text; *c != '\0'; c++) /* it may quote what the network sent */
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    (void)snprintf(step->hint, sizeof step->hint, "%s", hint);
}

void link_findings_init(struct link_step steps[LINK_STEP_COUNT], const char *text)
{
    memset(steps, 0, sizeof *steps * LINK_STEP_COUNT);
    for (unsigned i = 0; i < LINK_STEP_COUNT; i++) {
        steps[i].kind = (enum link_step_kind)i;
        link_step_set(&steps[i], LINK_STEP_SKIPPED, "", "%s", text);
    }
}

static void set_took(struct link_step *step, int64_t us)
{
    step->took_us = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* --- name and route: true if the next step was reached ---------------------------------------- */

static bool is_address(const char *host)
{
    return strchr(host, ':') || host[strspn(host, "0123456789.")] == '\0';
}

static bool find_name(const struct link_findings_context *context, const struct link_facts *facts,
                      struct link_step *step)
{
    static const char hint[] = "Look at the resolver (getent ahosts), or name the address in "
                               "[link] resolve, so that no name server is asked.";
    bool silent = facts->code == CURLE_OPERATION_TIMEDOUT && facts->name_us == 0;
    if (facts->code == CURLE_COULDNT_RESOLVE_HOST || silent) {
        set_took(step, facts->total_us);
        link_step_set(step, LINK_STEP_FAIL, hint, "%s: %s", context->host, facts->error);
        return false;
    }
    set_took(step, facts->name_us);
    if (is_address(context->host))
        link_step_set(step, LINK_STEP_OK, "", "%s is an address", context->host);
    else
        link_step_set(step, LINK_STEP_OK, "", "%s is known", context->host);
    return true;
}

static bool find_route(const struct link_facts *facts, struct link_step *step)
{
    static const char hint[] =
        "Does the link system listen there, and does each firewall on the way "
        "let this server through (kosekictl firewall)?";
    static const char bind_hint[] = "Look at [link] source_address and interface: this server has "
                                    "no such address or interface that leads there.";
    if (!facts->connected) {
        bool ours =
            facts->code == CURLE_INTERFACE_FAILED || facts->code == CURLE_ABORTED_BY_CALLBACK;
        set_took(step, facts->total_us - facts->name_us);
        link_step_set(step, LINK_STEP_FAIL, ours ? bind_hint : hint, "%s", facts->error);
        return false;
    }
    set_took(step, facts->connect_us);
    if (facts->remote[0])
        link_step_set(step, LINK_STEP_OK, "", "%s from %s", facts->remote, facts->local);
    else
        link_step_set(step, LINK_STEP_OK, "", "connected");
    return true;
}

/* --- TLS and identity ------------------------------------------------------------------------- */

static const char *tls_hint(const struct link_facts *facts)
{
    if (facts->peer.fault == X509_V_ERR_CERT_HAS_EXPIRED)
        return "The link system's certificate has expired: its operator renews it. Look at the "
               "clock of this server too.";
    if (facts->peer.fault == X509_V_ERR_CERT_NOT_YET_VALID)
        return "The certificate is not valid yet: look at the clock of this server.";
    if (facts->peer.fault)
        return "No issuer in [link] ca_file vouches for it. If the link system has a new issuer, "
               "get its certificate by another way and compare the fingerprint; else somebody is "
               "in between.";
    if (facts->code == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
        return "The server has another key than [link] server_pin. Ask its operator by another way "
               "whether it was changed; else somebody is in between.";
    if (facts->code == CURLE_PEER_FAILED_VERIFICATION)
        return "The certificate is for another host than [link] url names.";
    return "Do both sides have a TLS version and cipher in common ([link] tls_min)? Is it TLS that "
           "listens there?";
}

static bool find_tls(const struct link_facts *facts, struct link_step *step)
{
    if (facts->plain) {
        link_step_set(step, LINK_STEP_SKIPPED, "", "waived: http");
        return true;
    }
    const struct link_peer *peer = &facts->peer;
    if (!facts->sent && peer->fault) {
        set_took(step, facts->total_us - facts->name_us - facts->connect_us);
        step->value = peer->days_left;
        link_step_set(step, LINK_STEP_FAIL, tls_hint(facts),
                      "%s: %s, issued by %s, %" PRId64 " days left",
                      X509_verify_cert_error_string(peer->fault), peer->subject, peer->issuer,
                      peer->days_left);
        return false;
    }
    if (!facts->sent) {
        set_took(step, facts->total_us - facts->name_us - facts->connect_us);
        link_step_set(step, LINK_STEP_FAIL, tls_hint(facts), "%s", facts->error);
        return false;
    }
    bool ends = peer->days_left < LINK_DAYS_WARN;
    set_took(step, facts->tls_us);
    step->value = peer->days_left;
    link_step_set(step, ends ? LINK_STEP_WARN : LINK_STEP_OK,
                  ends ? "A certificate of the link system ends soon: its operator renews it, and "
                         "[link] server_pin may have to change with it."
                       : "",
                  "%s %s; %s, issued by %s, chain of %u, %" PRId64 " days left", facts->version,
                  facts->cipher, peer->subject, peer->issuer, peer->certificates, peer->days_left);
    return true;
}

/* What an answer says when the certificate was not to its liking: nginx has 400 for it. */
static bool is_refusal(const struct link_facts *facts)
{
    return facts->judgement.result == LINK_FORBIDDEN || (facts->asked && facts->status == 400);
}

/* True if an answer came that speaks of something else. */
static bool find_identity(const struct link_findings_context *context,
                          const struct link_facts *facts, struct link_step *step)
{
    static const char refused[] =
        "Ask the link system's operator which client certificates it takes: is the issuer of ours "
        "known there, is it revoked, may this agency ask for this certificate?";
    bool alert = strstr(facts->error, " alert ") || facts->code == CURLE_SEND_ERROR ||
                 facts->code == CURLE_RECV_ERROR;
    bool answered = facts->status > 0;
    step->value = context->ours_days_left;
    if (facts->plain || !context->ours) {
        link_step_set(step, LINK_STEP_SKIPPED, "", "waived: we have no certificate to show");
        return answered;
    }
    if (context->ours_expired)
        link_step_set(step, LINK_STEP_FAIL, "Renew [link] certificate_file and its key.",
                      "%s has expired", context->subject);
    else if (facts->not_signed && !answered)
        link_step_set(step, LINK_STEP_FAIL, "Look at kosekifs-keys: kosekictl status, the log.",
                      "kosekifs-keys did not sign: %s", facts->not_signed_reason);
    else if (answered && is_refusal(facts))
        link_step_set(step, LINK_STEP_FAIL, refused, "%s: %s", context->subject,
                      facts->judgement.detail);
    else if (!answered && facts->asked && alert)
        link_step_set(step, LINK_STEP_FAIL, refused, "%s: closed when it was shown: %s",
                      context->subject, facts->error);
    else if (!answered && !facts->connect_only)
        return false;
    else if (!facts->asked)
        link_step_set(step, LINK_STEP_WARN,
                      "The link system lets anybody in: ask its operator to demand client "
                      "certificates (mutual authentication).",
                      "it did not ask for our certificate");
    else if (!answered)
        link_step_set(
            step, LINK_STEP_SKIPPED, "Whether it is accepted shows with a request: --name.",
            "%s was shown, %" PRId64 " days left", context->subject, context->ours_days_left);
    else if (context->ours_days_left < LINK_DAYS_WARN)
        link_step_set(step, LINK_STEP_WARN, "Renew [link] certificate_file and its key.",
                      "%s accepted, %" PRId64 " days left", context->subject,
                      context->ours_days_left);
    else
        link_step_set(step, LINK_STEP_OK, "", "%s accepted, %" PRId64 " days left",
                      context->subject, context->ours_days_left);
    return answered && !is_refusal(facts);
}

/* --- the answer ------------------------------------------------------------------------------- */

static void find_clock(const struct link_facts *facts, struct link_step *step)
{
    static const char hint[] = "One of the two clocks is wrong: compare this one with its time "
                               "server (chronyc tracking, timedatectl), then tell the operator.";
    int64_t ahead_s = facts->date_s - facts->arrived_s;
    int64_t distance_s = ahead_s < 0 ? -ahead_s : ahead_s;
    if (facts->date_s == 0) {
        link_step_set(step, LINK_STEP_WARN,
                      "Traces of both sides can be compared only if clocks "
                      "can; a Date in each answer shows it.",
                      "the answer has no Date");
        return;
    }
    step->value = ahead_s;
    if (distance_s <= LINK_CLOCK_OK_S)
        link_step_set(step, LINK_STEP_OK, "", "the clocks agree within %d s", LINK_CLOCK_OK_S);
    else
        link_step_set(step, distance_s <= LINK_CLOCK_WARN_S ? LINK_STEP_WARN : LINK_STEP_FAIL, hint,
                      "theirs is %" PRId64 " s %s ours", distance_s,
                      ahead_s < 0 ? "behind" : "ahead of");
}

static void find_head(const struct link_facts *facts, struct link_step *step)
{
    const struct response_judgement *judgement = &facts->judgement;
    bool strong = validator_is_strong(&facts->validator);
    set_took(step, facts->answer_us);
    switch (judgement->step) {
    case RESPONSE_HEADERS:
        step->value = (int64_t)judgement->size;
        link_step_set(step, strong ? LINK_STEP_OK : LINK_STEP_WARN,
                      strong ? ""
                             : "Without a strong ETag no transfer can be resumed: each cut "
                               "begins anew.",
                      "status %u, %" PRIu64 " bytes, %s", facts->status, judgement->size,
                      strong                     ? "strong ETag"
                      : facts->validator.etag[0] ? "weak ETag"
                                                 : "no ETag");
        return;
    case RESPONSE_WAIT:
        link_step_set(step, LINK_STEP_WARN,
                      judgement->result == LINK_NOT_READY
                          ? "Try it with a certificate that is there already: --name."
                          : "The link system is busy, or limits us: see Retry-After and "
                            "[link] requests_per_second.",
                      "%s", judgement->detail);
        return;
    default:
        break;
    }
    bool missing = judgement->result == LINK_NOT_FOUND || judgement->result == LINK_GONE;
    link_step_set(step, LINK_STEP_FAIL,
                  missing ? "Try it with a certificate that the link system has: --name."
                          : "Compare with docs/link-protocol.md; a [link] profile fits kosekifs to "
                            "another interface.",
                  "%s", judgement->detail);
}

static void skip_answers(struct link_step *steps)
{
    for (enum link_step_kind kind = LINK_STEP_CLOCK; kind < LINK_STEP_COUNT; kind++)
        link_step_set(&steps[kind], LINK_STEP_SKIPPED, "", "no certificate to ask for");
}

void link_findings_lookup(const struct link_findings_context *context,
                          const struct link_facts *facts, struct link_step *steps)
{
    if (!find_name(context, facts, &steps[LINK_STEP_NAME]) ||
        !find_route(facts, &steps[LINK_STEP_ROUTE]))
        return;
    bool ours = !facts->sent && !facts->plain && facts->peer.fault == 0 &&
                (context->ours_expired || facts->not_signed);
    if (ours) { /* the handshake broke off at our side of it */
        (void)find_identity(context, facts, &steps[LINK_STEP_IDENTITY]);
        return;
    }
    bool shaken = find_tls(facts, &steps[LINK_STEP_TLS]);
    if (!shaken && !facts->asked)
        return;
    if (!find_identity(context, facts, &steps[LINK_STEP_IDENTITY]) && facts->status == 0) {
        if (facts->connect_only && shaken)
            skip_answers(steps);
        else if (shaken && steps[LINK_STEP_IDENTITY].verdict != LINK_STEP_FAIL)
            link_step_set(&steps[LINK_STEP_HEAD], LINK_STEP_FAIL,
                          facts->code == CURLE_OPERATION_TIMEDOUT
                              ? "The connection stands and no answer comes: the link system, or "
                                "what is in front of it, is stuck."
                              : "What listens there gives no HTTP answer: is [link] url right?",
                          "%s", facts->error);
        return;
    }
    find_clock(facts, &steps[LINK_STEP_CLOCK]);
    if (steps[LINK_STEP_IDENTITY].verdict != LINK_STEP_FAIL)
        find_head(facts, &steps[LINK_STEP_HEAD]);
}

/* --- bodies ----------------------------------------------------------------------------------- */

void link_findings_range(const struct link_facts *facts, uint64_t offset, uint64_t size,
                         struct link_step *steps)
{
    static const char hint[] = "The link system should serve ranges as RFC 9110 14 has it; until "
                               "then no cut transfer can be resumed there.";
    struct link_step *step = &steps[LINK_STEP_RANGE];
    set_took(step, facts->total_us);
    if (!facts->judged)
        link_step_set(step, LINK_STEP_FAIL, hint, "%s", facts->error);
    else if (facts->judgement.step == RESPONSE_WHOLE)
        link_step_set(step, LINK_STEP_WARN, hint, "status 200: the range was passed over");
    else if (facts->judgement.step != RESPONSE_REST)
        link_step_set(step, LINK_STEP_FAIL, hint, "%s", facts->judgement.detail);
    else if (facts->code != CURLE_OK || facts->received != size - offset)
        link_step_set(step, LINK_STEP_FAIL, hint, "%" PRIu64 " of %" PRIu64 " bytes came: %s",
                      facts->received, size - offset, facts->error);
    else
        link_step_set(step, LINK_STEP_OK, "",
                      "status 206, bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 ", same ETag", offset,
                      size - 1, size);
}

void link_findings_throughput(const struct link_findings_context *context,
                              const struct link_facts *facts, struct link_step *steps)
{
    struct link_step *step = &steps[LINK_STEP_THROUGHPUT];
    /* With the wait for the first byte: small ones come in one piece, in no time. */
    uint64_t us = (uint64_t)facts->body_ms * 1000 + (uint64_t)facts->answer_us;
    uint64_t ms = us >= 1000 ? us / 1000 : 1;
    uint64_t rate = facts->received * 1000 / ms;
    set_took(step, facts->total_us);
    if (!facts->judged || facts->judgement.step != RESPONSE_WHOLE) {
        link_step_set(step, LINK_STEP_FAIL,
                      "GET should answer as HEAD does: compare with docs/link-protocol.md.", "%s",
                      facts->judged ? facts->judgement.detail : facts->error);
        return;
    }
    step->value = rate > INT64_MAX ? INT64_MAX : (int64_t)rate;
    if (facts->received < facts->wanted && rate < (uint64_t)context->config->low_speed_bytes)
        link_step_set(
            step, LINK_STEP_FAIL,
            "Transfers below [link] low_speed_bytes are cut as stalled: look at the line.",
            "%" PRIu64 " bytes in %" PRIu64 " ms", facts->received, ms);
    else if (facts->code != CURLE_OK)
        link_step_set(step, LINK_STEP_FAIL, "The line, or the link system, breaks bodies off.",
                      "cut after %" PRIu64 " bytes: %s", facts->received, facts->error);
    else
        link_step_set(step, LINK_STEP_OK,
                      facts->received < LINK_SIGNIFICANT
                          ? "A larger certificate would say more: --name."
                          : "",
                      "%" PRIu64 " bytes in %" PRIu64 " ms: %" PRIu64 " KiB/s%s", facts->received,
                      ms, rate / 1024,
                      context->config->bytes_per_second > 0 ? " (limited by [link] "
                                                              "bytes_per_second)"
                                                            : "");
}
