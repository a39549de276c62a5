#include "worker/protocol/sys_load.h"

#include "common/base/hash.h"
#include "shm/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct scene {
    struct region region;
    struct sys_load load;
    unsigned count; /* of the topics in one round */
    char received_1min[32];
};

static void open_scene(struct scene *s)
{
    *s = (struct scene){0};
    hash_start();
    assert_int_equal(region_open(&s->region, 1, 65536, false), 0);
    sys_load_init(&s->load, &s->region, 1000);
}

static void on_publish(void *context, const char *name, const char *value)
{
    struct scene *s = context;
    s->count++;
    if (strcmp(name, "load/messages/received/1min") == 0)
        strcpy(s->received_1min, value);
}

static void take_round(struct scene *s, uint64_t now_ms)
{
    s->count = 0;
    sys_load_publish(&s->load, &s->region, now_ms, on_publish, s);
    assert_int_equal(s->count, SYS_LOAD_COUNT * SYS_LOAD_SPANS);
}

static void test_sys_load_publish_begins_with_zero(void **state)
{
    struct scene s;
    (void)state;
    open_scene(&s);
    take_round(&s, 1000);
    assert_string_equal(s.received_1min, "0.00");
    region_close(&s.region);
}

static void test_sys_load_publish_comes_near_a_steady_rate(void **state)
{
    struct scene s;
    (void)state;
    open_scene(&s);
    for (unsigned round = 1; round <= 100; round++) {
        stats_add(stats_of(&s.region, 0), STAT_messages_received, 10);
        take_round(&s, 1000 + round * 10000);
    }
    assert_string_equal(s.received_1min, "60.00");
    region_close(&s.region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sys_load_publish_begins_with_zero),
        cmocka_unit_test(test_sys_load_publish_comes_near_a_steady_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
