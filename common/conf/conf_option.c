#include "common/conf/conf_option.h"

#include <string.h>

#include "common/base/check.h"
#include "common/conf/conf.h"
#include "common/conf/conf_action.h"
#include "common/conf/conf_include.h"
#include "common/conf/conf_list.h"
#include "common/conf/conf_listener.h"

#define TARGET_GLOBAL struct conf
#define TARGET_LISTENER struct conf_listener
#define FIELD_SIZE(type, field) sizeof(((type *)NULL)->field)

#define VALUE_ROW(keyword_, type_, scope_, reload, field, low, high, standard_, help_) \
    { \
        .keyword = (keyword_), \
        .kind = CONF_KIND_VALUE, \
        .type = CONF_TYPE_##type_, \
        .scope = CONF_SCOPE_##scope_, \
        .is_reloadable = (reload), \
        .field_offset = offsetof(TARGET_##scope_, field), \
        .field_size = FIELD_SIZE(TARGET_##scope_, field), \
        .minimum = (low), \
        .maximum = (high), \
        .standard = (standard_), \
        .help = (help_), \
    },
#define ACTION_ROW(keyword_, type_, scope_, reload, function, low, high, standard_, help_) \
    { \
        .keyword = (keyword_), \
        .kind = CONF_KIND_ACTION, \
        .type = CONF_TYPE_##type_, \
        .scope = CONF_SCOPE_##scope_, \
        .is_reloadable = (reload), \
        .action = (function), \
        .minimum = (low), \
        .maximum = (high), \
        .standard = (standard_), \
        .help = (help_), \
    },
#define OTHER_ROW(keyword_, kind_, harmless, group_, text) \
    { \
        .keyword = (keyword_), \
        .kind = CONF_KIND_##kind_, \
        .type = CONF_TYPE_TEXT, \
        .group = CONF_GROUP_##group_, \
        .standard = (harmless), \
        .help = (text), \
    },
#define IGNORED_ROW(keyword, harmless, group, text) \
    OTHER_ROW(keyword, IGNORED, harmless, group, text)
#define MISSING_ROW(keyword, harmless, group, text) \
    OTHER_ROW(keyword, MISSING, harmless, group, text)
#define BRIDGE_ROW(keyword) MISSING_ROW(keyword, NULL, BRIDGE, CONF_TEXT_BRIDGE)

static const struct conf_option table[] = {
    CONF_LIST(VALUE_ROW, ACTION_ROW, IGNORED_ROW, MISSING_ROW) CONF_BRIDGE_LIST(BRIDGE_ROW)};

/* A maximum that its field could not hold would be cut without a word. */
#define VALUE_FITS(keyword, type, scope, reload, field, low, high, standard, help) \
    _Static_assert(FIELD_SIZE(TARGET_##scope, field) >= 8 || \
                       (uint64_t)(high) >> (8 * (FIELD_SIZE(TARGET_##scope, field) % 8)) == 0, \
                   keyword ": the maximum does not fit into the field");
#define NOTHING(...)
CONF_LIST(VALUE_FITS, NOTHING, NOTHING, NOTHING)

const struct conf_option *conf_option_at(size_t index)
{
    return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}

bool conf_option_is_prefix(const struct conf_option *option)
{
    return option->keyword[strlen(option->keyword) - 1] == '_';
}

static bool matches(const struct conf_option *option, struct bytes keyword)
{
    struct bytes own = bytes_of(option->keyword);

    if (conf_option_is_prefix(option) && keyword.size > own.size)
        keyword.size = own.size;
    return bytes_equal(own, keyword);
}

const struct conf_option *conf_option_find(struct bytes keyword)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (matches(&table[i], keyword))
            return &table[i];
    }
    return NULL;
}

void conf_option_store(const struct conf_option *option, void *target,
                       const struct conf_value *value)
{
    char *field = (char *)target + option->field_offset;
    uint64_t number = (uint64_t)value->number;

    check(option->kind == CONF_KIND_VALUE);
    if (option->type == CONF_TYPE_TEXT) {
        memcpy(field, &value->text, sizeof(value->text));
        return;
    }
    switch (option->field_size) {
    case sizeof(uint8_t):
        memcpy(field, &(uint8_t){(uint8_t)number}, sizeof(uint8_t));
        break;
    case sizeof(uint16_t):
        memcpy(field, &(uint16_t){(uint16_t)number}, sizeof(uint16_t));
        break;
    case sizeof(uint32_t):
        memcpy(field, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        break;
    case sizeof(uint64_t):
        memcpy(field, &number, sizeof(number));
        break;
    default:
        unreachable();
    }
}
