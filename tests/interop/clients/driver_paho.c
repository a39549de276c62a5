/*
 * Eclipse Paho's client for C, the asynchronous one: driver_paho VERSION. The library's own
 * thread runs the callbacks; a command waits until they have noted its answer.
 */

#include "tests/interop/clients/lines.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct driver {
    MQTTAsync client;
    int version;
    bool reconnects;
    struct lines_answers answers; /* of the command that waits */
    int lost;                     /* messages given up when the connection was cut */
    bool is_present;
    char assigned_id[64];
};

/* -- properties -- */

static MQTTLenString len_string(char *text, size_t size)
{
    return (MQTTLenString){.len = (int)size, .data = text};
}

static void add_property(MQTTProperties *list, const struct lines_property *property, char *text)
{
    unsigned long number = strtoul(text, NULL, 10);
    MQTTProperty added = {.identifier = (enum MQTTPropertyCodes)property->code};
    switch (property->type) {
    case LINES_BYTE:
        added.value.byte = (unsigned char)number;
        break;
    case LINES_INT16:
        added.value.integer2 = (unsigned short)number;
        break;
    case LINES_INT32:
    case LINES_VARINT:
        added.value.integer4 = (unsigned int)number;
        break;
    case LINES_TEXT:
        added.value.data = len_string(text, strlen(text));
        break;
    case LINES_BINARY:
        added.value.data = len_string(text, lines_bytes(text));
        break;
    case LINES_PAIR:
        added.value.value = len_string(lines_pair(text), 0);
        added.value.value.len = (int)strlen(added.value.value.data);
        added.value.data = len_string(text, strlen(text));
        break;
    }
    MQTTProperties_add(list, &added);
}

/* Those of the command's fields that are properties: of the will, or of the packet. */
static MQTTProperties properties_of(const struct lines_command *command, bool of_will)
{
    MQTTProperties list = MQTTProperties_initializer;
    for (size_t i = 0; i < command->count; i++)
        for (size_t p = 0; p < LINES_PROPERTIES_MAX; p++) {
            const char *key = lines_properties[p].key;
            if (strcmp(key, command->keys[i]) == 0 && of_will == (strncmp(key, "will", 4) == 0))
                add_property(&list, &lines_properties[p], command->values[i]);
        }
    return list;
}

static void put_property(const MQTTProperty *from, const struct lines_property *property)
{
    MQTTLenString data = from->value.data, value = from->value.value;
    switch (property->type) {
    case LINES_BYTE:
        lines_put_number(property->key, from->value.byte);
        break;
    case LINES_INT16:
        lines_put_number(property->key, from->value.integer2);
        break;
    case LINES_INT32:
    case LINES_VARINT:
        lines_put_number(property->key, from->value.integer4);
        break;
    case LINES_TEXT:
        lines_put_text(property->key, data.data, (size_t)data.len);
        break;
    case LINES_BINARY:
        lines_put_hex(property->key, data.data, (size_t)data.len);
        break;
    case LINES_PAIR:
        lines_put_pair(property->key, data.data, (size_t)data.len, value.data, (size_t)value.len);
        break;
    }
}

static void put_properties(const MQTTProperties *list)
{
    for (int i = 0; i < list->count; i++) {
        const struct lines_property *property = lines_properties;
        while (property->code != (int)list->array[i].identifier)
            property++;
        put_property(&list->array[i], property);
    }
}

/* -- callbacks, in the library's thread -- */

static void on_success(void *context, MQTTAsync_successData *data)
{
    struct driver *driver = context;
    lines_note(&driver->answers, data == NULL ? 0 : data->alt.qos, false);
}

static void on_success5(void *context, MQTTAsync_successData5 *data)
{
    struct driver *driver = context;
    lines_note(&driver->answers, data == NULL ? 0 : (int)data->reasonCode, false);
}

/* The library gives up a message that it can't write, with a negative code; a connection that
 * comes back goes on after that. */
static void note_failure(struct driver *driver, int code, int reason)
{
    bool is_lost = driver->reconnects && code < 0;
    if (is_lost)
        driver->lost++;
    lines_note(&driver->answers, reason, !is_lost);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    int code = data == NULL ? 0 : data->code;
    note_failure(context, code, code);
}

