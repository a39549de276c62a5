#ifndef COURTIER_TESTS_STRESS_MODEL_MEMORY_H
#define COURTIER_TESTS_STRESS_MODEL_MEMORY_H

/*
 * The memory of the machine of model.h: values, views, and what a thread may see.
 * Threads are numbers from 0. One memory, because there is one machine.
 */

#include <stdbool.h>
#include <stdint.h>

void model_memory_reset(unsigned thread_count);
/* Equal for memories that the threads in `alive` (a bit each) can't tell apart. */
uint64_t model_memory_hash(uint64_t hash, unsigned alive);
/* Spreads `value` over `hash`. */
uint64_t model_memory_mix(uint64_t hash, uint64_t value);

void model_memory_add(const void *address, uint32_t value);
bool model_memory_has(const void *address);

/* On objects that were added. Which value is seen, and where a store comes among
 * others, is chosen with model_choose(). */
uint32_t model_memory_load(unsigned thread, const void *address, bool acquire);
void model_memory_store(unsigned thread, const void *address, uint32_t value, bool release);
/* Returns the value that it saw; relaxed. */
uint32_t model_memory_exchange_if(unsigned thread, const void *address, uint32_t expected,
                                  uint32_t value);
void model_memory_fence(unsigned thread);

/* What a thread knows goes into an eventfd, and to whom it wakes. */
void model_memory_tell(unsigned thread, int fd);
void model_memory_hear(unsigned thread, int fd);

/* The kind of race, or NULL. */
const char *model_memory_write_plain(unsigned thread, unsigned cell);
const char *model_memory_read_plain(unsigned thread, unsigned cell);

#endif
