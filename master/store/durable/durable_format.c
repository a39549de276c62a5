#include "master/store/durable/durable_format.h"

#include <errno.h>

/* 1 had no counts of what waits; no release wrote it. */
enum { FORMAT = 4 };

#define MAGIC 0x43525452U /* "CRTR" */

void durable_format_write(uint8_t memory[DURABLE_FORMAT_SIZE])
{
    struct writer w = writer_of(memory, DURABLE_FORMAT_SIZE);
    writer_u32(&w, MAGIC);
    writer_u32(&w, FORMAT);
    writer_u32(&w, ~(uint32_t)FORMAT);
}

int durable_format_judge(struct bytes value)
{
    struct reader reader = reader_of(value);
    uint32_t magic = reader_u32(&reader);
    uint32_t format = reader_u32(&reader);
    if (reader_u32(&reader) != ~format || reader.bad || magic != MAGIC)
        return -ENOENT;
    return format != FORMAT ? -EPROTO : 0;
}
