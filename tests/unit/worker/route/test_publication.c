#include "worker/route/publication.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct publication publication(void)
{
    return (struct publication){
        .topic = bytes_of("topic"),
        .properties = bytes_of("properties"),
        .payload = bytes_of("payload"),
        .message_id = 77,
        .expiry_at_ms = 88,
        .publisher = 99,
        .qos = 2,
        .retain = true,
    };
}

static void test_publication_message_is_made_once(void **state)
{
    (void)state;
    struct publication p = publication();
    struct message *m = publication_message(&p);
    assert_non_null(m);
    assert_ptr_equal(publication_message(&p), m);
    assert_int_equal(m->references, 1);
    assert_int_equal(m->id, 77);
    assert_int_equal(m->expiry_at_ms, 88);
    assert_int_equal(m->qos, 2);
    assert_true(m->retain);
    assert_true(bytes_equal(message_topic(m), p.topic));
    assert_true(bytes_equal(message_properties(m), p.properties));
    assert_true(bytes_equal(message_payload(m), p.payload));
    publication_done(&p);
    assert_null(p.message);
}

static void test_publication_done_without_a_copy(void **state)
{
    (void)state;
    struct publication p = publication();
    publication_done(&p);
    publication_done(&p);
}

static void test_publication_of_shares_the_message(void **state)
{
    (void)state;
    struct publication first = publication();
    struct message *m = publication_message(&first);
    struct publication second = publication_of(m);
    assert_int_equal(m->references, 2);
    assert_ptr_equal(publication_message(&second), m);
    assert_ptr_equal(second.topic.data, message_topic(m).data);
    assert_ptr_equal(second.payload.data, message_payload(m).data);
    assert_true(bytes_equal(second.properties, first.properties));
    assert_int_equal(second.message_id, 77);
    assert_int_equal(second.expiry_at_ms, 88);
    assert_int_equal(second.qos, 2);
    assert_int_equal(second.publisher, 0);
    assert_true(second.retain);
    publication_done(&second);
    assert_int_equal(m->references, 1);
    publication_done(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publication_message_is_made_once),
        cmocka_unit_test(test_publication_done_without_a_copy),
        cmocka_unit_test(test_publication_of_shares_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