static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    if (data == NULL)
        note_failure(context, 0, 0);
    else
        note_failure(context, data->code, (int)data->reasonCode);
}

static void on_connect(void *context, MQTTAsync_successData *data)
{
    struct driver *driver = context;
    driver->is_present = data->alt.connect.sessionPresent == 1;
    lines_note(&driver->answers, 0, false);
}

static void on_connect5(void *context, MQTTAsync_successData5 *data)
{
    struct driver *driver = context;
    const MQTTProperty *assigned =
        MQTTProperties_getProperty(&data->properties, MQTTPROPERTY_CODE_ASSIGNED_CLIENT_IDENTIFER);
    if (assigned != NULL)
        snprintf(driver->assigned_id, sizeof(driver->assigned_id), "%.*s", assigned->value.data.len,
                 assigned->value.data.data);
    driver->is_present = data->alt.connect.sessionPresent == 1;
    lines_note(&driver->answers, 0, false);
}

static void on_lost(void *context, char *cause)
{
    struct driver *driver = context;
    (void)cause;
    if (driver->reconnects || driver->version == 5)
        return;
    lines_begin("closed");
    lines_end();
}

static void on_disconnected(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    (void)context, (void)properties;
    lines_begin("closed");
    lines_put_number("reason", (long)reason);
    lines_end();
}

static int on_message(void *context, char *topic, int topic_size, MQTTAsync_message *message)
{
    (void)context;
    lines_begin("message");
    lines_put_text("topic", topic, topic_size > 0 ? (size_t)topic_size : strlen(topic));
    lines_put_hex("payload", message->payload, (size_t)message->payloadlen);
    lines_put_number("qos", message->qos);
    lines_put_number("retain", message->retained);
    lines_put_number("dup", message->dup);
    put_properties(&message->properties);
    lines_end();
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* -- commands -- */

static MQTTAsync_responseOptions response_for(struct driver *driver)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = driver;
    if (driver->version == 5) {
        options.onSuccess5 = on_success5;
        options.onFailure5 = on_failure5;
    } else {
        options.onSuccess = on_success;
        options.onFailure = on_failure;
    }
    return options;
}

/* After a request: waits for so many answers and says the last one's code. */
static void answer(struct driver *driver, int result, int count, bool has_code)
{
    if (result != MQTTASYNC_SUCCESS) {
        lines_failed(MQTTAsync_strerror(result));
    } else if (!lines_await(&driver->answers, count)) {
        lines_failed("refused, or not answered");
    } else {
        lines_begin("ok");
        if (has_code)
            lines_put_number("code", driver->answers.code);
        if (driver->lost > 0)
            lines_put_number("lost", driver->lost);
        lines_end();
    }
}

static int create(struct driver *driver, const struct lines_command *command)
{
    char uri[64];
    snprintf(uri, sizeof(uri), "tcp://127.0.0.1:%d", lines_number(command, "port", 0));
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = driver->version;
    options.sendWhileDisconnected = 1;
    options.maxBufferedMessages = 1000;
    int result = MQTTAsync_createWithOptions(&driver->client, uri, lines_text(command, "id"),
                                             MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (result != MQTTASYNC_SUCCESS)
        return result;
    driver->reconnects = lines_number(command, "reconnect", 0) == 1;
    MQTTAsync_setCallbacks(driver->client, driver, on_lost, on_message, NULL);
    if (driver->version == 5 && !driver->reconnects)
        MQTTAsync_setDisconnected(driver->client, driver, on_disconnected);
    return MQTTASYNC_SUCCESS;
}

/* The library wants callbacks and flags of the version, and none of the other. */
static MQTTAsync_connectOptions connect_options(struct driver *driver, bool is_clean)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    if (driver->version == 5) {
        options = (MQTTAsync_connectOptions)MQTTAsync_connectOptions_initializer5;
        options.cleanstart = is_clean;
        options.onSuccess5 = on_connect5;
        options.onFailure5 = on_failure5;
    } else {
        options.cleansession = is_clean;
        options.onSuccess = on_connect;
        options.onFailure = on_failure;
    }
    options.MQTTVersion = driver->version;
    options.context = driver;
    options.automaticReconnect = driver->reconnects;
    return options;
}

