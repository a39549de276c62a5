#include "master/store/rescue/rescue_tell.h"

#include "common/base/log.h"
#include "master/store/durable/durable_row.h"

#include <inttypes.h>

enum {
    CLIENTS_LOGGED = 10,
    SESSIONS_LOOKED_AT = 100000 /* for their names, at most */
};

/* Numbers of the sessions whose rows of this kind may lie in the span; false: none. */
static bool sessions_of(const struct rescue_bounds *bounds, enum durable_kind kind,
                        uint64_t *ret_first, uint64_t *ret_last)
{
    const struct durable_key *from = &bounds->from;
    const struct durable_key *to = &bounds->to;
    bool begins_before = from->size == 0 || from->bytes[0] < (uint8_t)kind;
    bool ends_behind = to->size == 0 || to->bytes[0] > (uint8_t)kind;
    if ((!begins_before && from->bytes[0] > (uint8_t)kind) ||
        (!ends_behind && to->bytes[0] < (uint8_t)kind))
        return false;
    *ret_first = !begins_before && from->size >= DURABLE_NUMBER_PREFIX ? durable_key_first(from)
                                                                       : 0;
    *ret_last = !ends_behind && to->size >= DURABLE_NUMBER_PREFIX ? durable_key_first(to)
                                                                  : UINT64_MAX;
    return true;
}

static bool is_hit(const struct rescue_spans *lost, uint64_t session)
{
    static const enum durable_kind kinds[] = {DURABLE_SUBSCRIPTION, DURABLE_RECEIVED,
                                              DURABLE_QUEUE};
    for (unsigned i = 0; i < lost->count; i++)
        for (unsigned j = 0; j < sizeof kinds / sizeof kinds[0]; j++) {
            uint64_t first;
            uint64_t last;
            if (sessions_of(&lost->spans[i], kinds[j], &first, &last) && session >= first &&
                session <= last)
                return true;
        }
    return false;
}

static void tell_client(const struct durable_key *key, struct bytes content)
{
    const struct durable_clock clock = {0};
    struct record_journal journal;
    if (!durable_row_decode(&clock, key, content, &journal))
        return;
    struct log_text name = log_text(journal.name);
    log_error("Subscriptions or messages of client %s may be lost.", name.text);
}

void rescue_tell_sessions(struct durable_env *env, const struct rescue_spans *lost)
{
    struct durable_key key = durable_key_of(DURABLE_SESSION);
    struct bytes content;
    uint64_t hit = 0;
    if (lost->count == 0 || durable_env_begin_read(env) < 0)
        return;
    for (unsigned i = 0; i < SESSIONS_LOOKED_AT; i++) {
        if (durable_env_next(env, &key, DURABLE_KIND_PREFIX, &content) != 0)
            break;
        if (is_hit(lost, durable_key_first(&key)) && ++hit <= CLIENTS_LOGGED)
            tell_client(&key, content);
    }
    durable_env_abort(env);
    if (hit > CLIENTS_LOGGED)
        log_error("... and of %" PRIu64 " more clients.", hit - CLIENTS_LOGGED);
}

void rescue_tell_outcome(const struct rescue_salvage *salvage, const struct rescue_mend *mend,
                         uint64_t lost)
{
    const uint64_t *rows = mend->rows;
    const uint64_t *dropped = mend->dropped;
    log_error("The database was made anew with %" PRIu64 " sessions, %" PRIu64
              " subscriptions, %" PRIu64 " deliveries, %" PRIu64 " retained messages, %" PRIu64
              " wills.",
              rows[DURABLE_SESSION], rows[DURABLE_SUBSCRIPTION], rows[DURABLE_QUEUE],
              rows[DURABLE_RETAINED], rows[DURABLE_WILL]);
    log_error("%" PRIu64 " records could not be read. %" PRIu64
              " were taken from the older copy. For want of others %" PRIu64
              " subscriptions and %" PRIu64 " deliveries were dropped.",
              lost, salvage->copied, dropped[DURABLE_SUBSCRIPTION], dropped[DURABLE_QUEUE]);
}
