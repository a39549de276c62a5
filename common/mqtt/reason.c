#include "common/mqtt/reason.h"

#include "common/base/check.h"

#include <stddef.h>

struct row {
    const char *text; /* NULL: no such code */
    uint8_t packets;
    uint8_t connack3;
};

enum { REASON_ERROR_MIN = 0x80 };

static const struct row rows[UINT8_MAX + 1] = {
#define REASON(name, value, text, packets, connack3) [value] = {text, packets, connack3},
#include "common/mqtt/reason_list.h"
#undef REASON
};

static const char *const whys[] = {
#define WHY(name, reason, text) [WHY_NUMBER_##name] = text,
#include "common/mqtt/why_list.h"
#undef WHY
};

static const struct row *row_of(enum mqtt_reason reason)
{
    return &rows[(uint8_t)reason];
}

enum mqtt_reason reason_code(enum mqtt_reason reason)
{
    return (enum mqtt_reason)(uint8_t)reason;
}

const char *reason_text(enum mqtt_reason reason)
{
    const char *text = row_of(reason)->text;

    return text != NULL ? text : "unknown";
}

const char *reason_why(enum mqtt_reason reason)
{
    unsigned number = (unsigned)reason >> REASON_CODE_BITS;

    check(number < WHY_NUMBER_END);
    return number != WHY_NUMBER_NONE ? whys[number] : reason_text(reason);
}

bool reason_is_error(enum mqtt_reason reason)
{
    return (uint8_t)reason >= REASON_ERROR_MIN;
}

bool reason_fits(uint8_t value, enum reason_packet packet)
{
    return (rows[value].packets & packet) != 0;
}

uint8_t reason_connack3(enum mqtt_reason reason)
{
    return row_of(reason)->connack3;
}
