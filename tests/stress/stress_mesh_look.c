/*
 * A cause and what comes of it, in two rings to the same reader: one thread tells the reader
 * of a number and then a second thread, which tells the reader too. In no picture of both
 * rings (mesh_look()) may the second be ahead of the first.
 */

#include "common/base/hash.h"
#include "shm/mesh.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum { FIRST, SECOND, READER, SLOTS = 4, RING_SIZE = 64 * 1024, COUNT = 300000, KIND = 7 };

struct world {
    struct region region;
    int bell_fds[SLOTS];
};

static void expect(bool truth, const char *what)
{
    if (truth)
        return;
    fprintf(stderr, "stress_mesh_look: %s\n", what);
    exit(1);
}

static void put(struct mesh *mesh, unsigned peer)
{
    while (mesh_reserve(mesh, peer, 1) == NULL)
        sched_yield();
    mesh_commit(mesh, peer, 1, KIND);
}

static void *tell(void *context)
{
    struct world *w = context;
    struct mesh mesh;

    mesh_open(&mesh, &w->region, FIRST, w->bell_fds);
    for (unsigned i = 0; i < COUNT; i++) {
        put(&mesh, READER);
        mesh_show(&mesh);
        put(&mesh, SECOND);
        mesh_publish(&mesh);
    }
    return NULL;
}

static void *tell_on(void *context)
{
    struct world *w = context;
    struct mesh mesh;
    struct ring_record record;

    mesh_open(&mesh, &w->region, SECOND, w->bell_fds);
    for (unsigned i = 0; i < COUNT; i++) {
        while (!ring_next(&mesh.in[FIRST], &record))
            sched_yield();
        mesh_release(&mesh, FIRST);
        put(&mesh, READER);
        mesh_publish(&mesh);
    }
    return NULL;
}

/* Takes all before `position`; how many that were. */
static unsigned take(struct mesh *mesh, unsigned peer, uint32_t position)
{
    struct ring_record record;
    unsigned count = 0;

    while (ring_taken(&mesh->in[peer]) != position && ring_next(&mesh->in[peer], &record))
        count++;
    mesh_release(mesh, peer);
    return count;
}

static void read_both(struct world *w)
{
    struct mesh mesh;
    uint32_t positions[MESH_PEERS_MAX] = {0};
    unsigned first = 0;
    unsigned second = 0;
    unsigned pictures = 0;

    mesh_open(&mesh, &w->region, READER, w->bell_fds);
    while (second < COUNT) {
        bool is_picture = mesh_look(&mesh, positions);
        first += take(&mesh, FIRST, positions[FIRST]);
        second += take(&mesh, SECOND, positions[SECOND]);
        expect(!is_picture || second <= first, "an effect without its cause");
        pictures += is_picture;
    }
    expect(first == COUNT, "records are lost");
    expect(pictures > 0, "no picture");
    printf("%u records, %u pictures\n", first + second, pictures);
}

int main(void)
{
    static struct world w;
    pthread_t threads[2];

    hash_start();
    expect(region_open(&w.region, 2, RING_SIZE, false) == 0, "no region");
    for (unsigned i = 0; i < SLOTS; i++)
        expect((w.bell_fds[i] = eventfd(0, EFD_NONBLOCK)) >= 0, "no eventfd");
    expect(pthread_create(&threads[0], NULL, tell, &w) == 0, "no thread");
    expect(pthread_create(&threads[1], NULL, tell_on, &w) == 0, "no thread");
    read_both(&w);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    region_close(&w.region);
    return 0;
}
