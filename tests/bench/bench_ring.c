/*
 * What the mesh costs: delivery records of one payload size, put and taken in one
 * process (no waiting: pure work), and from one process to another with bells,
 * as two workers do it.
 *
 *   bench_ring [PAYLOAD_SIZE]
 */

#include "common/base/check.h"
#include "common/base/clock.h"
#include "shm/record.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WORKER_COUNT = 2,
    SLOT_COUNT = WORKER_COUNT + 2,
    RING_SIZE = 1 << 20,
    BATCH = 32, /* records of one turn */
    RECORD_COUNT = BATCH * 100000,
    PAYLOAD_SIZE = 64,
    PAYLOAD_SIZE_MAX = 64 * 1024,
    WAIT_MS = 1000
};

static uint8_t payload[PAYLOAD_SIZE_MAX];

static struct record_message message_of(size_t payload_size)
{
    return (struct record_message){.purpose = RECORD_FOR_DELIVERY,
                                   .message_id = 1,
                                   .plain = true,
                                   .topic = bytes_of("sensors/kitchen/temperature"),
                                   .payload = {payload, payload_size}};
}

static void report(const char *what, size_t payload_size, uint64_t start_ns)
{
    uint64_t spent_ns = clock_now_ns() - start_ns;

    printf("%-16s payload %5zu: %6.1f ns per record, %9" PRIu64 " records/s\n", what, payload_size,
           (double)spent_ns / RECORD_COUNT, (uint64_t)RECORD_COUNT * 1000000000U / spent_ns);
}

/* True when the message went into the ring whole. */
static bool put(struct mesh *mesh, unsigned peer, const struct record_message *message)
{
    struct record_sender sender = {0};

    return record_put_message(mesh, peer, message, &sender);
}

/* Takes all there is; the number of messages. */
static unsigned take(struct mesh *mesh, unsigned peer, size_t payload_size)
{
    struct record_assembly assembly = {0};
    struct record_message message;
    struct ring_record record;
    unsigned count = 0;

    for (; ring_next(&mesh->in[peer], &record); count++) {
        enum record_progress progress =
            record_get_message(&assembly, &record, PAYLOAD_SIZE_MAX, &message);

        check(progress == RECORD_WHOLE && message.payload.size == payload_size);
    }
    mesh_release(mesh, peer);
    return count;
}

static void sleep_if_idle(struct mesh *mesh)
{
    struct bell *bell = &mesh->bells[mesh->self];
    struct pollfd poll_fd = {.fd = bell->fd, .events = POLLIN};

    bell_sleep(bell);
    if (!mesh_has_next(mesh))
        check(poll(&poll_fd, 1, WAIT_MS) == 1);
    bell_wake(bell);
    bell_drain(bell);
}

static void bench_one_process(const struct region *region, const int *bell_fds, size_t payload_size)
{
    struct record_message message = message_of(payload_size);
    struct mesh meshes[2];
    uint64_t start_ns;

    for (unsigned i = 0; i < 2; i++)
        mesh_open(&meshes[i], region, i, bell_fds);
    start_ns = clock_now_ns();
    for (unsigned done = 0; done < RECORD_COUNT;) {
        for (unsigned i = 0; i < BATCH; i++)
            put(&meshes[0], 1, &message);
        mesh_publish(&meshes[0]);
        done += take(&meshes[1], 0, payload_size);
    }
    report("one process", payload_size, start_ns);
}

static void consume(const struct region *region, const int *bell_fds, size_t payload_size)
{
    struct mesh mesh;
    unsigned done = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    mesh_open(&mesh, region, 1, bell_fds);
    while (done < RECORD_COUNT) {
        unsigned count = take(&mesh, 0, payload_size);

        done += count;
        if (count == 0)
            sleep_if_idle(&mesh);
    }
}

static void produce(const struct region *region, const int *bell_fds, size_t payload_size)
{
    struct record_message message = message_of(payload_size);
    struct mesh mesh;

    mesh_open(&mesh, region, 0, bell_fds);
    for (unsigned done = 0; done < RECORD_COUNT;) {
        unsigned count = 0;

        while (count < BATCH && put(&mesh, 1, &message))
            count++;
        mesh_publish(&mesh);
        done += count;
        if (count < BATCH)
            sleep_if_idle(&mesh);
    }
}

static void bench_two_processes(const struct region *region, const int *bell_fds,
                                size_t payload_size)
{
    uint64_t start_ns = clock_now_ns();
    pid_t child = fork();
    int status;

    check(child >= 0);
    if (child == 0) {
        consume(region, bell_fds, payload_size);
        _exit(0);
    }
    produce(region, bell_fds, payload_size);
    check(waitpid(child, &status, 0) == child && status == 0);
    report("two processes", payload_size, start_ns);
}

int main(int argc, char **argv)
{
    size_t payload_size = argc > 1 ? strtoul(argv[1], NULL, 10) : PAYLOAD_SIZE;
    int bell_fds[SLOT_COUNT];
    struct region region;

    check(payload_size <= PAYLOAD_SIZE_MAX);
    hash_start();
    check(region_open(&region, WORKER_COUNT, RING_SIZE, false) == 0);
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        bell_fds[i] = eventfd(0, EFD_NONBLOCK);
        check(bell_fds[i] >= 0);
    }
    bench_one_process(&region, bell_fds, payload_size);
    bench_two_processes(&region, bell_fds, payload_size);
    region_close(&region);
    return 0;
}
