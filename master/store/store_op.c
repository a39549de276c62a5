#include "master/store/store_op.h"

static enum store_op_progress decode_message(struct record_assembly *assembly, size_t memory_max,
                                             const struct ring_record *record, struct store_op *op)
{
    struct record_message *message = &op->as.message;
    switch (record_get_message(assembly, record, memory_max, message)) {
    case RECORD_BROKEN:
        return STORE_OP_BROKEN;
    case RECORD_PARTIAL:
        return STORE_OP_NONE;
    case RECORD_WHOLE:
        break;
    }
    if (message->purpose != RECORD_FOR_RETAIN && message->purpose != RECORD_FOR_WILL)
        return STORE_OP_BROKEN;
    op->kind = message->purpose == RECORD_FOR_RETAIN ? STORE_OP_RETAIN : STORE_OP_WILL;
    /* The next message would overwrite what the assembly holds. */
    return assembly->memory != NULL ? STORE_OP_LAST : STORE_OP_TAKEN;
}

static enum store_op_progress decode_reset(const struct ring_record *record, struct store_op *op)
{
    op->kind = STORE_OP_RESET;
    return record_get_reset(record, &op->serial) ? STORE_OP_LAST : STORE_OP_BROKEN;
}

static enum store_op_progress decode_filter(const struct ring_record *record, struct store_op *op)
{
    op->kind = STORE_OP_FILTER;
    if (!record_get_filter(record, &op->as.filter))
        return STORE_OP_BROKEN;
    op->serial = op->as.filter.serial;
    return STORE_OP_TAKEN;
}

static enum store_op_progress decode_group(const struct ring_record *record, struct store_op *op)
{
    op->kind = STORE_OP_GROUP;
    if (!record_get_group(record, &op->as.group))
        return STORE_OP_BROKEN;
    op->serial = op->as.group.serial;
    return STORE_OP_TAKEN;
}

static enum store_op_progress decode_will_clear(const struct ring_record *record,
                                                struct store_op *op)
{
    op->kind = STORE_OP_WILL_CLEAR;
    return record_get_will_clear(record, &op->as.client_id) ? STORE_OP_TAKEN : STORE_OP_BROKEN;
}

enum store_op_progress store_op_decode(struct record_assembly *assembly, size_t memory_max,
                                       unsigned worker, const struct ring_record *record,
                                       struct store_op *ret_op)
{
    *ret_op = (struct store_op){.worker = worker};
    switch (record->kind) {
    case RECORD_RESET:
        return decode_reset(record, ret_op);
    case RECORD_FILTER:
        return decode_filter(record, ret_op);
    case RECORD_GROUP:
        return decode_group(record, ret_op);
    case RECORD_WILL_CLEAR:
        return decode_will_clear(record, ret_op);
    case RECORD_MESSAGE:
    case RECORD_FRAGMENT:
        return decode_message(assembly, memory_max, record, ret_op);
    default:
        return STORE_OP_BROKEN;
    }
}
