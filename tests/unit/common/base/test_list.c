#include "common/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LETTER_COUNT = 4 };

struct letter {
    char value;
    struct list_node node;
};

struct fixture {
    struct list_node head;
    struct letter letters[LETTER_COUNT];
};

static void init(struct fixture *f)
{
    list_init(&f->head);
    for (int i = 0; i < LETTER_COUNT; i++) {
        f->letters[i].value = (char)('a' + i);
        list_init(&f->letters[i].node);
    }
}

/* Forwards and backwards. */
static void assert_letters(struct list_node *head, const char *wanted)
{
    char letters[LETTER_COUNT + 1] = "";
    size_t count = 0;

    list_for_each(node, head)
        letters[count++] = list_owner(node, struct letter, node)->value;
    assert_string_equal(letters, wanted);
    for (struct list_node *node = head->prev; node != head; node = node->prev)
        assert_int_equal(list_owner(node, struct letter, node)->value, wanted[--count]);
    assert_int_equal(count, 0);
}

static void test_list_push_adds_at_either_end(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    assert_true(list_is_empty(&f.head));
    assert_null(list_first(&f.head));
    list_push_back(&f.head, &f.letters[1].node);
    list_push_back(&f.head, &f.letters[2].node);
    list_push_front(&f.head, &f.letters[0].node);
    assert_letters(&f.head, "abc");
    assert_ptr_equal(list_first(&f.head), &f.letters[0].node);
}

static void test_list_insert_before_keeps_the_order(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    list_push_back(&f.head, &f.letters[0].node);
    list_push_back(&f.head, &f.letters[2].node);
    list_insert_before(&f.letters[2].node, &f.letters[1].node);
    assert_letters(&f.head, "abc");
}

static void test_list_remove_twice_is_harmless(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    list_push_back(&f.head, &f.letters[0].node);
    list_push_back(&f.head, &f.letters[1].node);
    assert_true(list_is_linked(&f.letters[0].node));
    list_remove(&f.letters[0].node);
    assert_false(list_is_linked(&f.letters[0].node));
    list_remove(&f.letters[0].node);
    assert_letters(&f.head, "b");
}

static void test_list_take_all_appends_and_empties(void **state)
{
    struct fixture f;
    struct list_node from;

    (void)state;
    init(&f);
    list_init(&from);
    list_take_all(&f.head, &from);
    assert_true(list_is_empty(&f.head));
    list_push_back(&f.head, &f.letters[0].node);
    list_push_back(&from, &f.letters[1].node);
    list_push_back(&from, &f.letters[2].node);
    list_take_all(&f.head, &from);
    assert_letters(&f.head, "abc");
    assert_true(list_is_empty(&from));
}

static void test_list_for_each_lets_the_body_remove_its_node(void **state)
{
    struct fixture f;

    (void)state;
    init(&f);
    for (int i = 0; i < LETTER_COUNT; i++)
        list_push_back(&f.head, &f.letters[i].node);
    list_for_each(node, &f.head) {
        if (list_owner(node, struct letter, node)->value != 'c')
            list_remove(node);
    }
    assert_letters(&f.head, "c");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_push_adds_at_either_end),
        cmocka_unit_test(test_list_insert_before_keeps_the_order),
        cmocka_unit_test(test_list_remove_twice_is_harmless),
        cmocka_unit_test(test_list_take_all_appends_and_empties),
        cmocka_unit_test(test_list_for_each_lets_the_body_remove_its_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
