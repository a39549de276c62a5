#include "common/ipc/control.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct pair {
    int master;
    int child;
};

static int open_pair(void **state)
{
    static struct pair pair;
    *state = &pair;
    return control_open_pair(&pair.master, &pair.child);
}

static int close_pair(void **state)
{
    struct pair *pair = *state;
    close(pair->master);
    close(pair->child);
    return 0;
}

static void test_control_receive_gets_conf(void **state)
{
    struct pair *pair = *state;
    struct control_message sent = {.kind = CONTROL_CONF};
    struct control_message got;
    sent.body.conf.inflight_max = 77;
    sent.body.conf.connections_max = -1;
    sent.body.conf.upgrade_outgoing_qos = true;
    assert_int_equal(control_send(pair->master, &sent), 0);
    assert_int_equal(control_receive(pair->child, &got), 0);
    assert_int_equal(got.kind, CONTROL_CONF);
    assert_memory_equal(&got.body.conf, &sent.body.conf, sizeof sent.body.conf);
}

static void test_control_receive_keeps_messages_apart(void **state)
{
    struct pair *pair = *state;
    const struct control_message ping = {.kind = CONTROL_PING, .body.ping = 5};
    const struct control_message stop = {.kind = CONTROL_STOP};
    struct control_message got;
    assert_int_equal(control_send(pair->master, &ping), 0);
    assert_int_equal(control_send(pair->master, &stop), 0);
    assert_int_equal(control_receive(pair->child, &got), 0);
    assert_int_equal(got.kind, CONTROL_PING);
    assert_int_equal(got.body.ping, 5);
    assert_int_equal(control_receive(pair->child, &got), 0);
    assert_int_equal(got.kind, CONTROL_STOP);
    assert_int_equal(control_receive(pair->child, &got), -EAGAIN);
}

static void test_control_send_says_when_full(void **state)
{
    struct pair *pair = *state;
    const struct control_message ping = {.kind = CONTROL_PING, .body.ping = 1};
    int r = 0;
    for (int i = 0; i < 100000 && r == 0; i++)
        r = control_send(pair->master, &ping);
    assert_int_equal(r, -EAGAIN);
}

static void test_control_receive_says_when_other_end_is_gone(void **state)
{
    struct pair *pair = *state;
    struct control_message got;
    close(pair->master);
    assert_int_equal(control_receive(pair->child, &got), -EPIPE);
    pair->master = dup(pair->child);
}

static void test_control_receive_refuses_malformed(void **state)
{
    static const struct {
        uint32_t words[3];
        size_t size;
    } rows[] = {
        {{CONTROL_PING}, 2},        /* no whole kind */
        {{CONTROL_PING}, 4},        /* no body */
        {{CONTROL_PING, 1, 2}, 12}, /* too much body */
        {{0}, 4},                   /* no such kind */
        {{99}, 4},                  /* no such kind */
        {{CONTROL_CONF, 1}, 8},     /* half a body */
    };
    struct pair *pair = *state;
    struct control_message got;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(send(pair->master, rows[i].words, rows[i].size, 0), rows[i].size);
        assert_int_equal(control_receive(pair->child, &got), -EPROTO);
    }
}

static void test_control_receive_refuses_oversized(void **state)
{
    struct pair *pair = *state;
    struct control_message got;
    unsigned char large[4096] = {CONTROL_STOP};
    assert_int_equal(send(pair->master, large, sizeof large, 0), sizeof large);
    assert_int_equal(control_receive(pair->child, &got), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_control_receive_gets_conf, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_control_receive_keeps_messages_apart, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_control_send_says_when_full, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_control_receive_says_when_other_end_is_gone, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_control_receive_refuses_malformed, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_control_receive_refuses_oversized, open_pair,
                                        close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
