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

static struct json *reading_object(const struct link_reading *reading)
{
    _cleanup_json_ struct json *object = json_object_new();
    uint64_t fetches = reading->fetches;
    if (!object || set_number(object, "fetches", fetches) < 0 ||
        set_number(object, "bytes_per_second", link_reading_rate(reading)) < 0 ||
        set_number(object, "queued_ms_mean", fetches ? (uint64_t)reading->queued_ms / fetches : 0) <
            0 ||
        set_number(object, "queued_ms_max", (uint64_t)reading->queued_max_ms) < 0)
        return NULL;
    return steal_ptr(&object);
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
        set_number(object, "queued", statistics->queued) < 0 ||
        set_number(object, "preparing", statistics->preparing) < 0 ||
        json_set(object, "line", reading_object(&statistics->line)) < 0 ||
        json_set(object, "line_lately", reading_object(&statistics->line_lately)) < 0 ||
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
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } metrics[] = {
        {"link_queued", "gauge", "Fetches that wait for a place at the link.", statistics->queued},
        {"link_preparing", "gauge", "Certificates that the link system prepares.",
         statistics->preparing},
        {"link_busy_milliseconds_total", "counter", "Time in which bodies were on their way.",
         (uint64_t)statistics->line.busy_ms},
        {"link_queueing_milliseconds_total", "counter", "Time that fetches waited for a place.",
         (uint64_t)statistics->line.queued_ms},
        {"link_places_total", "counter", "Fetches that had a place.", statistics->line.fetches},
        {"link_throughput_bytes_per_second", "gauge", "Of the last window while in use.",
         link_reading_rate(&statistics->line_lately)},
        {"link_partial_bytes_total", "counter", "Bytes stored of bodies on their way.",
         statistics->partial_bytes},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        fprintf(out, "# HELP kosekifs_%s %s\n# TYPE kosekifs_%s %s\nkosekifs_%s %" PRIu64 "\n",
                metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type, metrics[i].name,
                metrics[i].value);
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
