#include "tests/stress/model.h"

#include "common/base/check.h"
#include "tests/stress/model_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum {
    CHOICES_MAX = 4096,
    STACK_SIZE = 64 * 1024,
    STATES_MAX = 1 << 20 /* power of two */
};

enum life { RUNNING, WAITING, DONE };

struct thread {
    uint64_t trace; /* of all it was told: stands for its private state */
    enum life life;
    int waits_for;
    bool has_told; /* since it was last asked to let others go first */
};

struct choice {
    unsigned taken;
    unsigned count;
};

/* The macros and the threads have no argument to carry it in. */
static struct model {
    struct thread threads[MODEL_THREADS_MAX];
    bool is_readable[MODEL_THREADS_MAX]; /* eventfds */
    bool has_died;
    const struct model_scenario *scenario;
    const struct model_site *weak;
    struct model_result result;
    bool is_over; /* this execution: seen before, failed, or ended */
    unsigned self;
    ucontext_t main_context;
    ucontext_t contexts[MODEL_THREADS_MAX];
    _Alignas(64) unsigned char stacks[MODEL_THREADS_MAX][STACK_SIZE];
    struct choice path[CHOICES_MAX];
    unsigned path_length;
    unsigned depth;
    uint64_t *states; /* hash set; 0: free */
    struct model_site sites[MODEL_SITES_MAX];
    size_t site_count;
} model;

/* -- choices -- */

unsigned model_choose(unsigned count)
{
    if (count == 1)
        return 0;
    if (model.depth == model.path_length) {
        check(model.path_length < CHOICES_MAX);
        model.path[model.path_length++] = (struct choice){.taken = 0, .count = count};
    }
    check(model.path[model.depth].count == count);
    return model.path[model.depth++].taken;
}

/* Goes on to the next path; false when there is none. */
static bool take_next_path(void)
{
    while (model.path_length > 0) {
        struct choice *last = &model.path[model.path_length - 1];

        if (++last->taken < last->count)
            return true;
        model.path_length--;
    }
    return false;
}

/* -- states -- */

static uint64_t hash_state(void)
{
    unsigned alive = 0;
    uint64_t hash = 1;

    for (unsigned i = 0; i < model.scenario->thread_count; i++) {
        const struct thread *thread = &model.threads[i];

        hash = model_memory_mix(hash, model.is_readable[i]);
        hash = model_memory_mix(hash, thread->life);
        if (thread->life == DONE)
            continue;
        hash = model_memory_mix(hash, thread->trace);
        hash = model_memory_mix(hash, thread->has_told);
        alive |= 1U << i;
    }
    return model_memory_hash(model_memory_mix(hash, model.has_died), alive) | 1;
}

/* Has this state been seen? If not, it has now. */
static bool was_here(void)
{
    uint64_t hash = hash_state();
    size_t i = hash >> 20 & (STATES_MAX - 1);

    for (; model.states[i] != 0; i = (i + 1) & (STATES_MAX - 1)) {
        if (model.states[i] == hash)
            return true;
    }
    model.states[i] = hash;
    check(++model.result.states < STATES_MAX / 4 * 3);
    return false;
}

/* -- threads -- */

static struct thread *self(void)
{
    return &model.threads[model.self];
}

static void end_execution(void)
{
    model.is_over = true;
    setcontext(&model.main_context);
}

static void violate(const char *what)
{
    model.result.violation = what;
    end_execution();
}

static void remember(uint64_t told)
{
    self()->trace = model_memory_mix(self()->trace + 1, told);
}

static bool can_run(unsigned thread)
{
    const struct thread *t = &model.threads[thread];

    return t->life == RUNNING || (t->life == WAITING && model.is_readable[t->waits_for]);
}

/* Lets some thread go on; returns when it is the caller's turn. */
static void choose_thread(void)
{
    unsigned runnable[MODEL_THREADS_MAX];
    unsigned count = 0;
    unsigned before = model.self;
    bool all_done = true;

    if (model.depth == model.path_length && was_here())
        end_execution();
    for (unsigned i = 0; i < model.scenario->thread_count; i++) {
        all_done = all_done && model.threads[i].life == DONE;
        if (can_run(i))
            runnable[count++] = i;
    }
    if (all_done)
        end_execution();
    if (count == 0)
        violate("a wake-up is lost");
    model.self = runnable[model_choose(count)];
    self()->has_told = false;
    if (model.self != before)
        swapcontext(&model.contexts[before], &model.contexts[model.self]);
}

static void prepare(unsigned thread, void (*entry)(void))
{
    ucontext_t *context = &model.contexts[thread];

    check(getcontext(context) == 0);
    context->uc_stack.ss_sp = model.stacks[thread];
    context->uc_stack.ss_size = STACK_SIZE;
    context->uc_link = NULL;
    makecontext(context, entry, 0);
    model.threads[thread].has_told = true;
}

static void enter_successor(void)
{
    model.scenario->threads[model.self].succeed();
    self()->life = DONE;
    choose_thread();
}

/* What a process leaves is what it has stored: its successor, whom the master
 * starts when it has seen the death, knows all that it knew. */
static void may_die(void)
{
    if (!model.scenario->mortal || model.has_died ||
        model.scenario->threads[model.self].succeed == NULL || model_choose(2) == 0)
        return;
    model.has_died = true;
    self()->trace = 1;
    self()->life = RUNNING;
    prepare(model.self, enter_successor);
    setcontext(&model.contexts[model.self]);
}

