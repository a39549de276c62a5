'use strict';
// MQTT.js: driver_mqttjs.js VERSION MODULE, where the module is mqtt or mqtt4.

const { given, publishNumbered, say, serve } = require('./lines.js');
const mqtt = require(process.argv[3]);

const version = Number(process.argv[2]);
let client;
let receiveMaximum = 65535;
const codes = new Map(); // reason codes of acknowledgements, by packet id

function onMessage(topic, payload, { qos, retain, dup, properties = {} }) {
  const users = Object.entries(properties.userProperties ?? {}).flatMap(
    ([key, values]) => [values].flat().map((value) => ['user', `${key}:${value}`]));
  const ids = [properties.subscriptionIdentifier ?? []].flat().map((id) => ['subscription', id]);
  say('message', [
    ['topic', topic], ['payload', payload], ['qos', qos], ['retain', retain], ['dup', dup],
    ['content-type', properties.contentType], ['response', properties.responseTopic],
    ['correlation', properties.correlationData], ['expiry', properties.messageExpiryInterval],
    ['format', properties.payloadFormatIndicator], ...users, ...ids,
  ]);
}

function userProperties(texts) {
  const object = {};
  for (const [key, value] of texts.map((text) => text.split(':'))) {
    object[key] = key in object ? [object[key], value].flat() : value;
  }
  return texts.length ? object : undefined;
}

function will(fields) {
  return fields.text('will-topic') && {
    topic: fields.text('will-topic'),
    payload: fields.bytes('will-payload'),
    qos: fields.number('will-qos', 0),
    retain: fields.number('will-retain', 0) === 1,
    ...given({ properties: given({ userProperties: userProperties(fields.all('will-user')) }) }),
  };
}

function connect(fields) {
  const reconnects = fields.number('reconnect', 0) === 1;
  client = mqtt.connect(given({
    host: '127.0.0.1',
    port: fields.number('port'),
    protocolVersion: version,
    clientId: fields.text('id'),
    clean: fields.number('clean', 1) === 1,
    keepalive: fields.number('keepalive', 60),
    reconnectPeriod: reconnects ? 50 : 0,
    will: will(fields),
    topicAliasMaximum: fields.number('alias-max'), // for 4, in the properties for 5
    properties: given({
      sessionExpiryInterval: fields.number('session-expiry'),
      topicAliasMaximum: fields.number('alias-max'),
    }),
  }));
  client.on('message', onMessage);
  client.on('packetreceive', (packet) => codes.set(
    packet.messageId, packet.cmd === 'unsuback' ? packet.granted?.[0] : packet.reasonCode));
  let reason;
  client.on('disconnect', (packet) => { reason = packet.reasonCode; });
  return new Promise((resolve, reject) => {
    client.once('error', reject);
    client.once('connect', (packet) => {
      client.on('error', () => {});
      receiveMaximum = packet.properties?.receiveMaximum ?? receiveMaximum;
      if (!reconnects) client.on('close', () => say('closed', [['reason', reason]]));
      resolve([['present', packet.sessionPresent],
        ['assigned', packet.properties?.assignedClientIdentifier]]);
    });
  });
}

function subscribe(fields) {
  const options = given({
    qos: fields.number('qos', 0),
    nl: fields.number('no-local', 0) === 1,
    rap: fields.number('as-published', 0) === 1,
    rh: fields.number('handling', 0),
    properties: given({ subscriptionIdentifier: fields.number('subscription') }),
  });
  return new Promise((resolve, reject) => {
    client.subscribe(fields.text('filter'), options, (error, granted) => (
      error ? reject(error) : resolve([['code', granted[0].qos]])));
  });
}

function unsubscribe(fields) {
  return new Promise((resolve, reject) => {
    let id;
    client.once('packetsend', (packet) => { id = packet.messageId; });
    client.unsubscribe(fields.text('filter'), (error) => (
      error ? reject(error) : resolve([['code', codes.get(id)]])));
  });
}

function publishOne(topic, payload, options) {
  return new Promise((resolve, reject) => {
    client.publish(topic, payload, options, (error, packet) => (
      error ? reject(error) : resolve([['code', codes.get(packet?.messageId)]])));
  });
}

async function publish(fields) {
  const isText = fields.text('format');
  const options = given({
    qos: fields.number('qos', 0),
    retain: fields.number('retain', 0) === 1,
    properties: given({
      userProperties: userProperties(fields.all('user')),
      contentType: fields.text('content-type'),
      responseTopic: fields.text('response'),
      correlationData: fields.bytes('correlation'),
      messageExpiryInterval: fields.number('expiry'),
      payloadFormatIndicator: isText && isText === '1',
      topicAlias: fields.number('alias'),
    }),
  });
  const payload = fields.bytes('payload');
  const count = fields.number('count');
  if (count === undefined) return publishOne(fields.text('topic'), payload, options);
  await publishNumbered(count, payload, receiveMaximum, (each) => (
    publishOne(fields.text('topic'), each, options)));
  return [];
}

function disconnect() {
  client.removeAllListeners('close');
  return new Promise((resolve) => { client.end(false, {}, () => resolve([])); });
}

serve({
  connect: ['port id clean keepalive reconnect session-expiry alias-max will-topic will-payload ' +
    'will-qos will-retain will-user', connect],
  subscribe: ['filter qos no-local as-published handling subscription', subscribe],
  unsubscribe: ['filter', unsubscribe],
  publish: ['topic payload qos retain count user content-type response correlation expiry ' +
    'format alias', publish],
  disconnect: ['', disconnect],
});
