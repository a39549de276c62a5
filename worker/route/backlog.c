#include "worker/route/backlog.h"

#include "worker/net/conn.h"

enum { TURN_CLIENTS = 64 };

bool backlog_is_full(const struct router *router)
{
    return router->journal.waiting_bytes >= router->tunable->journal_bytes_max;
}

void backlog_hold(struct router *router, struct session *session)
{
    bool is_open = session->conn != NULL && session->conn->state == CONN_OPEN;
    if (!is_open || list_is_linked(&session->backlog_node) || !backlog_is_full(router))
        return;
    list_push_back(&router->backlog, &session->backlog_node);
    stats_add(router->stats, STAT_clients_held, 1);
    conn_hold(session->conn);
}

void backlog_forget(struct session *session)
{
    list_remove(&session->backlog_node);
}

bool backlog_step(struct router *router)
{
    if (list_is_empty(&router->backlog) || journal_is_behind(&router->journal))
        return false;
    struct list_node *node;
    for (unsigned i = 0; i < TURN_CLIENTS && (node = list_first(&router->backlog)) != NULL; i++) {
        list_remove(node);
        conn_unhold(list_owner(node, struct session, backlog_node)->conn);
    }
    return true;
}
