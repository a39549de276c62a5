#include "common/base/check.h"
#include "common/base/log.h"
#include "master/store/rescue/rescue.h"
#include "master/store/rescue/rescue_copy.h"
#include "tests/damage/damage_paths.h"
#include "tests/damage/damage_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * What an accident may do to the file of a store, page by page: each image is rescued,
 * opened, read and used. Nothing may come out that was not put in, and only what needed
 * a damaged page may be missing.
 */

enum {
    META_PAGES = 2,
    META_SIZE = 152,
    HEAD_SIZE = 64,
    RANDOM_IMAGES = 200,
    FLIPS_MAX = 12,
    SEED = 4
};

struct run {
    char folder[64];
    int folder_fd;
    uint8_t *sound; /* the file, as it was made */
    uint8_t *image;
    size_t size;
    size_t page_size;
    uint64_t pages;
    struct damage_paths *paths;
    bool *hit; /* pages that are damaged */
    bool has_copy;
    unsigned images;
    unsigned rescued;
    unsigned long missing;
    uint64_t random;
};

static uint64_t next_random(struct run *run)
{
    run->random = run->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return run->random >> 33;
}

static void drop_line(enum log_level level, const char *line, size_t size, void *context)
{
    (void)level;
    (void)context;
    if (getenv("DAMAGE_LOG") != NULL)
        fprintf(stderr, "    %.*s\n", (int)size, line);
}

/* -- the folder -- */

