'use strict';
// u8-mqtt, a client of its own without QoS 2: driver_u8.js VERSION
// It writes a pair of user property as one string, and two of the subscription's options
// at wrong bits; so these are not offered.

const mqtt = require('u8-mqtt');
const { NotOffered, given, publishNumbered, say, serve } = require('./lines.js');

const create = process.argv[2] === '5' ? mqtt.mqtt_v5 : mqtt.mqtt_v4;
let client;
let reason;
let receiveMaximum = 65535;

function onPublish(packet) {
  const { topic, payload, qos, retain, dup } = packet;
  const properties = packet.props ?? {};
  const users = Object.entries(properties.user_properties ?? {});
  say('message', [
    ['topic', topic], ['payload', payload], ['qos', qos], ['retain', retain], ['dup', dup],
    ['content-type', properties.content_type], ['response', properties.response_topic],
    ['correlation', properties.correlation_data], ['expiry', properties.message_expiry_interval],
    ['format', properties.payload_format_indicator],
    ...users.map(([key, value]) => ['user', `${key}:${value}`]),
    ['subscription', properties.subscription_identifier],
  ]);
}

async function connect(fields) {
  client = create({
    on_mqtt_type: { mqtt_disconnect: (packet) => { reason = packet.reason; } },
  });
  client.on_topic('*', onPublish);
  client.log_conn = () => {};
  client.on_error = () => {};
  client.on_disconnect = (_, isWanted) => isWanted || say('closed', [['reason', reason]]);
  client.with_tcp(fields.number('port'), '127.0.0.1');
  const [connack] = await client.connect({
    client_id: fields.text('id'),
    flags: { clean_start: fields.number('clean', 1) === 1 },
    keep_alive: fields.number('keepalive', 60),
    props: given({
      session_expiry_interval: fields.number('session-expiry'),
    }),
    will: fields.text('will-topic') && {
      topic: fields.text('will-topic'),
      payload: fields.bytes('will-payload'),
      qos: fields.number('will-qos', 0),
      retain: fields.number('will-retain', 0) === 1,
    },
  });
  receiveMaximum = connack.props?.receive_maximum ?? receiveMaximum;
  return [['present', connack.flags.session_present],
    ['assigned', connack.props?.assigned_client_identifier]];
}

function qosOf(fields) {
  if (fields.number('qos', 0) === 2) throw new NotOffered('qos=2');
  return fields.number('qos', 0);
}

async function subscribe(fields) {
  const [suback] = await client.subscribe({
    topics: [[fields.text('filter'), { qos: qosOf(fields) }]],
    props: given({ subscription_identifier: fields.number('subscription') }),
  });
  return [['code', suback.answers[0]]];
}

async function unsubscribe(fields) {
  const [unsuback] = await client.unsubscribe({ topics: [fields.text('filter')] });
  return [['code', unsuback.answers[0]]];
}

async function publish(fields) {
  const publishOne = (payload) => {
    const packet = {
      topic: fields.text('topic'),
      payload,
      qos: qosOf(fields),
      retain: fields.number('retain', 0) === 1,
      props: given({
        content_type: fields.text('content-type'),
        response_topic: fields.text('response'),
        correlation_data: fields.bytes('correlation'),
        message_expiry_interval: fields.number('expiry'),
        payload_format_indicator: fields.number('format'),
        topic_alias: fields.number('alias'),
      }),
    };
    // Its publish() fails with QoS 0, as it wants a packet id for the answer.
    return packet.qos === 0 ? client._send('publish', packet) : client.publish(packet);
  };
  const payload = fields.bytes('payload');
  const count = fields.number('count');
  if (count === undefined) {
    const answer = await publishOne(payload);
    return [['code', answer?.[0]?.reason]];
  }
  await publishNumbered(count, payload, receiveMaximum, publishOne);
  return [];
}

async function disconnect() {
  await client.disconnect();
  return [];
}

serve({
  connect: ['port id clean keepalive session-expiry will-topic will-payload will-qos ' +
    'will-retain', connect],
  subscribe: ['filter qos subscription', subscribe],
  unsubscribe: ['filter', unsubscribe],
  publish: ['topic payload qos retain count content-type response correlation expiry format alias',
    publish],
  disconnect: ['', disconnect],
});