static void answer_connect(struct driver *driver)
{
    lines_begin("ok");
    lines_put_number("present", driver->is_present);
    if (driver->assigned_id[0] != '\0')
        lines_put_text("assigned", driver->assigned_id, strlen(driver->assigned_id));
    lines_end();
}

static void connect_to(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    int result = create(driver, command);
    MQTTAsync_connectOptions options =
        connect_options(driver, lines_number(command, "clean", 1) == 1);
    options.keepAliveInterval = lines_number(command, "keepalive", 60);
    MQTTProperties properties = properties_of(command, false);
    MQTTProperties will_properties = properties_of(command, true);
    if (driver->version == 5) {
        options.connectProperties = &properties;
        options.willProperties = &will_properties;
    }
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    char *payload = lines_text(command, "will-payload");
    if (payload != NULL) {
        will.topicName = lines_text(command, "will-topic");
        will.qos = lines_number(command, "will-qos", 0);
        will.retained = lines_number(command, "will-retain", 0);
        will.payload.len = (int)lines_bytes(payload);
        will.payload.data = payload;
        options.will = &will;
    }
    if (result == MQTTASYNC_SUCCESS)
        result = MQTTAsync_connect(driver->client, &options);
    if (result == MQTTASYNC_SUCCESS && lines_await(&driver->answers, 1))
        answer_connect(driver);
    else
        lines_failed(MQTTAsync_strerror(result));
}

static void subscribe(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    MQTTAsync_responseOptions options = response_for(driver);
    options.properties = properties_of(command, false);
    options.subscribeOptions.noLocal = (unsigned char)lines_number(command, "no-local", 0);
    options.subscribeOptions.retainAsPublished =
        (unsigned char)lines_number(command, "as-published", 0);
    options.subscribeOptions.retainHandling = (unsigned char)lines_number(command, "handling", 0);
    int result = MQTTAsync_subscribe(driver->client, lines_text(command, "filter"),
                                     lines_number(command, "qos", 0), &options);
    answer(driver, result, 1, true);
}

static void unsubscribe(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    MQTTAsync_responseOptions options = response_for(driver);
    int result = MQTTAsync_unsubscribe(driver->client, lines_text(command, "filter"), &options);
    answer(driver, result, 1, driver->version == 5);
}

static void publish(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    const char *topic = lines_text(command, "topic");
    char *payload = lines_text(command, "payload");
    int size = (int)lines_bytes(payload), count = lines_number(command, "count", 0);
    MQTTAsync_message message = MQTTAsync_message_initializer;
    message.qos = lines_number(command, "qos", 0);
    message.retained = lines_number(command, "retain", 0);
    message.payload = payload;
    message.payloadlen = size;
    message.properties = properties_of(command, false);
    int result = MQTTASYNC_SUCCESS;
    char numbered[64];
    for (int i = 0; i < (count == 0 ? 1 : count) && result == MQTTASYNC_SUCCESS; i++) {
        if (count > 0) {
            message.payload = numbered;
            message.payloadlen = snprintf(numbered, sizeof(numbered), "%.*s%d", size, payload, i);
        }
        MQTTAsync_responseOptions options = response_for(driver);
        result = MQTTAsync_sendMessage(driver->client, topic, &message, &options);
    }
    answer(driver, result, count == 0 ? 1 : count, driver->version == 5 && message.qos > 0);
}

static void disconnect(void *context, const struct lines_command *command)
{
    struct driver *driver = context;
    (void)command;
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    if (driver->version == 5)
        options.onSuccess5 = on_success5;
    else
        options.onSuccess = on_success;
    options.context = driver;
    answer(driver, MQTTAsync_disconnect(driver->client, &options), 1, false);
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
    lines_serve(verbs, &driver);
    _Exit(0); /* whatever the library's thread is at */
}