static void read_sound(struct run *run)
{
    int fd = openat(run->folder_fd, "data.mdb", O_RDONLY | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    check(fd >= 0 && size > 0);
    run->paths = damage_paths_read(fd);
    run->page_size = damage_paths_page_size(run->paths);
    run->pages = damage_paths_pages(run->paths);
    run->size = (size_t)size;
    run->sound = malloc(run->size);
    run->image = malloc(run->size);
    run->hit = calloc(run->pages + 1, sizeof run->hit[0]);
    check(run->sound != NULL && run->image != NULL && run->hit != NULL);
    check(pread(fd, run->sound, run->size, 0) == (ssize_t)run->size);
    close(fd);
}

static void make_copy(struct run *run)
{
    struct durable durable;
    struct rescue_copy copy;
    int r = 0;
    check(durable_open(&durable, run->folder, DAMAGE_SIZE_MAX, &(struct hash_key){"copy"}, false) ==
          0);
    check(rescue_copy_begin(&copy, run->folder_fd) == 0);
    while (r == 0)
        r = rescue_copy_step(&copy, durable.env, &durable.clock, 64 << 10);
    check(r == 1);
    durable_close(&durable);
}

static void open_run(struct run *run)
{
    strcpy(run->folder, "/dev/shm/courtier-damage-XXXXXX");
    check(mkdtemp(run->folder) != NULL);
    damage_store_make(run->folder);
    run->folder_fd = open(run->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    run->random = SEED;
    read_sound(run);
}

static void remove_file(struct run *run, const char *name)
{
    check(unlinkat(run->folder_fd, name, 0) == 0 || errno == ENOENT);
}

static void remove_bad(struct run *run)
{
    remove_file(run, "data.mdb.bad-1");
    remove_file(run, "data.mdb.bad-2");
}

static void close_run(struct run *run)
{
    remove_bad(run);
    remove_file(run, "data.mdb");
    remove_file(run, RESCUE_COPY_NAME);
    close(run->folder_fd);
    check(rmdir(run->folder) == 0);
    damage_paths_free(run->paths);
    free(run->sound);
    free(run->image);
    free(run->hit);
}

static void fail(const struct run *run, const char *what, const char *how, uint64_t page)
{
    fprintf(stderr, "image %u (%s, page %llu): %s\n", run->images, how, (unsigned long long)page,
            what);
    fprintf(stderr, "it is left in %s\n", run->folder);
    exit(EXIT_FAILURE);
}

static bool needs(const struct run *run, struct durable_key key)
{
    return damage_paths_needs(run->paths, key, run->hit);
}

/* -- what may be missing -- */

/* With a copy nothing may that it can give back; where the meta pages are hit, all may. */
static bool may_miss(struct run *run, bool needs_damaged)
{
    run->missing++;
    return (needs_damaged && !run->has_copy) || run->hit[0] || run->hit[1];
}

static bool may_miss_session(struct run *run, unsigned session)
{
    return may_miss(run, needs(run, durable_key_number(DURABLE_SESSION, session)));
}

static bool may_miss_subscription(struct run *run, unsigned session, unsigned index)
{
    return may_miss(run, needs(run, durable_key_number(DURABLE_SESSION, session)) ||
                             needs(run, damage_store_subscription(session, index)));
}

/* A body that is damaged but well in its place is found when it is read, too late for
 * the copy. */
static bool may_miss_delivery(struct run *run, unsigned session, unsigned seq)
{
    return may_miss(run, needs(run, durable_key_number(DURABLE_SESSION, session)) ||
                             needs(run, durable_key_pair(DURABLE_QUEUE, session, seq))) ||
           needs(run, durable_key_body(damage_store_message(session, seq)));
}

static const char *judge_session(struct run *run, const struct damage_content *content,
                                 unsigned session)
{
    if (!content->sessions[session] && !may_miss_session(run, session))
        return "a session is missing";
    for (unsigned i = 0; i < DAMAGE_SUBSCRIPTIONS; i++)
        if (!content->subscriptions[session][i] && !may_miss_subscription(run, session, i))
            return "a subscription is missing";
    for (unsigned seq = 1; seq <= DAMAGE_DELIVERIES; seq++)
        if (!content->deliveries[session][seq] && !may_miss_delivery(run, session, seq))
            return "a delivery is missing";
    return NULL;
}

static const char *judge(struct run *run, const struct damage_content *content)
{
    const char *fault = content->wrong;
    for (unsigned session = 1; session <= DAMAGE_SESSIONS && fault == NULL; session++)
        fault = judge_session(run, content, session);
    for (unsigned i = 0; i < DAMAGE_RETAINED && fault == NULL; i++)
        if (!content->retained[i] && !may_miss(run, needs(run, damage_store_retained(i))))
            fault = "a retained message is missing";
    return fault;
}

/* -- one image -- */

static void write_image(struct run *run, size_t size)
{
    int fd = openat(run->folder_fd, "data.mdb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    check(fd >= 0 && write(fd, run->image, size) == (ssize_t)size);
    close(fd);
}

/* Rescues and reads it. A new one is used too, and the second time there must be nothing
 * left to do. */
static const char *try_image(struct run *run)
{
    struct rescue_outcome outcome;
    struct damage_content content;
    struct durable durable;
    const struct hash_key key = {"damage"};
    if (rescue_folder(run->folder, DAMAGE_SIZE_MAX, false, &outcome) != 0)
        return "it is not rescued";
    run->rescued += outcome.was_damaged;
    if (durable_open(&durable, run->folder, DAMAGE_SIZE_MAX, &key, false) != 0)
        return "it does not open";
    damage_store_read(&durable, &content);
    int r = outcome.was_damaged ? damage_store_use(&durable) : 0;
    durable_close(&durable);
    if (r != 0)
        return "it can't be used";
    if (!outcome.was_damaged)
        return judge(run, &content);
    if (rescue_folder(run->folder, DAMAGE_SIZE_MAX, false, &outcome) != 0 || outcome.was_damaged)
        return "it is damaged again";
    return judge(run, &content);
}

static void run_image(struct run *run, size_t size, const char *how, uint64_t page)
{
    run->images++;
    write_image(run, size);
    const char *fault = try_image(run);
    if (fault != NULL) {
        write_image(run, size);
        fail(run, fault, how, page);
    }
    remove_bad(run);
    memcpy(run->image, run->sound, run->size);
    memset(run->hit, 0, run->pages * sizeof run->hit[0]);
}

/* -- damages -- */

static uint8_t *page_of(struct run *run, uint64_t page)
{
    run->hit[page] = true;
    return run->image + page * run->page_size;
}

/* One bit, and one of its header: most of a page is clients' data. */
static void flip(struct run *run, uint64_t page)
{
    uint8_t *memory = page_of(run, page);
    memory[next_random(run) % run->page_size] ^= (uint8_t)(1U << next_random(run) % 8);
    memory[next_random(run) % HEAD_SIZE] ^= (uint8_t)(1U << next_random(run) % 8);
}

static void zero(struct run *run, uint64_t page)
{
    memset(page_of(run, page), 0, run->page_size);
}

static void fill(struct run *run, uint64_t page)
{
    memset(page_of(run, page), 0xFF, run->page_size);
}

static void garble(struct run *run, uint64_t page)
{
    uint8_t *memory = page_of(run, page);
    for (size_t i = 0; i < run->page_size; i++)
        memory[i] = (uint8_t)next_random(run);
}

/* A page in the place of another one, and that in its. */
static void swap(struct run *run, uint64_t page)
{
    uint64_t other = next_random(run) % run->pages;
    memcpy(page_of(run, page), run->sound + other * run->page_size, run->page_size);
    memcpy(page_of(run, other), run->sound + page * run->page_size, run->page_size);
}

/* A page that a write never reached: another one's content under its own number. */
static void forge(struct run *run, uint64_t page)
{
    uint64_t other = next_random(run) % run->pages;
    uint8_t *memory = page_of(run, page);
    size_t number = (size_t)page;
    memcpy(memory, run->sound + other * run->page_size, run->page_size);
    memcpy(memory, &number, sizeof number);
}

static void damage_every_page(struct run *run)
{
    static const struct {
        const char *how;
        void (*damage)(struct run *run, uint64_t page);
        uint64_t step;
    } damages[] = {{"flip", flip, 1}, {"zero", zero, 1},     {"0xFF", fill, 1},
                   {"swap", swap, 1}, {"garble", garble, 5}, {"forge", forge, 2}};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        for (uint64_t page = 0; page < run->pages; page += damages[i].step) {
            damages[i].damage(run, page);
            run_image(run, run->size, damages[i].how, page);
        }
}

static void truncate_at_every_page(struct run *run)
{
    for (uint64_t page = 0; page < run->pages; page++) {
        for (uint64_t i = page; i < run->pages; i++)
            run->hit[i] = true;
        run_image(run, page * run->page_size + next_random(run) % run->page_size, "truncate", page);
    }
}

static void flip_at_random(struct run *run, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned flips = 1 + (unsigned)next_random(run) % FLIPS_MAX; flips > 0; flips--)
            flip(run, META_PAGES + next_random(run) % (run->pages - META_PAGES));
        run_image(run, run->size, "random flips", 0);
    }
}

static void damage_metas(struct run *run)
{
    for (unsigned i = 0; i < META_PAGES * META_SIZE; i++) {
        uint64_t page = i / META_SIZE;
        page_of(run, page)[i % META_SIZE] ^= (uint8_t)(1U << next_random(run) % 8);
        run_image(run, run->size, "flip in a meta page", page);
    }
    zero(run, 0);
    garble(run, 1);
    run_image(run, run->size, "both meta pages", 0);
}

int main(int argc, char **argv)
{
    struct run run = {.images = 0};
    unsigned times = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    hash_start();
    log_set_sink(drop_line, NULL);
    open_run(&run);
    memcpy(run.image, run.sound, run.size);
    run_image(&run, run.size, "none", 0);
    check(run.rescued == 0 && run.missing == 0);
    damage_every_page(&run);
    truncate_at_every_page(&run);
    damage_metas(&run);
    flip_at_random(&run, RANDOM_IMAGES * times);
    unsigned without = run.images;
    printf("%u images of a store of %llu pages: %u rescued; %lu rows missing\n", run.images,
           (unsigned long long)run.pages, run.rescued, run.missing);
    write_image(&run, run.size);
    make_copy(&run);
    run.has_copy = true;
    run.missing = 0;
    for (uint64_t page = META_PAGES; page < run.pages; page++) {
        garble(&run, page);
        run_image(&run, run.size, "garble, with a copy", page);
    }
    printf("%u images with a copy: %lu rows missing\n", run.images - without, run.missing);
    close_run(&run);
    return EXIT_SUCCESS;
}
