/* See control_link.h. */
#include "fs/control_link.h"

#include "base/json.h"
#include "fs/audit.h"
#include "fs/control_fetch.h"

#include <errno.h>
#include <string.h>

struct testing {
    struct provide_link_test test;
    struct control *control;
    uint64_t peer;
    int64_t throughput; /* that the line shall have; 0 = nothing was agreed */
    unsigned addresses;
    char address[LINK_ADDRESS_MAX];
    struct certname name; /* empty: none */
    bool stored;          /* … taken from the store */
};

/* What was agreed for the line is known here, not in kosekifs-link. */
static void compare_with_target(struct testing *testing)
{
    struct link_step *step = &testing->test.steps[LINK_STEP_THROUGHPUT];
    if (step->verdict != LINK_STEP_OK || step->value >= testing->throughput)
        return;
    step->verdict = LINK_STEP_WARN;
    snprintf(step->hint, sizeof step->hint,
             "Below [alerts] throughput (%lld bytes/s): is the line busy, or narrower than agreed?",
             (long long)testing->throughput);
}

static struct json *step_object(const struct link_step *step)
{
    const char *value = link_step_value_text(step->kind);
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "step", link_step_text(step->kind)) < 0 ||
        json_set_text(object, "verdict", link_step_verdict_text(step->verdict)) < 0 ||
        json_set_integer(object, "us", step->took_us) < 0 ||
        json_set_text(object, "text", step->text) < 0 ||
        json_set_text(object, "hint", step->hint) < 0)
        return NULL;
    bool known = value && step->verdict != LINK_STEP_SKIPPED;
    if (known && json_set_integer(object, value, step->value) < 0)
        return NULL;
    return steal_ptr(&object);
}

static struct json *reply_of(const struct testing *testing)
{
    enum link_step_verdict worst = LINK_STEP_SKIPPED;
    _cleanup_json_ struct json *reply = control_reply_ok();
    _cleanup_json_ struct json *steps = json_array_new();
    if (!reply || !steps)
        return NULL;
    for (unsigned i = 0; i < LINK_STEP_COUNT; i++) {
        const struct link_step *step = &testing->test.steps[i];
        worst = step->verdict > worst ? step->verdict : worst;
        if (json_append(steps, step_object(step)) < 0)
            return NULL;
    }
    if (json_set_text(reply, "address", testing->address) < 0 ||
        json_set_integer(reply, "addresses", testing->addresses) < 0 ||
        json_set_text(reply, "name", testing->name.text) < 0 ||
        json_set_bool(reply, "stored", testing->stored) < 0 ||
        json_set_text(reply, "verdict", link_step_verdict_text(worst)) < 0 ||
        json_set(reply, "steps", steal_ptr(&steps)) < 0)
        return NULL;
    return steal_ptr(&reply);
}

static void tested(struct provide_link_test *test, const char *failure)
{
    struct testing *testing = (struct testing *)test;
    compare_with_target(testing);
    control_answer(testing->control, testing->peer,
                   failure ? control_reply_error("the link was not tested: %s", failure)
                           : reply_of(testing));
    free(testing);
}

/* The address that the request names, by its text or its number. */
static bool find_address(const struct control_call *call, struct testing *testing,
                         unsigned *ret_endpoint)
{
    struct provide_statistics statistics;
    const char *address = json_get_text(call->request, "address");
    int64_t index = 0;
    provide_statistics(call->fs->provide, &statistics);
    if (!address && json_get(call->request, "index") &&
        (!json_get_integer(call->request, "index", &index) || index < 0))
        return false;
    testing->addresses = statistics.endpoint_count;
    for (unsigned i = 0; i < statistics.endpoint_count; i++) {
        const char *known = statistics.endpoints[i].address;
        if (address ? strcmp(known, address) != 0 : i != (unsigned)index)
            continue;
        snprintf(testing->address, sizeof testing->address, "%s", known);
        *ret_endpoint = i;
        return true;
    }
    return false;
}

/* One that is stored: the link system has answered for it before. */
static void take_stored(struct mountfs *fs, struct testing *testing)
{
    enum { PAGE = 32 };
    struct cache_entry page[PAGE];
    uint32_t cursor = 0;
    size_t filled = 0;
    if (cache_list(fs->cache, &cursor, page, PAGE, &filled) < 0)
        return;
    for (size_t i = 0; i < filled && !testing->stored; i++) {
        testing->stored = provide_state_of(fs->provide, &page[i]) == PROVIDE_READY;
        if (testing->stored)
            testing->name = page[i].name;
    }
}

/* The line that control_command() wrote has neither the address nor a name that we chose. */
static int record(const struct control_call *call, const struct testing *testing)
{
    const struct audit_event event = {
        .kind = AUDIT_COMMAND,
        .caller = call->caller,
        .name = testing->name.text[0] ? testing->name.text : NULL,
        .reason = "link-test",
        .text = testing->stored         ? "asks for a certificate that is stored"
                : testing->name.text[0] ? "asks for the certificate that was named"
                                        : "asks for nothing",
        .detail = {{"address", testing->address}},
    };
    return audit_write(call->fs->audit, &event);
}

struct json *control_link_test(const struct control_call *call, bool *ret_later)
{
    unsigned endpoint = 0;
    const char *name = json_get_text(call->request, "name");
    _cleanup_free_ struct testing *testing = calloc(1, sizeof *testing);
    if (!testing)
        return NULL;
    testing->test.complete = tested;
    testing->control = call->control;
    testing->peer = call->peer;
    testing->throughput = call->fs->alerting->throughput;
    if (json_get(call->request, "name") && (!name || !certname_parse(name, &testing->name)))
        return control_reply_error("not the name of a certificate");
    if (!find_address(call, testing, &endpoint))
        return control_reply_error("no such address of the link system: see kosekictl status");
    if (!name)
        take_stored(call->fs, testing);
    if (record(call, testing) < 0)
        return control_reply_error("the audit trail cannot be written");
    bool named = testing->name.text[0] != '\0';
    int error = provide_link_test(call->fs->provide, endpoint, named ? &testing->name : NULL,
                                  &testing->test);
    if (error == -EBUSY)
        return control_reply_error("another test of the link is under way");
    if (error < 0)
        return control_reply_error("kosekifs-link cannot be asked: %s", strerror(-error));
    (void)steal_ptr(&testing); /* tested() frees it */
    *ret_later = true;
    return NULL;
}
