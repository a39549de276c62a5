#include "tests/power/power_disk.h"

#include <stdlib.h>
#include <string.h>

/* The kinds of cuts: nothing, all, each write alone, all but each, and by lot some
 * writes in any order, torn ones, and a garbled one. */
enum { NOTHING, ALL, EACH, EACH_MAX = 16, SOME = 3, TORN = 3, GARBLED = 3, SECTOR = 512 };

enum fate { LOST, KEPT, IN_PART, GARBAGE };

static bool is_of_names(const struct power_event *event)
{
    return event->kind == POWER_CREATE || event->kind == POWER_RENAME ||
           event->kind == POWER_LINK || event->kind == POWER_UNLINK;
}

static bool is_change(const struct power_event *event)
{
    return is_of_names(event) || event->kind == POWER_WRITE || event->kind == POWER_RESIZE ||
           event->kind == POWER_GROW;
}

/* -- names -- */

static void set_name(struct power_image *image, const char *name, unsigned file)
{
    unsigned place = power_image_place(image, name);
    strcpy(image->names[place].name, name);
    image->names[place].file = file;
}

static void change_names(struct power_image *image, const struct power_event *event)
{
    if (event->kind == POWER_CREATE)
        set_name(image, event->name, event->file);
    if (event->kind == POWER_RENAME || event->kind == POWER_LINK)
        set_name(image, event->to, image->names[power_image_place(image, event->name)].file);
    if (event->kind == POWER_RENAME || event->kind == POWER_UNLINK)
        image->names[power_image_place(image, event->name)].name[0] = 0;
}

/* -- content -- */

/* Each sector of the write by lot. */
static void write_in_part(struct power_content *content, const struct power_event *event,
                          struct power_random *random)
{
    uint64_t end = event->offset + event->size;
    for (uint64_t at = event->offset; at < end;) {
        uint64_t next = (at / SECTOR + 1) * SECTOR;
        size_t size = (size_t)((next < end ? next : end) - at);
        if (power_random_below(random, 2) == 0)
            power_content_write(content, at, event->data + (at - event->offset), size);
        at += size;
    }
}

/* One sector of it comes to be zeros, ones or noise; the others are written. */
static void garble(struct power_content *content, const struct power_event *event,
                   struct power_random *random)
{
    uint8_t sector[SECTOR];
    unsigned kind = power_random_below(random, 3);
    power_content_write(content, event->offset, event->data, event->size);
    uint64_t first = event->offset / SECTOR;
    uint64_t count = (event->offset + event->size + SECTOR - 1) / SECTOR - first;
    uint64_t at = (first + power_random_below(random, (unsigned)count)) * SECTOR;
    for (unsigned i = 0; i < SECTOR; i++)
        sector[i] = kind == 0 ? 0 : kind == 1 ? 0xFF : (uint8_t)power_random_next(random);
    power_content_write(content, at, sector, SECTOR);
}

static void change(struct power_content *content, const struct power_event *event, enum fate fate,
                   struct power_random *random)
{
    if (event->kind == POWER_RESIZE)
        power_content_resize(content, event->size);
    else if (event->kind == POWER_GROW && event->size > content->size)
        power_content_resize(content, event->size);
    else if (event->kind == POWER_WRITE && fate == IN_PART)
        write_in_part(content, event, random);
    else if (event->kind == POWER_WRITE && fate == GARBAGE)
        garble(content, event, random);
    else if (event->kind == POWER_WRITE)
        power_content_write(content, event->offset, event->data, event->size);
}

/* -- what happens -- */

void power_disk_begin(struct power_disk *disk, struct power_event *event)
{
    if (!is_change(event))
        return;
    if (disk->pending_count == disk->pending_room) {
        disk->pending_room = disk->pending_room == 0 ? 64 : disk->pending_room * 2;
        disk->pending = power_memory(disk->pending, disk->pending_room * sizeof(void *));
    }
    disk->pending[disk->pending_count++] = event;
}

/* Makes all pending changes sure that this is true of. */
static void settle(struct power_disk *disk, bool of_names, unsigned file)
{
    size_t left = 0;
    for (size_t i = 0; i < disk->pending_count; i++) {
        struct power_event *event = disk->pending[i];
        if (is_of_names(event) != of_names || (!of_names && event->file != file))
            disk->pending[left++] = event;
        else if (of_names)
            change_names(&disk->sure, event);
        else
            change(&disk->sure.files[file], event, KEPT, NULL);
    }
    disk->pending_count = left;
}

/* What was written there before and is pending may come to the disk later, but not in
 * place of this. */
static void overtake(struct power_event *older, const struct power_event *event)
{
    uint64_t from = older->offset > event->offset ? older->offset : event->offset;
    uint64_t older_end = older->offset + older->size;
    uint64_t end = event->offset + event->size;
    if (older->kind != POWER_WRITE || older->file != event->file)
        return;
    if (older_end < end)
        end = older_end;
    if (from < end)
        memcpy(older->data + (from - older->offset), event->data + (from - event->offset),
               (size_t)(end - from));
}

