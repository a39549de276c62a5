#include "shm/record_journal.h"

#include "common/base/check.h"

#include <string.h>

/*
 * A kind is a set of fields. They stand in the record in the order of the list
 * below; name or ids are the rest of it.
 */

enum field {
    SERIAL = 1 << 0,
    EPOCH = 1 << 1,
    SESSION = 1 << 2,
    SEQ = 1 << 3,
    MESSAGE = 1 << 4,
    END_AT = 1 << 5,
    EXPIRY = 1 << 6,
    RUN = 1 << 7,
    SUBSCRIPTION = 1 << 8,
    PACKET = 1 << 9,
    VERSION = 1 << 10,
    QOS = 1 << 11,
    OPTIONS = 1 << 12,
    STATE = 1 << 13,
    FLAGS = 1 << 14,
    NAME = 1 << 15,
    IDS = 1 << 16,
    BYTES = 1 << 17,
    COUNT = 1 << 18,
    SHARE = 1 << 19 /* if FLAG_SHARED */
};

enum {
    FLAG_CONNECTED = 1,
    FLAG_RETAIN = 2,
    FLAG_RELEASED = 4,
    FLAG_UNSURE = 8,
    FLAG_REPEAT = 16,
    FLAG_IS_ALL = 32,
    FLAG_SHARED = 64,
    FLAG_LEAVING = 128,
    QOS_MAX = 2,
    OPTIONS_MAX = 0x3F, /* [MQTT-3.8.3-5]: the upper two bits are reserved */
    FIXED_MAX = 64      /* bytes of all fields but name and ids, at most */
};

static const struct {
    enum record_kind kind;
    unsigned fields;
} rows[] = {
    {RECORD_JOURNAL_RESET, EPOCH},
    {RECORD_SESSION, SERIAL | SESSION | SEQ | END_AT | EXPIRY | VERSION | FLAGS | NAME},
    {RECORD_SESSION_END, SERIAL | SESSION},
    {RECORD_SUBSCRIBE, SERIAL | SESSION | SUBSCRIPTION | OPTIONS | NAME},
    {RECORD_UNSUBSCRIBE, SERIAL | SESSION | NAME},
    {RECORD_ENQUEUE, SERIAL | SESSION | SEQ | MESSAGE | BYTES | PACKET | QOS | FLAGS | SHARE | IDS},
    {RECORD_SENT, SERIAL | SESSION | SEQ | PACKET},
    {RECORD_RELEASED, SERIAL | SESSION | SEQ},
    {RECORD_DONE, SERIAL | SESSION | SEQ},
    {RECORD_RECEIVED, SERIAL | SESSION | MESSAGE | PACKET | FLAGS},
    {RECORD_RECEIVE_END, SERIAL | SESSION | PACKET},
    {RECORD_KEEP_RETAINED, SERIAL | MESSAGE},
    {RECORD_KEEP_WILL, SERIAL | MESSAGE},
    {RECORD_FORGET_WILL, SERIAL | MESSAGE},
    {RECORD_HAD, SESSION | MESSAGE},
    {RECORD_FETCH, SERIAL | SESSION | SEQ | COUNT},
    {RECORD_RESTORE_BEGIN, SERIAL | EPOCH | RUN},
    {RECORD_RESTORE_END, EPOCH},
    {RECORD_QUEUED, SESSION | SEQ | BYTES | COUNT | FLAGS},
    {RECORD_FETCH_END, SERIAL | SESSION | SEQ | BYTES | COUNT | FLAGS},
    {RECORD_NOT_QUEUED, SESSION | SEQ | BYTES},
    {RECORD_JOURNAL_STATE, STATE},
};

/* 0: no kind of the journal. */
static unsigned fields_of(uint16_t kind)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].kind == kind)
            return rows[i].fields;
    }
    return 0;
}

bool record_is_journal(uint16_t kind)
{
    return fields_of(kind) != 0;
}

