/* See status_link.h. */
#include "fs/status_link.h"

#include "base/json.h"

#include <inttypes.h>

static int set_number(struct json *object, const char *key, uint64_t value)
{
    return json_set_integer(object, key, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static struct json *endpoint_object(const struct link_endpoint_state *state)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_text(object, "address", state->address) < 0 ||
        json_set_text(object, "circuit", state->open ? "open" : "closed") < 0 ||
        set_number(object, "answers", state->answers) < 0 ||
        set_number(object, "opened", state->opened) < 0 ||
        json_set_text(object, "last_failure", state->last_failure) < 0)
        return NULL;
    for (unsigned i = 0; i < LINK_FAILURE_COUNT; i++) {
        char key[32];
        snprintf(key, sizeof key, "failures_%s", link_failure_text(i));
        if (set_number(object, key, state->failures[i]) < 0)
            return NULL;
    }
    return steal_ptr(&object);
}

static struct json *endpoints_array(const struct provide_statistics *statistics)
{
    _cleanup_json_ struct json *array = json_array_new();
    for (unsigned i = 0; array && i < statistics->endpoint_count; i++)
        if (json_append(array, endpoint_object(&statistics->endpoints[i])) < 0)
            return NULL;
    return steal_ptr(&array);
}

struct json *status_link_object(const struct provide_statistics *statistics)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object || json_set_bool(object, "up", statistics->link_up) < 0 ||
        set_number(object, "lookups", statistics->lookups) < 0 ||
        set_number(object, "fetches", statistics->fetches) < 0 ||
        set_number(object, "fetches_under_way", statistics->at_link) < 0 ||
        set_number(object, "failures", statistics->fetch_failures) < 0 ||
        set_number(object, "resumed", statistics->resumed) < 0 ||
        set_number(object, "bytes", statistics->bytes_fetched) < 0 ||
        json_set(object, "addresses", endpoints_array(statistics)) < 0)
        return NULL;
    return steal_ptr(&object);
}

struct json *status_waivers(const struct config_waivers *waivers)
{
    _cleanup_json_ struct json *object = json_object_new();
    if (!object)
        return NULL;
    if ((waivers->link_authentication[0] &&
         json_set_text(object, "link_authentication", waivers->link_authentication) < 0) ||
        (waivers->link_encryption[0] &&
         json_set_text(object, "link_encryption", waivers->link_encryption) < 0))
        return NULL;
    return steal_ptr(&object);
}

void status_link_metrics(const struct provide_statistics *statistics, FILE *out)
{
    fputs("# HELP kosekifs_link_circuit_open 1 while an address of the link system is left alone.\n"
          "# TYPE kosekifs_link_circuit_open gauge\n",
          out);
    for (unsigned i = 0; i < statistics->endpoint_count; i++)
        fprintf(out, "kosekifs_link_circuit_open{address=\"%s\"} %d\n",
                statistics->endpoints[i].address, statistics->endpoints[i].open);
    fputs("# HELP kosekifs_link_failures_total Failures of an address of the link system.\n"
          "# TYPE kosekifs_link_failures_total counter\n",
          out);
    for (unsigned i = 0; i < statistics->endpoint_count; i++)
        for (unsigned j = 0; j < LINK_FAILURE_COUNT; j++)
            fprintf(out, "kosekifs_link_failures_total{address=\"%s\",class=\"%s\"} %" PRIu64 "\n",
                    statistics->endpoints[i].address, link_failure_text(j),
                    statistics->endpoints[i].failures[j]);
}
