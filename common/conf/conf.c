#include "common/conf/conf.h"

#include <stdlib.h>

#include "common/base/check.h"
#include "common/conf/conf_include.h"
#include "common/conf/conf_parse.h"

struct conf *conf_load(const struct conf_arguments *arguments, struct list_node *ret_problems)
{
    struct conf_parse parse;

    if (conf_parse_init(&parse, ret_problems) != 0)
        return NULL;
    if (arguments->file) {
        parse.conf->file = conf_parse_keep(&parse, bytes_of(arguments->file));
        if (parse.conf->file)
            conf_include_file(&parse, parse.conf->file, true);
    }
    return conf_parse_done(&parse, arguments);
}

void conf_free(struct conf *conf)
{
    struct conf_owner *owner = NULL;

    if (!conf)
        return;
    owner = list_owner(conf, struct conf_owner, conf);
    list_for_each(node, &conf->listeners) {
        list_remove(node);
        free(list_owner(node, struct conf_listener, node));
    }
    list_for_each(node, &owner->texts) {
        list_remove(node);
        free(list_owner(node, struct conf_text, node));
    }
    free(owner);
}

void conf_problems_free(struct list_node *problems)
{
    list_for_each(node, problems) {
        struct conf_problem *problem = list_owner(node, struct conf_problem, node);

        list_remove(node);
        free(problem->text);
        free(problem);
    }
}

const struct conf_listener *conf_listener_at(const struct conf *conf, unsigned index)
{
    list_for_each(node, &conf->listeners) {
        const struct conf_listener *listener = list_owner(node, struct conf_listener, node);

        if (listener->index == index)
            return listener;
    }
    unreachable();
}
