#include "worker/protocol/unsure.h"

#include <stdlib.h>

enum { ROOM_MIN = 16 };

void unsure_done(struct unsure *unsure)
{
    free(unsure->list);
    *unsure = (struct unsure){0};
}

bool unsure_add(struct unsure *unsure, const struct session *session, uint16_t packet_id,
                uint64_t message_id)
{
    if (unsure->count == unsure->room) {
        unsigned room = unsure->room == 0 ? ROOM_MIN : unsure->room * 2;
        struct unsure_message *list = realloc(unsure->list, room * sizeof(list[0]));
        if (list == NULL)
            return false;
        unsure->list = list;
        unsure->room = room;
    }
    unsure->list[unsure->count++] = (struct unsure_message){
        .session = session->number,
        .message_id = message_id,
        .packet_id = packet_id,
    };
    return true;
}

uint64_t unsure_take(struct unsure *unsure, const struct session *session, uint16_t packet_id)
{
    for (unsigned i = 0; i < unsure->count; i++) {
        const struct unsure_message found = unsure->list[i];
        if (found.session != session->number || found.packet_id != packet_id)
            continue;
        unsure->list[i] = unsure->list[--unsure->count];
        return found.message_id;
    }
    return 0;
}
