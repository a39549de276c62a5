'use strict';
// mqtts, a client of its own for 3.1.1: driver_mqtts.js VERSION

const { DefaultPacketWriteMap, MqttClient, PacketType, TcpTransport } = require('mqtts');
const { publishNumbered, say, serve } = require('./lines.js');

let client;

async function connect(fields) {
  client = new MqttClient({
    transport: new TcpTransport({ host: '127.0.0.1', port: fields.number('port') }),
    // Its own table of packets that it can write lacks DISCONNECT.
    writeMap: { ...DefaultPacketWriteMap, [PacketType.Disconnect]: () => ({}) },
  });
  client.on('message', (m) => say('message', [
    ['topic', m.topic], ['payload', m.payload], ['qos', m.qosLevel], ['retain', m.retained],
    ['dup', m.duplicate],
  ]));
  const connack = new Promise((resolve, reject) => {
    client.once('connect', resolve);
    client.once('error', reject);
  });
  await client.connect({
    clientId: fields.text('id'),
    clean: fields.number('clean', 1) === 1,
    keepAlive: fields.number('keepalive', 60),
    will: fields.text('will-topic') && {
      topic: fields.text('will-topic'),
      message: fields.bytes('will-payload'),
      qosLevel: fields.number('will-qos', 0),
      retained: fields.number('will-retain', 0) === 1,
    },
  });
  const { sessionPresent } = await connack;
  client.on('error', () => {});
  client.on('disconnect', () => say('closed'));
  return [['present', sessionPresent]];
}

async function subscribe(fields) {
  const code = await client.subscribe({
    topic: fields.text('filter'),
    qosLevel: fields.number('qos', 0),
  });
  return [['code', code]];
}

async function unsubscribe(fields) {
  await client.unsubscribe({ topic: fields.text('filter') });
  return [];
}

async function publish(fields) {
  const publishOne = (payload) => client.publish({
    topic: fields.text('topic'),
    payload,
    qosLevel: fields.number('qos', 0),
    retained: fields.number('retain', 0) === 1,
  });
  const payload = fields.bytes('payload');
  const count = fields.number('count');
  if (count === undefined) await publishOne(payload);
  else await publishNumbered(count, payload, count, publishOne);
  return [];
}

async function disconnect() {
  client.removeAllListeners('disconnect');
  await client.disconnect();
  return [];
}

serve({
  connect: ['port id clean keepalive will-topic will-payload will-qos will-retain', connect],
  subscribe: ['filter qos', subscribe],
  unsubscribe: ['filter', unsubscribe],
  publish: ['topic payload qos retain count', publish],
  disconnect: ['', disconnect],
});
