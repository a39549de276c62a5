#ifndef COURTIER_COMMON_BASE_BYTES_H
#define COURTIER_COMMON_BASE_BYTES_H

/*
 * A borrowed run of bytes, and the only two ways in which the project takes
 * packets and records apart or puts them together: a reader and a writer with
 * bounds. Both go bad on the first overrun and stay bad, so a decoder may read
 * all its fields and ask once at the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed; data may be NULL only when size is 0. Not NUL-terminated. */
struct bytes {
    const uint8_t *data;
    size_t size;
};

/* The bytes of a NUL-terminated string, without its NUL. */
struct bytes bytes_of(const char *text);
bool bytes_equal(struct bytes a, struct bytes b);
/* memcmp order, shorter first on a common prefix. */
int bytes_compare(struct bytes a, struct bytes b);
/* Bytes from `offset` on; `offset` at most b.size. */
struct bytes bytes_from(struct bytes b, size_t offset);

/* Fields are public so that a reader can live on the stack; use the functions. */
struct reader {
    const uint8_t *next;
    const uint8_t *end;
    bool bad;
};

struct reader reader_of(struct bytes input);
size_t reader_left(const struct reader *r);
/* Each returns 0 (or empty bytes) once the reader is bad. Integers on the wire
 * are big-endian. */
uint8_t reader_u8(struct reader *r);
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
struct bytes reader_bytes(struct reader *r, size_t size);
/* Two-byte length, then that many bytes. */
struct bytes reader_bytes16(struct reader *r);
/* Variable byte integer, at most 4 bytes [MQTT-1.5.5-1]; a fifth makes the
 * reader bad. */
uint32_t reader_varint(struct reader *r);

struct writer {
    uint8_t *next;
    uint8_t *end;
    bool bad;
};

/* Writes into memory of the caller. */
struct writer writer_of(uint8_t *memory, size_t size);
size_t writer_left(const struct writer *w);
void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, struct bytes b);
/* Two-byte length, then the bytes; bad when b.size is over 65535. */
void writer_bytes16(struct writer *w, struct bytes b);
/* Shortest form of a variable byte integer; bad over 268435455. */
void writer_varint(struct writer *w, uint32_t value);
/* Bytes that writer_varint needs: 1 to 4; value at most 268435455. */
size_t writer_varint_size(uint32_t value);

#endif
