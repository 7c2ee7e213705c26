/* A test of an address of the link system: asked for, heard, given up. See provide_private.h. */
#include "base/clock.h"
#include "base/log.h"
#include "fs/provide_private.h"
#include "transport/link_client.h"

#include <errno.h>
#include <string.h>

enum { GRACE_MS = 5000 }; /* kosekifs-link ends it by itself */

int provide_link_test(struct provide *provide, unsigned endpoint, const struct certname *name,
                      struct provide_link_test *test)
{
    int error = 0;
    provide_lock(provide);
    if (provide->link_test)
        error = -EBUSY;
    else if (provide->link_fd < 0)
        error = -ENOTCONN;
    else
        error = link_client_test(provide->link_fd, LINK_TEST_ID + ++provide->link_tests, endpoint,
                                 name, PROVIDE_LINK_TEST_MS);
    if (error == 0) {
        provide->link_test = test;
        provide->link_test_until_ms = clock_monotonic_ms() + PROVIDE_LINK_TEST_MS + GRACE_MS;
        provide_wake(provide); /* it has a deadline to look after now */
    }
    pthread_mutex_unlock(&provide->lock);
    return error;
}

/* Without the lock. */
static void end_test(struct provide *provide, const char *failure)
{
    provide_lock(provide);
    struct provide_link_test *test = steal_ptr(&provide->link_test);
    provide->link_test_lost = false;
    pthread_mutex_unlock(&provide->lock);
    if (test)
        test->complete(test, failure);
}

void provide_link_tested(struct provide *provide, const struct link_event *event)
{
    provide_lock(provide);
    struct provide_link_test *test = provide->link_test;
    bool ours = test && event->id == LINK_TEST_ID + provide->link_tests;
    if (ours && event->kind == LINK_STEP)
        test->steps[event->step.kind] = event->step;
    pthread_mutex_unlock(&provide->lock);
    if (ours && event->kind == LINK_DONE)
        end_test(provide, event->result == LINK_OK ? NULL : event->detail);
}

int64_t provide_link_test_look(struct provide *provide, int64_t now_ms)
{
    provide_lock(provide);
    bool waiting = provide->link_test, lost = provide->link_test_lost;
    int64_t left_ms = provide->link_test_until_ms - now_ms;
    pthread_mutex_unlock(&provide->lock);
    if (!waiting)
        return INT64_MAX;
    if (!lost && left_ms > 0)
        return left_ms;
    end_test(provide, lost ? "kosekifs-link ended meanwhile" : "kosekifs-link gave no answer");
    return INT64_MAX;
}

void provide_link_test_free(struct provide *provide)
{
    end_test(provide, "the daemon is ending");
}
