#include "common/base/bytes.h"

#include "common/base/check.h"

#include <string.h>

enum { VARINT_SIZE_MAX = 4 };

/* Stands in for NULL, on which even adding 0 is undefined. */
static const uint8_t nothing[1];

struct bytes bytes_of(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common_size = a.size < b.size ? a.size : b.size;
    int order = common_size == 0 ? 0 : memcmp(a.data, b.data, common_size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

struct bytes bytes_from(struct bytes b, size_t offset)
{
    check(offset <= b.size);
    return offset == 0 ? b : (struct bytes){.data = b.data + offset, .size = b.size - offset};
}

struct reader reader_of(struct bytes input)
{
    const uint8_t *data = input.data != NULL ? input.data : nothing;

    return (struct reader){.next = data, .end = data + input.size};
}

size_t reader_left(const struct reader *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->next);
}

/* Steps over `size` bytes and returns where they begin, or NULL. */
static const uint8_t *step(struct reader *r, size_t size)
{
    const uint8_t *here = r->next;

    if (reader_left(r) < size) {
        r->bad = true;
        return NULL;
    }
    r->next += size;
    return here;
}

static uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)load_u16(p) << 16 | load_u16(p + 2);
}

uint8_t reader_u8(struct reader *r)
{
    const uint8_t *p = step(r, 1);

    return p != NULL ? *p : 0;
}

uint16_t reader_u16(struct reader *r)
{
    const uint8_t *p = step(r, 2);

    return p != NULL ? load_u16(p) : 0;
}

uint32_t reader_u32(struct reader *r)
{
    const uint8_t *p = step(r, 4);

    return p != NULL ? load_u32(p) : 0;
}

uint64_t reader_u64(struct reader *r)
{
    const uint8_t *p = step(r, 8);

    return p != NULL ? (uint64_t)load_u32(p) << 32 | load_u32(p + 4) : 0;
}

struct bytes reader_bytes(struct reader *r, size_t size)
{
    const uint8_t *p = step(r, size);

    return (struct bytes){.data = p, .size = p != NULL ? size : 0};
}

struct bytes reader_bytes16(struct reader *r)
{
    return reader_bytes(r, reader_u16(r));
}

uint32_t reader_varint(struct reader *r)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < VARINT_SIZE_MAX; i++) {
        uint8_t byte = reader_u8(r);
        value |= (uint32_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0)
            return r->bad ? 0 : value;
    }
    r->bad = true;
    return 0;
}

struct writer writer_of(uint8_t *memory, size_t size)
{
    return (struct writer){.next = memory, .end = size == 0 ? memory : memory + size};
}

size_t writer_left(const struct writer *w)
{
    return w->bad ? 0 : (size_t)(w->end - w->next);
}

/* Claims `size` bytes, at least one, and returns where they begin, or NULL. */
static uint8_t *claim(struct writer *w, size_t size)
{
    uint8_t *here = w->next;

    if (writer_left(w) < size) {
        w->bad = true;
        return NULL;
    }
    w->next += size;
    return here;
}

static void store_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void store_u32(uint8_t *p, uint32_t value)
{
    store_u16(p, (uint16_t)(value >> 16));
    store_u16(p + 2, (uint16_t)value);
}

void writer_u8(struct writer *w, uint8_t value)
{
    uint8_t *p = claim(w, 1);

    if (p != NULL)
        *p = value;
}

void writer_u16(struct writer *w, uint16_t value)
{
    uint8_t *p = claim(w, 2);

    if (p != NULL)
        store_u16(p, value);
}

void writer_u32(struct writer *w, uint32_t value)
{
    uint8_t *p = claim(w, 4);

    if (p != NULL)
        store_u32(p, value);
}

void writer_u64(struct writer *w, uint64_t value)
{
    uint8_t *p = claim(w, 8);

    if (p == NULL)
        return;
    store_u32(p, (uint32_t)(value >> 32));
    store_u32(p + 4, (uint32_t)value);
}

void writer_bytes(struct writer *w, struct bytes b)
{
    if (b.size == 0)
        return;

    uint8_t *p = claim(w, b.size);
    if (p != NULL)
        memcpy(p, b.data, b.size);
}

void writer_bytes16(struct writer *w, struct bytes b)
{
    if (b.size > UINT16_MAX) {
        w->bad = true;
        return;
    }
    writer_u16(w, (uint16_t)b.size);
    writer_bytes(w, b);
}

void writer_varint(struct writer *w, uint32_t value)
{
    if (value >> (7 * VARINT_SIZE_MAX) != 0) {
        w->bad = true;
        return;
    }
    while (value > 0x7F) {
        writer_u8(w, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    writer_u8(w, (uint8_t)value);
}

size_t writer_varint_size(uint32_t value)
{
    check(value >> (7 * VARINT_SIZE_MAX) == 0);
    return value < 1U << 7 ? 1 : value < 1U << 14 ? 2 : value < 1U << 21 ? 3 : 4;
}
