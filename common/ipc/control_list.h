/*
 * The control messages, master to child, one row each:
 * CONTROL(name, number on the wire, size of the body). No guard: a list to be
 * expanded with CONTROL defined.
 */
CONTROL(CONF, 1, sizeof(struct conf_tunable)) /* a reload's new values */
CONTROL(PING, 2, sizeof(uint32_t))            /* answer with heartbeat_answer() */
CONTROL(STOP, 3, 0)                           /* drain and end with exit code 0 */
CONTROL(DUMP, 4, 0)                           /* write your state to the log */
CONTROL(SAVE, 5, 0)                           /* store: put on disk what waits for it */
