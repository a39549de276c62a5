/*
 * libmosquitto: driver_mosquitto VERSION. The library's own thread runs the callbacks; a
 * command waits until they have noted its answer.
 */

#include "tests/interop/clients/lines.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct driver {
    struct mosquitto *client;
    int version;
    bool reconnects;
    bool is_connected;            /* has been, once */
    struct lines_answers answers; /* of the command that waits */
    int flags;
    char *assigned_id;
};

/* -- properties -- */

static void add_property(mosquitto_property **list, const struct lines_property *property,
                         char *text)
{
    unsigned long number = strtoul(text, NULL, 10);
    switch (property->type) {
    case LINES_BYTE:
        mosquitto_property_add_byte(list, property->code, (uint8_t)number);
        break;
    case LINES_INT16:
        mosquitto_property_add_int16(list, property->code, (uint16_t)number);
        break;
    case LINES_INT32:
        mosquitto_property_add_int32(list, property->code, (uint32_t)number);
        break;
    case LINES_VARINT:
        mosquitto_property_add_varint(list, property->code, (uint32_t)number);
        break;
    case LINES_TEXT:
        mosquitto_property_add_string(list, property->code, text);
        break;
    case LINES_BINARY:
        mosquitto_property_add_binary(list, property->code, text, (uint16_t)lines_bytes(text));
        break;
    case LINES_PAIR: {
        const char *value = lines_pair(text);
        mosquitto_property_add_string_pair(list, property->code, text, value);
        break;
    }
    }
}

/* Those of the command's fields that are properties: of the will, or of the packet. */
static mosquitto_property *properties_of(const struct lines_command *command, bool of_will)
{
    mosquitto_property *list = NULL;
    for (size_t i = 0; i < command->count; i++)
        for (size_t p = 0; p < LINES_PROPERTIES_MAX; p++) {
            const char *key = lines_properties[p].key;
            if (strcmp(key, command->keys[i]) == 0 && of_will == (strncmp(key, "will", 4) == 0))
                add_property(&list, &lines_properties[p], command->values[i]);
        }
    return list;
}

static void put_property(const mosquitto_property *from, const struct lines_property *property)
{
    uint8_t byte;
    uint32_t number;
    char *text = NULL, *name = NULL;
    void *bytes = NULL;
    uint16_t size;
    switch (property->type) {
    case LINES_BYTE:
        mosquitto_property_read_byte(from, property->code, &byte, false);
        lines_put_number(property->key, byte);
        break;
    case LINES_INT32:
        mosquitto_property_read_int32(from, property->code, &number, false);
        lines_put_number(property->key, number);
        break;
    case LINES_VARINT:
        mosquitto_property_read_varint(from, property->code, &number, false);
        lines_put_number(property->key, number);
        break;
    case LINES_TEXT:
        mosquitto_property_read_string(from, property->code, &text, false);
        lines_put_text(property->key, text, strlen(text));
        break;
    case LINES_BINARY:
        mosquitto_property_read_binary(from, property->code, &bytes, &size, false);
        lines_put_hex(property->key, bytes, size);
        break;
    case LINES_PAIR:
        mosquitto_property_read_string_pair(from, property->code, &name, &text, false);
        lines_put_pair(property->key, name, strlen(name), text, strlen(text));
        break;
    case LINES_INT16:
        break; /* no message has one */
    }
    free(text);
    free(name);
    free(bytes);
}

static void put_properties(const mosquitto_property *from)
{
    for (; from != NULL; from = mosquitto_property_next(from)) {
        const struct lines_property *property = lines_properties;
        while (property->code != mosquitto_property_identifier(from))
            property++;
        put_property(from, property);
    }
}

/* -- callbacks, in the library's thread -- */

static void on_connect(struct mosquitto *client, void *context, int code, int flags,
                       const mosquitto_property *properties)
{
    struct driver *driver = context;
    (void)client;
    if (driver->is_connected)
        return; /* once more: nobody waits for that */
    driver->is_connected = code == 0;
    driver->flags = flags;
    mosquitto_property_read_string(properties, MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER,
                                   &driver->assigned_id, false);
    lines_note(&driver->answers, code, false);
}

static void on_disconnect(struct mosquitto *client, void *context, int code,
                          const mosquitto_property *properties)
{
    struct driver *driver = context;
    (void)properties;
    if (driver->reconnects)
        return;
    mosquitto_disconnect(client); /* so that the thread does not try again */
    if (code == 0)
        return; /* asked for */
    lines_begin("closed");
    if (driver->version == 5 && code >= MQTT_RC_UNSPECIFIED)
        lines_put_number("reason", code);
    lines_end();
}

static void on_subscribe(struct mosquitto *client, void *context, int id, int count,
                         const int *codes, const mosquitto_property *properties)
{
    struct driver *driver = context;
    (void)client, (void)id, (void)count, (void)properties;
    lines_note(&driver->answers, codes[0], false);
}

static void on_unsubscribe(struct mosquitto *client, void *context, int id,
                           const mosquitto_property *properties)
{
    struct driver *driver = context;
    (void)client, (void)id, (void)properties;
    lines_note(&driver->answers, 0, false);
}

static void on_publish(struct mosquitto *client, void *context, int id, int code,
                       const mosquitto_property *properties)
{
    struct driver *driver = context;
    (void)client, (void)id, (void)properties;
    lines_note(&driver->answers, code, false);
}

static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    (void)client, (void)context;
    lines_begin("message");
    lines_put_text("topic", message->topic, strlen(message->topic));
    lines_put_hex("payload", message->payload, (size_t)message->payloadlen);
    lines_put_number("qos", message->qos);
    lines_put_number("retain", message->retain);
    put_properties(properties);
    lines_end();
}

