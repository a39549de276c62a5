#ifndef COURTIER_TESTS_POWER_POWER_FACT_H
#define COURTIER_TESTS_POWER_POWER_FACT_H

/*
 * What the store keeps, row by row, as lines of text: "kind key | content". The model
 * writes them from what was said, the check from what came back, and they must be the
 * same. A set of lines has a sum, which tells it from every other.
 */

#include "shm/record_journal.h"

#include <stddef.h>
#include <stdint.h>

enum { POWER_LINE_MAX = 1024 };

/* The line of a row: a SESSION, SUBSCRIBE, RECEIVED, ENQUEUE, KEEP_RETAINED or
 * KEEP_WILL; `message` is NULL where none belongs to it. */
void power_fact_line(const struct record_journal *journal, const struct record_message *message,
                     char line[POWER_LINE_MAX]);
/* Bytes of the line that name the row. */
size_t power_fact_key_size(const char *line);
/* To be added up. */
uint64_t power_fact_sum(const char *line);

/* A message that its number says all about. */
enum power_use { POWER_DELIVERY, POWER_RETAINED, POWER_CLEAR, POWER_WILL };
struct power_message {
    struct record_message message; /* borrows from below */
    char topic[64];
    char client_id[32];
    uint8_t payload[64 * 1024];
};
/* `slot` (below 16) is which retained topic, or client. */
uint64_t power_fact_message_id(uint64_t count, unsigned worker, enum power_use use, unsigned slot);
void power_fact_message(uint64_t message_id, struct power_message *ret_message);

#endif
