#ifndef COURTIER_TESTS_STRESS_MODEL_H
#define COURTIER_TESTS_STRESS_MODEL_H

/*
 * A machine with weaker memory than any that we build for, on which the real
 * code runs in all ways there are. A source file that is included after this
 * header has its atomics, and its reads and writes of eventfds, carried out by
 * the machine.
 *
 * Memory is that of C11, told as views: an atomic object keeps all values that
 * were ever stored, in their order; each thread has a view, which says how old a
 * value it may still see of each object. A load picks any that is not older. A
 * release store keeps the view of its thread with the value, an acquire load
 * takes it over; a sequentially consistent fence exchanges views with all other
 * such fences. Plain memory is watched for races (accesses that no such exchange
 * puts in order). Not in it: loads that see stores of the future.
 *
 * All choices (which thread runs next, which value a load sees, who dies where)
 * are tried by depth-first search; a state that was seen before is not entered
 * again.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    MODEL_THREADS_MAX = 3,
    MODEL_SITES_MAX = 64,
    MODEL_SKIPPED = 77 /* exit status */
};

/* Sanitizers lose their way when threads leave their stacks for good. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MODEL_CAN_RUN false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MODEL_CAN_RUN false
#endif
#endif
#ifndef MODEL_CAN_RUN
#define MODEL_CAN_RUN true
#endif

/* A place in the source where an order stronger than relaxed is asked for. */
struct model_site {
    const char *file;
    int line;
};

struct model_thread {
    void (*run)(void);
    void (*succeed)(void); /* runs in its place after its death; NULL: immortal */
};

struct model_scenario {
    const char *name;
    unsigned thread_count;
    struct model_thread threads[MODEL_THREADS_MAX];
    void (*set_up)(void); /* before each execution; names the objects */
    bool mortal;          /* one of the threads with a successor may die, anywhere */
};

struct model_result {
    const char *violation; /* NULL: none in any execution */
    size_t states;
    size_t executions;
};

/* Runs a scenario in all ways until one goes wrong. At the site `weak`, if not
 * NULL, orders are relaxed and fences do nothing. */
struct model_result model_run(const struct model_scenario *scenario, const struct model_site *weak);
/* The sites that all runs so far came through; returns their number. */
size_t model_sites(struct model_site *ret_sites);

/* -- for set_up -- */
/* Makes `address` an object of the machine. Other atomics stay plain memory. */
void model_add_object(const void *address, uint32_t value);

/* -- for threads -- */
void model_expect(bool truth, const char *what);
/* Says that from here on the thread depends on nothing that it was told but on
 * this. Optional: states that differ in what was forgotten then count as one. */
void model_private(const void *data, size_t size);
/* Accesses to watched plain memory: cells are just numbers, from 0. */
void model_plain_write(unsigned cell);
void model_plain_read(unsigned cell);
/* Sleeps until the eventfd (0, 1, ...) has been written. */
void model_await(int fd);

/* -- for the machine -- */
/* One of 0 to count-1; in the end, each. */
unsigned model_choose(unsigned count);

/* -- what the macros below lead to -- */
uint32_t model_load(const void *address, memory_order order, struct model_site site);
void model_store(const void *address, uint32_t value, memory_order order, struct model_site site);
bool model_exchange_if(const void *address, uint32_t *expected, uint32_t value);
void model_fence(memory_order order, struct model_site site);
ssize_t model_write(int fd, const void *data, size_t size);
ssize_t model_read(int fd, void *data, size_t size);

#define MODEL_SITE ((struct model_site){__FILE__, __LINE__})

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_thread_fence
#undef atomic_signal_fence
#define atomic_load_explicit(object, order) model_load(object, order, MODEL_SITE)
#define atomic_store_explicit(object, value, order) model_store(object, value, order, MODEL_SITE)
#define atomic_compare_exchange_strong_explicit(object, expected, value, order, order_failed) \
    model_exchange_if(object, expected, value)
#define atomic_thread_fence(order) model_fence(order, MODEL_SITE)
#define atomic_signal_fence(order) ((void)(order))
#define write model_write
#define read model_read

#endif
