#include "master/store/rescue/rescue_check.h"

#include "master/store/rescue/rescue_copy.h"
#include "master/store/rescue/rescue_examine.h"
#include "master/store/rescue/rescue_place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FINDINGS_MAX = 1000 };

static void print_finding(void *context, const char *text)
{
    unsigned *count = context;
    if (++*count <= FINDINGS_MAX)
        printf("damaged: %s\n", text);
}

static void print_rows(const struct rescue_findings *findings)
{
    static const struct {
        enum durable_kind kind;
        const char *name;
    } kinds[] = {
        {DURABLE_SESSION, "sessions"},
        {DURABLE_SUBSCRIPTION, "subscriptions"},
        {DURABLE_RECEIVED, "QoS 2 ids"},
        {DURABLE_QUEUE, "deliveries"},
        {DURABLE_MESSAGE, "bodies and their counts"},
        {DURABLE_RETAINED, "retained messages"},
        {DURABLE_WILL, "wills"},
        {DURABLE_UNSURE, "notes on QoS 2 messages that may be repeated"},
        {DURABLE_ENDED, "ended sessions of which rows are left"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        printf("%" PRIu64 " %s\n", findings->rows[kinds[i].kind], kinds[i].name);
}

static enum rescue_check_exit conclude(const struct rescue_findings *findings, unsigned count)
{
    print_rows(findings);
    if (count > FINDINGS_MAX)
        printf("... and %u more findings\n", count - FINDINGS_MAX);
    switch (findings->verdict) {
    case RESCUE_SOUND:
        printf("The database is sound.\n");
        return RESCUE_CHECK_SOUND;
    case RESCUE_NEWER:
        printf("Another version of courtier made the database.\n");
        return RESCUE_CHECK_IMPOSSIBLE;
    case RESCUE_DAMAGED:
        break;
    }
    printf("The database is damaged; courtier would make a new one of what is left.\n");
    return RESCUE_CHECK_DAMAGED;
}

static enum rescue_check_exit print_error(const char *folder, int error)
{
    printf("The database in %s can't be checked: %s.\n", folder,
           error == -EBUSY ? "a broker uses it" : strerror(-error));
    return RESCUE_CHECK_IMPOSSIBLE;
}

static enum rescue_check_exit check_data(const char *folder, int data_fd)
{
    struct rescue_file file;
    struct rescue_findings findings;
    unsigned count = 0;
    int r = rescue_file_open(&file, data_fd);
    if (r < 0)
        return print_error(folder, r);
    r = rescue_examine(&file, true, print_finding, &count, &findings);
    rescue_file_close(&file);
    return r < 0 ? print_error(folder, r) : conclude(&findings, count);
}

/* -- the copy -- */

static int count_row(void *context, struct bytes key, struct bytes value)
{
    uint64_t *rows = context;
    (void)key;
    (void)value;
    (*rows)++;
    return 0;
}

static void print_copy(int folder_fd)
{
    struct rescue_copy_age age;
    uint64_t rows = 0;
    int fd = openat(folder_fd, RESCUE_COPY_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        printf("There is no older copy.\n");
        return;
    }
    int r = rescue_copy_read(fd, count_row, &rows);
    bool is_whole = r == 0 && rescue_copy_read_age(folder_fd, &age);
    printf("The older copy has %" PRIu64 " sound records%s.\n", rows,
           is_whole ? "" : ", and is damaged");
    close(fd);
}

enum rescue_check_exit rescue_check(const char *folder)
{
    int folder_fd = rescue_place_lock(folder);
    if (folder_fd < 0)
        return print_error(folder, folder_fd);
    int data_fd = openat(folder_fd, RESCUE_PLACE_DATA, O_RDONLY | O_CLOEXEC);
    enum rescue_check_exit result = data_fd < 0 ? print_error(folder, -errno)
                                                : check_data(folder, data_fd);
    print_copy(folder_fd);
    if (data_fd >= 0)
        close(data_fd);
    close(folder_fd);
    return result;
}
