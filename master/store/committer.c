#include "master/store/committer.h"

#include "common/base/check.h"
#include "master/store/committer_work.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

enum { STACK_SIZE = 1 << 20 };

struct committer {
    struct committer_work work; /* the thread's, while it runs */
    bool is_running;
    pthread_t thread;
    pthread_mutex_t lock; /* over what the main thread wants: */
    bool save_wanted;
    bool stop_wanted;
};

static struct bell *own_bell(struct committer *c)
{
    return &c->work.mesh.bells[c->work.mesh.self];
}

/* True when the main thread wants us to stop. */
static bool take_wishes(struct committer *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop_wanted;
    if (c->save_wanted)
        c->work.commit_wanted = true;
    c->save_wanted = false;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

/* Waits for a bell or a deadline; the main thread rings too. True when it is time to
 * stop. */
static bool wait_for_work(struct committer *c)
{
    struct pollfd poll_fd = {.fd = own_bell(c)->fd, .events = POLLIN};
    bell_sleep(own_bell(c));
    bool stop = take_wishes(c);
    bool can_sleep = !stop && committer_work_is_idle(&c->work);
    int ready = poll(&poll_fd, 1, can_sleep ? committer_work_wait_ms(&c->work) : 0);
    bell_wake(own_bell(c));
    if (ready > 0)
        bell_drain(own_bell(c));
    return stop;
}

static void *run(void *context)
{
    struct committer *c = context;
    do
        committer_work_turn(&c->work);
    while (!wait_for_work(c));
    committer_work_finish(&c->work);
    return NULL;
}

struct committer *committer_open(const struct inherit *inherit, int *ret_error)
{
    struct committer *c = calloc(1, sizeof *c);
    if (c == NULL)
        fatal("no memory at start");
    *ret_error = committer_work_open(&c->work, inherit);
    if (*ret_error < 0) {
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

struct durable *committer_durable(struct committer *c)
{
    check(!c->is_running);
    return &c->work.durable;
}

int committer_start(struct committer *c)
{
    pthread_attr_t attributes;
    int r = pthread_attr_init(&attributes);
    if (r != 0)
        return -r;
    r = pthread_attr_setstacksize(&attributes, STACK_SIZE);
    if (r == 0)
        r = pthread_create(&c->thread, &attributes, run, c);
    pthread_attr_destroy(&attributes);
    c->is_running = r == 0;
    return -r;
}

static void wish(struct committer *c, bool stop)
{
    pthread_mutex_lock(&c->lock);
    c->save_wanted = true;
    c->stop_wanted = c->stop_wanted || stop;
    pthread_mutex_unlock(&c->lock);
    bell_ring(own_bell(c));
}

void committer_save(struct committer *c)
{
    wish(c, false);
}

void committer_stop(struct committer *c)
{
    if (!c->is_running)
        return;
    wish(c, true);
    pthread_join(c->thread, NULL);
    c->is_running = false;
}

void committer_close(struct committer *c)
{
    if (c == NULL)
        return;
    check(!c->is_running);
    committer_work_close(&c->work);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