static void enter_thread(void)
{
    model.scenario->threads[model.self].run();
    may_die();
    self()->life = DONE;
    choose_thread();
}

/*
 * Which of two threads goes first matters less often than one would think. A
 * load may be put off while others act: it can still see what it saw. A store
 * may be made earlier than what others do before it: nobody is forced to see it.
 * So loads, then at most one act of another kind, then stores are one step
 * (Lipton's reduction), and others need to be let in only before a load or such
 * an act that follows a store or such an act. Deaths count before each of them
 * but loads.
 */
static void before_load(void)
{
    if (self()->has_told)
        choose_thread();
}

static void before_store(void)
{
    may_die();
    self()->has_told = true;
}

static void before_other(void)
{
    may_die();
    if (self()->has_told)
        choose_thread();
    self()->has_told = true;
}

/* -- acts of threads -- */

/* The order that holds at a site: what it asks for, or relaxed. */
static memory_order order_at(memory_order order, struct model_site site)
{
    size_t i = 0;

    if (order == memory_order_relaxed)
        return order;
    if (model.weak != NULL && model.weak->line == site.line &&
        strcmp(model.weak->file, site.file) == 0)
        return memory_order_relaxed;
    while (i < model.site_count &&
           (model.sites[i].line != site.line || strcmp(model.sites[i].file, site.file) != 0))
        i++;
    check(i < MODEL_SITES_MAX);
    if (i == model.site_count)
        model.sites[model.site_count++] = site;
    return order;
}

uint32_t model_load(const void *address, memory_order order, struct model_site site)
{
    uint32_t value;

    if (!model_memory_has(address))
        return *(const uint32_t *)address;
    before_load();
    value = model_memory_load(model.self, address, order_at(order, site) == memory_order_acquire);
    remember(value);
    return value;
}

void model_store(const void *address, uint32_t value, memory_order order, struct model_site site)
{
    if (!model_memory_has(address)) {
        memcpy((void *)(uintptr_t)address, &value, sizeof value);
        return;
    }
    before_store();
    model_memory_store(model.self, address, value, order_at(order, site) == memory_order_release);
    remember(0);
}

bool model_exchange_if(const void *address, uint32_t *expected, uint32_t value)
{
    uint32_t seen;
    bool done;

    before_other();
    seen = model_memory_exchange_if(model.self, address, *expected, value);
    done = seen == *expected;
    *expected = seen;
    remember(seen);
    return done;
}

void model_fence(memory_order order, struct model_site site)
{
    if (order_at(order, site) != memory_order_seq_cst)
        return;
    before_other();
    model_memory_fence(model.self);
    remember(0);
}

ssize_t model_write(int fd, const void *data, size_t size)
{
    (void)data;
    before_other();
    model.is_readable[fd] = true;
    model_memory_tell(model.self, fd);
    remember(0);
    return (ssize_t)size;
}

ssize_t model_read(int fd, void *data, size_t size)
{
    before_other();
    memset(data, 0, size);
    model.is_readable[fd] = false;
    model_memory_hear(model.self, fd);
    remember(0);
    return (ssize_t)size;
}

void model_await(int fd)
{
    may_die();
    self()->life = WAITING;
    self()->waits_for = fd;
    choose_thread();
    self()->life = RUNNING;
    self()->has_told = true;
    model_memory_hear(model.self, fd);
    remember(0);
}

static void violate_if(const char *what)
{
    if (what != NULL)
        violate(what);
}

void model_plain_write(unsigned cell)
{
    violate_if(model_memory_write_plain(model.self, cell));
}

void model_plain_read(unsigned cell)
{
    violate_if(model_memory_read_plain(model.self, cell));
}

/* -- runs -- */

void model_add_object(const void *address, uint32_t value)
{
    model_memory_add(address, value);
}

void model_private(const void *data, size_t size)
{
    const unsigned char *bytes = data;

    self()->trace = 1;
    for (size_t i = 0; i < size; i++)
        remember(bytes[i]);
}

void model_expect(bool truth, const char *what)
{
    if (!truth)
        violate(what);
}

/* A check of the code under test failed: a violation like others. */
_Noreturn void check_failed(const char *file, int line, const char *text)
{
    if (strstr(file, "model") == NULL)
        violate(text);
    fprintf(stderr, "%s:%d: %s\n", file, line, text);
    abort();
}

static void execute(void)
{
    memset(model.threads, 0, sizeof model.threads);
    memset(model.is_readable, 0, sizeof model.is_readable);
    model.has_died = false;
    model_memory_reset(model.scenario->thread_count);
    model.depth = 0;
    model.is_over = false;
    model.scenario->set_up();
    for (unsigned i = 0; i < model.scenario->thread_count; i++)
        prepare(i, enter_thread);
    model.self = 0;
    getcontext(&model.main_context);
    if (!model.is_over)
        setcontext(&model.contexts[0]);
    model.result.executions++;
}

struct model_result model_run(const struct model_scenario *scenario, const struct model_site *weak)
{
    model.scenario = scenario;
    model.weak = weak;
    model.result = (struct model_result){0};
    model.path_length = 0;
    model.states = calloc(STATES_MAX, sizeof model.states[0]);
    check(model.states != NULL);
    do {
        execute();
    } while (model.result.violation == NULL && take_next_path());
    free(model.states);
    return model.result;
}

size_t model_sites(struct model_site *ret_sites)
{
    memcpy(ret_sites, model.sites, model.site_count * sizeof model.sites[0]);
    return model.site_count;
}
