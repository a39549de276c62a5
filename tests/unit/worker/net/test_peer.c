#include "worker/net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void expect_text(const void *address, size_t size, const char *expected)
{
    struct peer peer = peer_of(address, (socklen_t)size);
    struct peer_text text = peer_text(&peer);

    assert_string_equal(text.text, expected);
}

static void test_peer_of_ipv4(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1234)};

    (void)state;
    inet_pton(AF_INET, "192.0.2.255", &address.sin_addr);
    expect_text(&address, sizeof(address), "192.0.2.255:1234");
}

static void test_peer_of_ipv6(void **state)
{
    static const struct {
        const char *address;
        const char *text;
    } ROWS[] = {
        {"2001:db8::1", "[2001:db8::1]:65535"},
        {"1111:2222:3333:4444:5555:6666:7777:8888",
         "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"},
        {"::ffff:192.0.2.1", "192.0.2.1:65535"},
    };
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(65535)};

    (void)state;
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        assert_int_equal(inet_pton(AF_INET6, ROWS[i].address, &address.sin6_addr), 1);
        expect_text(&address, sizeof(address), ROWS[i].text);
    }
}

static void test_peer_of_others(void **state)
{
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    struct sockaddr_in cut = {.sin_family = AF_INET};

    (void)state;
    expect_text(&unix_address, sizeof(unix_address.sun_family), "unix");
    expect_text(&cut, 4, "unknown");
    expect_text(&cut, 0, "unknown");
}

static void test_peer_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct peer) <= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_of_ipv4),
        cmocka_unit_test(test_peer_of_ipv6),
        cmocka_unit_test(test_peer_of_others),
        cmocka_unit_test(test_peer_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
