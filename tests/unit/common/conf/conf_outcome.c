#include "tests/unit/common/conf/conf_outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/conf/conf_parse.h"

void conf_outcome_collect(struct conf_outcome *outcome, struct list_node *problems)
{
    size_t size = 0;

    outcome->problems[0] = '\0';
    list_for_each(node, problems) {
        const struct conf_problem *problem = list_owner(node, struct conf_problem, node);

        assert_non_null(strstr(problem->text, problem->is_error ? ": error: " : ": warning: "));
        size += (size_t)snprintf(outcome->problems + size, CONF_OUTCOME_PROBLEMS_SIZE - size,
                                 "%s%s", size ? "\n" : "", problem->text);
        assert_true(size < CONF_OUTCOME_PROBLEMS_SIZE);
    }
    conf_problems_free(problems);
    assert_true(list_is_empty(problems));
}

void conf_outcome_parse_with(struct conf_outcome *outcome, struct bytes text,
                             const struct conf_arguments *arguments)
{
    struct list_node problems;
    struct conf_parse parse;

    list_init(&problems);
    assert_int_equal(conf_parse_init(&parse, &problems), 0);
    conf_parse_text(&parse, text, "f", true);
    outcome->conf = conf_parse_done(&parse, arguments);
    conf_outcome_collect(outcome, &problems);
}

void conf_outcome_parse(struct conf_outcome *outcome, const char *text)
{
    const struct conf_arguments arguments = {.port_count = 0};

    conf_outcome_parse_with(outcome, bytes_of(text), &arguments);
}

struct conf *conf_outcome_parse_well(const char *text)
{
    struct conf_outcome outcome;

    conf_outcome_parse(&outcome, text);
    assert_string_equal(outcome.problems, "");
    assert_non_null(outcome.conf);
    return outcome.conf;
}

const struct conf_listener *conf_outcome_listener(const struct conf *conf, unsigned index)
{
    list_for_each(node, &conf->listeners) {
        const struct conf_listener *listener = list_owner(node, struct conf_listener, node);

        if (listener->index == index)
            return listener;
    }
    fail();
    return NULL;
}
