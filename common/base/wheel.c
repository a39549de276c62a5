/*
 * Time is a number in base 64, eleven digits long. A timer waits on the level
 * of the highest digit in which its deadline differs from now, in the slot of
 * its deadline's digit there:
 *
 *     now       ...  0  5 17      a timer for 0 5 40 waits on level 0, slot 40
 *     level     ...  2  1  0      a timer for 0 9 40 waits on level 1, slot  9
 *
 * So every occupied slot lies ahead of now on its level, all that waits on a
 * level comes before all that waits on the next higher one, and a timer's place
 * follows from its deadline and now alone. When now reaches a slot, its timers
 * are sorted in again: they share one more digit with now and fall to a lower
 * level, or are due. A timer moves at most once per level, whatever time does
 * in between.
 */

#include "common/base/wheel.h"

#include "common/base/check.h"

#include <stdlib.h>

enum {
    DIGIT_BITS = 6,
    SLOT_COUNT = 1 << DIGIT_BITS,
    LEVEL_COUNT = (64 + DIGIT_BITS - 1) / DIGIT_BITS
};

struct wheel {
    uint64_t now_ms;
    void *context;
    struct list_node due;           /* expired, callback not yet run */
    struct list_node turn_end;      /* mark in `due` while wheel_advance runs */
    uint64_t occupied[LEVEL_COUNT]; /* one bit per slot that is not empty */
    struct list_node slots[LEVEL_COUNT][SLOT_COUNT];
};

struct place {
    unsigned level;
    unsigned slot;
};

struct wheel *wheel_new(uint64_t now_ms, void *context)
{
    struct wheel *wheel = calloc(1, sizeof *wheel);

    if (wheel == NULL)
        fatal("no memory for a timer wheel");
    wheel->now_ms = now_ms;
    wheel->context = context;
    list_init(&wheel->due);
    list_init(&wheel->turn_end);
    for (unsigned level = 0; level < LEVEL_COUNT; level++) {
        for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
            list_init(&wheel->slots[level][slot]);
    }
    return wheel;
}

void wheel_free(struct wheel *wheel)
{
    free(wheel);
}

void wheel_timer_init(struct wheel_timer *timer, wheel_fn on_expiry)
{
    *timer = (struct wheel_timer){.on_expiry = on_expiry};
    list_init(&timer->node);
}

bool wheel_timer_is_running(const struct wheel_timer *timer)
{
    return list_is_linked(&timer->node);
}

/* Where a deadline that is ahead of now waits. */
static struct place place_of(const struct wheel *wheel, uint64_t deadline_ms)
{
    unsigned highest_bit = 63 - (unsigned)__builtin_clzll(deadline_ms ^ wheel->now_ms);
    unsigned level = highest_bit / DIGIT_BITS;

    return (struct place){
        .level = level,
        .slot = (unsigned)(deadline_ms >> (level * DIGIT_BITS)) & (SLOT_COUNT - 1),
    };
}

static void sort_in(struct wheel *wheel, struct wheel_timer *timer)
{
    if (timer->deadline_ms <= wheel->now_ms) {
        list_push_back(&wheel->due, &timer->node);
        return;
    }
    struct place place = place_of(wheel, timer->deadline_ms);
    list_push_back(&wheel->slots[place.level][place.slot], &timer->node);
    wheel->occupied[place.level] |= UINT64_C(1) << place.slot;
}

void wheel_start(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms)
{
    wheel_stop(wheel, timer);
    timer->deadline_ms = deadline_ms;
    sort_in(wheel, timer);
}

void wheel_stop(struct wheel *wheel, struct wheel_timer *timer)
{
    if (!wheel_timer_is_running(timer))
        return;
    list_remove(&timer->node);
    if (timer->deadline_ms <= wheel->now_ms)
        return; /* it was due and stood in no slot */
    struct place place = place_of(wheel, timer->deadline_ms);
    if (list_is_empty(&wheel->slots[place.level][place.slot]))
        wheel->occupied[place.level] &= ~(UINT64_C(1) << place.slot);
}

/* The first occupied slot in the order of time, and when it begins. */
static bool find_first_slot(const struct wheel *wheel, struct place *ret_place, uint64_t *ret_ms)
{
    for (unsigned level = 0; level < LEVEL_COUNT; level++) {
        if (wheel->occupied[level] == 0)
            continue;
        unsigned slot = (unsigned)__builtin_ctzll(wheel->occupied[level]);
        unsigned shift = level * DIGIT_BITS;
        uint64_t higher_digits = wheel->now_ms >> shift & ~(uint64_t)(SLOT_COUNT - 1);
        *ret_place = (struct place){.level = level, .slot = slot};
        *ret_ms = (higher_digits | slot) << shift;
        return true;
    }
    return false;
}

static void sort_slot_down(struct wheel *wheel, struct place place)
{
    struct list_node *slot = &wheel->slots[place.level][place.slot];

    wheel->occupied[place.level] &= ~(UINT64_C(1) << place.slot);
    list_for_each(node, slot) {
        list_remove(node);
        sort_in(wheel, list_owner(node, struct wheel_timer, node));
    }
}

/* Goes from occupied slot to occupied slot, so that a jump over days costs no
 * more than the timers that it passes. */
static void move_time(struct wheel *wheel, uint64_t now_ms)
{
    struct place place;
    uint64_t start_ms;

    if (now_ms <= wheel->now_ms)
        return;
    while (find_first_slot(wheel, &place, &start_ms) && start_ms <= now_ms) {
        wheel->now_ms = start_ms;
        sort_slot_down(wheel, place);
    }
    wheel->now_ms = now_ms;
}

unsigned wheel_advance(struct wheel *wheel, uint64_t now_ms, unsigned limit)
{
    unsigned ran_count = 0;

    check(!list_is_linked(&wheel->turn_end));
    move_time(wheel, now_ms);
    /* What callbacks start with a deadline in the past lines up behind this
     * mark and waits for the next call. */
    list_push_back(&wheel->due, &wheel->turn_end);
    while (ran_count < limit && list_first(&wheel->due) != &wheel->turn_end) {
        struct wheel_timer *timer = list_owner(list_first(&wheel->due), struct wheel_timer, node);
        list_remove(&timer->node);
        timer->on_expiry(timer, wheel->context);
        ran_count++;
    }
    list_remove(&wheel->turn_end);
    return ran_count;
}

uint64_t wheel_next_ms(const struct wheel *wheel)
{
    struct place place;
    uint64_t start_ms;

    if (!list_is_empty(&wheel->due))
        return 0;
    return find_first_slot(wheel, &place, &start_ms) ? start_ms : UINT64_MAX;
}
