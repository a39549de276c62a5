#include "common/mqtt/utf8.h"

#include <string.h>

enum { WORD_SIZE = sizeof(uint64_t) };

/* Eight bytes that are all in 0x01 to 0x7F. Subtracting one from each byte sets
 * its high bit only where the byte was zero, or borrowed from by a lower zero. */
static bool is_plain_word(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_between(uint8_t byte, uint8_t low, uint8_t high)
{
    return byte >= low && byte <= high;
}

/* Bytes of the well-formed sequence that begins at `p`, or 0 when there is none:
 * table 3-7 of the Unicode standard, which rules out overlong forms, surrogates
 * and what lies beyond U+10FFFF by the range of the second byte. */
static size_t sequence_size(const uint8_t *p, size_t left)
{
    uint8_t lead = p[0];

    if (lead < 0x80)
        return lead != 0; /* [MQTT-1.5.4-2] */
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (left < size)
        return 0;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF; /* [MQTT-1.5.4-1] */
    if (!is_between(p[1], low, high))
        return 0;
    for (size_t i = 2; i < size; i++) {
        if (!is_between(p[i], 0x80, 0xBF))
            return 0;
    }
    return size;
}

bool utf8_is_valid(struct bytes b)
{
    size_t i = 0;

    while (i < b.size) {
        if (b.size - i >= WORD_SIZE && is_plain_word(b.data + i)) {
            i += WORD_SIZE;
            continue;
        }
        size_t size = sequence_size(b.data + i, b.size - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}