/* -- commands -- */

static void set_up(struct driver *driver, const struct lines_command *command)
{
    const char *id = lines_text(command, "id");
    driver->client =
        mosquitto_new(id[0] == '\0' ? NULL : id, lines_number(command, "clean", 1) == 1, driver);
    driver->reconnects = lines_number(command, "reconnect", 0) == 1;
    mosquitto_int_option(driver->client, MOSQ_OPT_PROTOCOL_VERSION, driver->version);
    mosquitto_connect_v5_callback_set(driver->client, on_connect);
    mosquitto_disconnect_v5_callback_set(driver->client, on_disconnect);
    mosquitto_subscribe_v5_callback_set(driver->client, on_subscribe);
    mosquitto_unsubscribe_v5_callback_set(driver->client, on_unsubscribe);
    mosquitto_publish_v5_callback_set(driver->client, on_publish);
    mosquitto_message_v5_callback_set(driver->client, on_message);
    char *payload = lines_text(command, "will-payload");
    if (payload != NULL)
        mosquitto_will_set_v5(
            driver->client, lines_text(command, "will-topic"), (int)lines_bytes(payload), payload,
            lines_number(command, "will-qos", 0), lines_number(command, "will-retain", 0) == 1,
            properties_of(command, true));
}

static void answer_connect(struct driver *driver)
{
    lines_begin("ok");
    lines_put_number("present", driver->flags & 1);
    if (driver->assigned_id != NULL)
        lines_put_text("assigned", driver->assigned_id, strlen(driver->assigned_id));
    lines_end();
}

/* NULL, or why it is not connected. */
static const char *try_connect(struct driver *driver, const struct lines_command *command)
{
    mosquitto_property *properties = properties_of(command, false);
    int result =
        mosquitto_connect_bind_v5(driver->client, "127.0.0.1", lines_number(command, "port", 0),
                                  lines_number(command, "keepalive", 60), NULL, properties);
    mosquitto_property_free_all(&properties);
    if (result != MOSQ_ERR_SUCCESS)
        return mosquitto_strerror(result);
    mosquitto_loop_start(driver->client);
    if (!lines_await(&driver->answers, 1))
        return "no CONNACK";
    return driver->answers.code == 0 ? NULL : mosquitto_connack_string(driver->answers.code);
}

static void connect_to(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    set_up(driver, command);
    const char *why = try_connect(driver, command);
    if (why == NULL)
        answer_connect(driver);
    else
        lines_failed(why);
}

/* After a request: waits for so many answers and says the last one's code. */
static void answer(struct driver *driver, int result, int count, bool has_code)
{
    if (result != MOSQ_ERR_SUCCESS) {
        lines_failed(mosquitto_strerror(result));
    } else if (!lines_await(&driver->answers, count)) {
        lines_failed("not acknowledged");
    } else {
        lines_begin("ok");
        if (has_code)
            lines_put_number("code", driver->answers.code);
        lines_end();
    }
}

static void subscribe(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    mosquitto_property *properties = properties_of(command, false);
    int options = lines_number(command, "no-local", 0) * MQTT_SUB_OPT_NO_LOCAL |
                  lines_number(command, "as-published", 0) * MQTT_SUB_OPT_RETAIN_AS_PUBLISHED |
                  lines_number(command, "handling", 0) << 4;
    int result = mosquitto_subscribe_v5(driver->client, NULL, lines_text(command, "filter"),
                                        lines_number(command, "qos", 0), options, properties);
    mosquitto_property_free_all(&properties);
    answer(driver, result, 1, true);
}

static void unsubscribe(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    int result = mosquitto_unsubscribe(driver->client, NULL, lines_text(command, "filter"));
    answer(driver, result, 1, false);
}

static void publish(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    const char *topic = lines_text(command, "topic");
    char *payload = lines_text(command, "payload");
    int size = (int)lines_bytes(payload);
    int qos = lines_number(command, "qos", 0), count = lines_number(command, "count", 0);
    bool retain = lines_number(command, "retain", 0) == 1;
    mosquitto_property *properties = properties_of(command, false);
    int result = MOSQ_ERR_SUCCESS;
    if (count == 0)
        result = mosquitto_publish_v5(driver->client, NULL, topic[0] == '\0' ? NULL : topic, size,
                                      payload, qos, retain, properties);
    for (int i = 0; i < count && result == MOSQ_ERR_SUCCESS; i++) {
        char numbered[64];
        int length = snprintf(numbered, sizeof(numbered), "%.*s%d", size, payload, i);
        result = mosquitto_publish_v5(driver->client, NULL, topic, length, numbered, qos, retain,
                                      properties);
    }
    mosquitto_property_free_all(&properties);
    answer(driver, result, count == 0 ? 1 : count, qos > 0);
}

static void disconnect(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    (void)command;
    driver->reconnects = false;
    mosquitto_disconnect(driver->client);
    mosquitto_loop_stop(driver->client, false);
    lines_ok();
}

static const struct lines_verb verbs[] = {
    {"connect",
     "port id clean keepalive reconnect session-expiry will-topic will-payload will-qos "
     "will-retain will-user ",
     connect_to},
    {"subscribe", "filter qos subscription no-local as-published handling ", subscribe},
    {"unsubscribe", "filter ", unsubscribe},
    {"publish",
     "topic payload qos retain count user content-type response correlation format expiry alias ",
     publish},
    {"disconnect", "", disconnect},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    struct driver driver = {
        .version = argc == 2 ? (int)strtol(argv[1], NULL, 10) : 4,
        .answers = LINES_ANSWERS_INITIALIZER,
    };
    mosquitto_lib_init();
    lines_serve(verbs, &driver);
    _Exit(0); /* whatever the library's thread is at */
}