static void settle_one(struct power_disk *disk, struct power_event *event)
{
    disk->pending_count--; /* the latest */
    for (size_t i = 0; i < disk->pending_count; i++)
        overtake(disk->pending[i], event);
    change(&disk->sure.files[event->file], event, KEPT, NULL);
}

void power_disk_end(struct power_disk *disk, struct power_event *event)
{
    bool is_synced = event->is_synced && disk->lie == POWER_HONEST;
    if (event->kind == POWER_WRITE && is_synced)
        settle_one(disk, event);
    if (event->kind == POWER_SYNC && disk->lie != POWER_NO_SYNC)
        settle(disk, false, event->file);
    if (event->kind == POWER_SYNC_FOLDER)
        settle(disk, true, 0);
}

void power_disk_done(struct power_disk *disk)
{
    power_image_done(&disk->sure);
    free(disk->pending);
    *disk = (struct power_disk){0};
}

/* -- cuts -- */

static unsigned each_count(const struct power_disk *disk)
{
    return disk->pending_count < EACH_MAX ? (unsigned)disk->pending_count : EACH_MAX;
}

unsigned power_disk_cut_count(const struct power_disk *disk)
{
    if (disk->pending_count == 0)
        return 1;
    return EACH + 2 * each_count(disk) + SOME + TORN + GARBLED;
}

/* The fates of all pending changes, by the kind of the cut. */
static void choose(const struct power_disk *disk, unsigned cut, struct power_random *random,
                   enum fate *fates)
{
    unsigned each = each_count(disk);
    unsigned last = (unsigned)disk->pending_count - 1;
    unsigned by_lot = cut - EACH - 2 * each;
    for (unsigned i = 0; i <= last; i++) {
        unsigned back = last - i; /* the latest are those that are tried one by one */
        if (cut <= ALL)
            fates[i] = cut == ALL ? KEPT : LOST;
        else if (cut < EACH + each)
            fates[i] = back == cut - EACH ? KEPT : LOST;
        else if (cut < EACH + 2 * each)
            fates[i] = back == cut - EACH - each ? LOST : KEPT;
        else if (by_lot < SOME || by_lot >= SOME + TORN)
            fates[i] = power_random_below(random, 2) == 0 ? KEPT : LOST;
        else
            fates[i] = (enum fate)power_random_below(random, IN_PART + 1);
    }
    if (cut >= EACH + 2 * each && by_lot >= SOME + TORN)
        fates[power_random_below(random, 2) == 0 ? last : power_random_below(random, last + 1)] =
            GARBAGE;
}

/* Pending changes in an order that may be: those of names, and of sizes, stay. */
static void shuffle(struct power_event **events, enum fate *fates, size_t count,
                    struct power_random *random)
{
    for (size_t i = 0; i < count; i++)
        if (events[i]->kind == POWER_RESIZE)
            return;
    for (size_t i = count; i > 1; i--) {
        size_t other = power_random_below(random, (unsigned)i);
        struct power_event *event = events[i - 1];
        enum fate fate = fates[i - 1];
        if (is_of_names(event) || is_of_names(events[other]))
            continue;
        events[i - 1] = events[other];
        fates[i - 1] = fates[other];
        events[other] = event;
        fates[other] = fate;
    }
}

static void apply(struct power_image *image, struct power_event **events, const enum fate *fates,
                  size_t count, struct power_random *random)
{
    bool names_go_on = true;
    for (size_t i = 0; i < count; i++) {
        const struct power_event *event = events[i];
        if (is_of_names(event)) {
            names_go_on = names_go_on && fates[i] != LOST;
            if (names_go_on)
                change_names(image, event);
        } else if (fates[i] != LOST) {
            change(&image->files[event->file], event, fates[i], random);
        }
    }
}

void power_disk_cut(const struct power_disk *disk, unsigned cut, struct power_random *random,
                    struct power_image *image)
{
    power_image_copy(image, &disk->sure);
    if (disk->pending_count == 0)
        return;
    struct power_event **events = power_memory(NULL, disk->pending_count * sizeof *events);
    enum fate *fates = power_memory(NULL, disk->pending_count * sizeof *fates);
    memcpy(events, disk->pending, disk->pending_count * sizeof *events);
    choose(disk, cut, random, fates);
    if (cut >= EACH + 2 * each_count(disk))
        shuffle(events, fates, disk->pending_count, random);
    apply(image, events, fates, disk->pending_count, random);
    free(events);
    free(fates);
}

void power_disk_garble(const struct power_disk *disk, struct power_random *random,
                       struct power_image *image)
{
    const struct power_event *latest = disk->pending[disk->pending_count - 1];
    power_disk_all(disk, image);
    change(&image->files[latest->file], latest, GARBAGE, random);
}

void power_disk_all(const struct power_disk *disk, struct power_image *image)
{
    struct power_random random = {0};
    power_disk_cut(disk, ALL, &random, image);
}