static uint8_t flags_of(const struct record_journal *journal)
{
    return (uint8_t)((journal->connected ? FLAG_CONNECTED : 0) |
                     (journal->retain ? FLAG_RETAIN : 0) | (journal->released ? FLAG_RELEASED : 0) |
                     (journal->unsure ? FLAG_UNSURE : 0) | (journal->repeat ? FLAG_REPEAT : 0) |
                     (journal->is_all ? FLAG_IS_ALL : 0) | (journal->shared ? FLAG_SHARED : 0) |
                     (journal->leaving ? FLAG_LEAVING : 0));
}

static bool is_valid(const struct record_journal *journal, unsigned fields)
{
    if ((fields & SESSION) != 0 && journal->session == 0)
        return false;
    if ((fields & VERSION) != 0 && (journal->version < 3 || journal->version > 5))
        return false;
    if (journal->qos > QOS_MAX || journal->options > OPTIONS_MAX)
        return false;
    if (journal->state > RECORD_JOURNAL_FAILING)
        return false;
    if ((fields & PACKET) != 0 && journal->packet_id == 0 && journal->kind != RECORD_ENQUEUE)
        return false;
    if ((fields & NAME) != 0 && (journal->name.size == 0 || journal->name.size > UINT16_MAX))
        return false;
    return journal->ids.size % sizeof(uint32_t) == 0;
}

static void put_numbers(struct writer *w, const struct record_journal *journal, unsigned fields)
{
    if ((fields & SERIAL) != 0)
        writer_u64(w, journal->serial);
    if ((fields & EPOCH) != 0)
        writer_u64(w, journal->epoch);
    if ((fields & SESSION) != 0)
        writer_u64(w, journal->session);
    if ((fields & SEQ) != 0)
        writer_u64(w, journal->seq);
    if ((fields & MESSAGE) != 0)
        writer_u64(w, journal->message_id);
    if ((fields & BYTES) != 0)
        writer_u64(w, journal->bytes);
    if ((fields & END_AT) != 0)
        writer_u64(w, journal->end_at_ms);
}

static void put_small(struct writer *w, const struct record_journal *journal, unsigned fields)
{
    if ((fields & EXPIRY) != 0)
        writer_u32(w, journal->expiry_s);
    if ((fields & RUN) != 0)
        writer_u32(w, journal->run);
    if ((fields & SUBSCRIPTION) != 0)
        writer_u32(w, journal->subscription_id);
    if ((fields & COUNT) != 0)
        writer_u32(w, journal->count);
    if ((fields & PACKET) != 0)
        writer_u16(w, journal->packet_id);
    if ((fields & VERSION) != 0)
        writer_u8(w, journal->version);
    if ((fields & QOS) != 0)
        writer_u8(w, journal->qos);
    if ((fields & OPTIONS) != 0)
        writer_u8(w, journal->options);
    if ((fields & STATE) != 0)
        writer_u8(w, journal->state);
    if ((fields & FLAGS) != 0)
        writer_u8(w, flags_of(journal));
    if ((fields & SHARE) != 0 && journal->shared)
        writer_bytes(w, (struct bytes){journal->share.bytes, sizeof(journal->share.bytes)});
}

bool record_put_journal(struct mesh *mesh, unsigned peer, const struct record_journal *journal)
{
    unsigned fields = fields_of((uint16_t)journal->kind);
    struct bytes rest = (fields & NAME) != 0 ? journal->name : journal->ids;
    size_t room = FIXED_MAX + rest.size;
    uint8_t *memory;
    struct writer w;

    check(fields != 0 && is_valid(journal, fields));
    check(room <= ring_record_max(&mesh->out[peer]));
    memory = mesh_reserve(mesh, peer, (uint32_t)room);
    if (memory == NULL)
        return false;
    w = writer_of(memory, room);
    put_numbers(&w, journal, fields);
    put_small(&w, journal, fields);
    if ((fields & (NAME | IDS)) != 0)
        writer_bytes(&w, rest);
    check(!w.bad);
    mesh_commit(mesh, peer, (uint32_t)(room - writer_left(&w)), (uint16_t)journal->kind);
    return true;
}

