#include "tests/bench/bench_shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static void *map(size_t count, size_t size)
{
    void *memory =
        mmap(NULL, count * size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("courtier-bench: mmap");
        exit(2);
    }
    return memory;
}

struct bench_shared *bench_shared_open(uint32_t processes, uint32_t publishers)
{
    struct bench_shared *s = map(1, sizeof(*s));
    s->processes = processes;
    s->publishers = publishers;
    s->slots = map(processes, sizeof(*s->slots));
    s->sent = map(publishers + 1, sizeof(*s->sent));
    s->tallies = map((size_t)processes * (publishers + 1), sizeof(*s->tallies));
    s->arrived = map((size_t)processes * (publishers + 1), sizeof(*s->arrived));
    return s;
}

uint64_t bench_shared_sum(struct bench_shared *s, size_t counter_offset)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->processes; i++)
        sum += bench_counter_get((bench_counter *)(void *)((char *)&s->slots[i] + counter_offset));
    return sum;
}

void bench_shared_enter(struct bench_shared *s, enum bench_phase phase, uint64_t start_ns)
{
    bench_counter_set(&s->start_ns, start_ns);
    atomic_store_explicit(&s->phase, (int)phase, memory_order_release);
}

enum bench_phase bench_shared_phase(struct bench_shared *s, uint64_t *ret_start_ns)
{
    int phase = atomic_load_explicit(&s->phase, memory_order_acquire);
    *ret_start_ns = bench_counter_get(&s->start_ns);
    return (enum bench_phase)phase;
}

void bench_shared_confirm(struct bench_slot *slot, enum bench_phase phase)
{
    atomic_store_explicit(&slot->seen, (int)phase, memory_order_release);
}

bool bench_shared_is_confirmed(struct bench_shared *s)
{
    int phase = atomic_load_explicit(&s->phase, memory_order_relaxed);
    for (uint32_t i = 0; i < s->processes; i++) {
        if (atomic_load_explicit(&s->slots[i].seen, memory_order_acquire) != phase)
            return false;
    }
    return true;
}

uint64_t bench_shared_last_ns(struct bench_shared *s)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < s->processes; i++) {
        uint64_t ns = bench_counter_get(&s->slots[i].last_ns);
        last = ns > last ? ns : last;
    }
    return last;
}

uint64_t bench_shared_sent_ever(struct bench_shared *s)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->publishers; i++)
        sum += bench_counter_get(&s->sent[i]);
    return sum;
}

uint64_t bench_shared_arrived(struct bench_shared *s, uint32_t publisher)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < s->processes; i++)
        sum += bench_counter_get(&s->arrived[i * s->publishers + publisher]);
    return sum;
}

void bench_shared_reset(struct bench_slot *slot, bool handshakes_too)
{
    bench_counter *counters[] = {&slot->due,      &slot->sent,     &slot->settled, &slot->received,
                                 &slot->repeated, &slot->connects, &slot->reads,   &slot->writes};
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        bench_counter_set(counters[i], 0);
    memset(&slot->latency, 0, sizeof(slot->latency));
    memset(&slot->ack, 0, sizeof(slot->ack));
    memset(&slot->lag, 0, sizeof(slot->lag));
    if (!handshakes_too)
        return;
    memset(&slot->connect, 0, sizeof(slot->connect));
    memset(&slot->subscribe, 0, sizeof(slot->subscribe));
}

uint64_t bench_shared_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