static void get_numbers(struct reader *r, struct record_journal *journal, unsigned fields)
{
    if ((fields & SERIAL) != 0)
        journal->serial = reader_u64(r);
    if ((fields & EPOCH) != 0)
        journal->epoch = reader_u64(r);
    if ((fields & SESSION) != 0)
        journal->session = reader_u64(r);
    if ((fields & SEQ) != 0)
        journal->seq = reader_u64(r);
    if ((fields & MESSAGE) != 0)
        journal->message_id = reader_u64(r);
    if ((fields & BYTES) != 0)
        journal->bytes = reader_u64(r);
    if ((fields & END_AT) != 0)
        journal->end_at_ms = reader_u64(r);
}

uint64_t record_journal_serial(const struct ring_record *record)
{
    struct reader r = reader_of((struct bytes){record->data, record->size});
    uint64_t serial = (fields_of(record->kind) & SERIAL) != 0 ? reader_u64(&r) : 0;

    return r.bad ? 0 : serial;
}

static void get_flags(struct reader *r, struct record_journal *journal)
{
    uint8_t flags = reader_u8(r);

    journal->connected = (flags & FLAG_CONNECTED) != 0;
    journal->retain = (flags & FLAG_RETAIN) != 0;
    journal->released = (flags & FLAG_RELEASED) != 0;
    journal->unsure = (flags & FLAG_UNSURE) != 0;
    journal->repeat = (flags & FLAG_REPEAT) != 0;
    journal->is_all = (flags & FLAG_IS_ALL) != 0;
    journal->shared = (flags & FLAG_SHARED) != 0;
    journal->leaving = (flags & FLAG_LEAVING) != 0;
}

static void get_share(struct reader *r, struct record_journal *journal)
{
    struct bytes share = reader_bytes(r, sizeof(journal->share.bytes));

    if (!r->bad)
        memcpy(journal->share.bytes, share.data, share.size);
}

static void get_small(struct reader *r, struct record_journal *journal, unsigned fields)
{
    if ((fields & EXPIRY) != 0)
        journal->expiry_s = reader_u32(r);
    if ((fields & RUN) != 0)
        journal->run = reader_u32(r);
    if ((fields & SUBSCRIPTION) != 0)
        journal->subscription_id = reader_u32(r);
    if ((fields & COUNT) != 0)
        journal->count = reader_u32(r);
    if ((fields & PACKET) != 0)
        journal->packet_id = reader_u16(r);
    if ((fields & VERSION) != 0)
        journal->version = reader_u8(r);
    if ((fields & QOS) != 0)
        journal->qos = reader_u8(r);
    if ((fields & OPTIONS) != 0)
        journal->options = reader_u8(r);
    if ((fields & STATE) != 0)
        journal->state = reader_u8(r);
    if ((fields & FLAGS) != 0)
        get_flags(r, journal);
    if ((fields & SHARE) != 0 && journal->shared)
        get_share(r, journal);
}

bool record_get_journal(const struct ring_record *record, struct record_journal *ret_journal)
{
    unsigned fields = fields_of(record->kind);
    struct reader r = reader_of((struct bytes){record->data, record->size});

    if (fields == 0)
        return false;
    *ret_journal = (struct record_journal){.kind = (enum record_kind)record->kind};
    get_numbers(&r, ret_journal, fields);
    get_small(&r, ret_journal, fields);
    if ((fields & NAME) != 0)
        ret_journal->name = reader_bytes(&r, reader_left(&r));
    if ((fields & IDS) != 0)
        ret_journal->ids = reader_bytes(&r, reader_left(&r));
    return !r.bad && reader_left(&r) == 0 && is_valid(ret_journal, fields);
}
