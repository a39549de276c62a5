"""Packets and the stream of bytes that they come in."""

import itertools
import time

import pytest

import courtier
import packets
import wire
from packets import V5, V31, Reason, Type, connect, packet, publish, subscribe, text16

HUGE = b"\x30\xff\xff\xff\x7f\0\1t"  # a PUBLISH that claims 268435455 bytes


# -- lengths --

def edge_001_fourth_continuation_bit_ends_the_connection(broker, version):
    """Four bytes of length are enough to know: nothing is sent behind them."""
    client = broker.connect(version=version)
    client.send(b"\xc0\xff\xff\xff\xff")
    client.expect_reject(Reason.MALFORMED)


def edge_002_length_over_the_limit_ends_on_the_header(broker, version):
    client = broker.connect(version=version)
    client.send(HUGE[:5])
    client.expect_reject(Reason.TOO_LARGE)


def memory_of(pid):
    """Of a process, bytes that it could write to without asking for more."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmData"))


@pytest.mark.conf("max_packet_size 268435460")
def edge_002_claimed_length_reserves_nothing(broker, version):
    clients = [broker.connect(version=version, worker=0) for _ in range(4)]
    before = memory_of(broker.process.pids["worker 0"])
    for client in clients:
        client.send(HUGE)
        client.send(b"trickle")
    wire.flush()
    broker.process.settle()
    assert memory_of(broker.process.pids["worker 0"]) - before < 64 << 20
    for client in clients:
        client.cut()


# -- segments --

SPLITS = {
    "connect": lambda v: connect("split", v, will=packets.Will("t", b"w")),
    "publish": lambda v: publish("split/topic", "payload", 1, 77, version=v),
    "subscribe": lambda v: subscribe(78, [("split/+", 1), ("#/bad", 0)], version=v),
    "malformed": lambda v: packet(Type.PUBLISH, 6, text16("t") + b"\0\1")}


def answer_to(broker, version, what, data, at):
    """All that comes back for these bytes when they arrive in two segments."""
    client = broker.raw(version) if what == "connect" else broker.connect(version=version)
    client.send_split(data, at, broker.process.settle)
    got = []
    try:
        while len(got) < (3 if what == "malformed" else 1):
            got.append(client.recv().raw)
    except wire.Closed:
        got.append("closed")
    client.cut()
    return got


@pytest.mark.one_shape
@pytest.mark.parametrize("what", SPLITS)
def edge_003_answer_does_not_depend_on_segments(broker, version, what):
    # covers: MQTT-4.2.0-1, v3 MQTT-7.1.1-1
    data = SPLITS[what](version)
    whole = answer_to(broker, version, what, data, 0)
    for at in range(1, len(data)):
        assert answer_to(broker, version, what, data, at) == whole, f"split at byte {at}"


def edge_003_exchange_in_single_bytes(broker, version):
    # covers: MQTT-4.2.0-1, v3 MQTT-7.1.1-1
    broker.segments = "bytes"
    subscriber, publisher = (broker.connect(version=version) for _ in range(2))
    subscriber.subscribe(broker.topic(), qos=2)
    for qos in (0, 1, 2):
        publisher.publish(broker.topic(), f"QoS {qos}", qos)
        subscriber.expect_publish(broker.topic(), f"QoS {qos}", qos=qos)
    subscriber.unsubscribe(broker.topic())
    publisher.ping()
    publisher.disconnect()


def edge_004_everything_in_one_segment(broker, version):
    watcher = broker.connect()
    watcher.subscribe(broker.topic("t"), broker.topic("will"))
    client = broker.raw(version)
    client.send(
        connect(broker.new_id(), version, will=packets.Will(broker.topic("will"), b"will")) +
        subscribe(1, [(broker.topic("own"), 1)], version=version) +
        publish(broker.topic("t"), "payload", 1, 2, version=version) +
        packets.disconnect())
    client.expect_connack()
    client.expect(Type.SUBACK, packet_id=1)
    client.expect(Type.PUBACK, packet_id=2)
    client.expect_close()
    watcher.expect_publish(broker.topic("t"), "payload")
    wire.expect_nothing(watcher, broker.connect())


# -- time --

@pytest.mark.clock
def edge_005_half_packets_do_not_keep_alive(broker, version):
    """One falls silent in the middle of a packet, the other goes on byte by byte."""
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    silent, slow = (broker.connect(version=version, keep_alive=1,
                                   will=packets.Will(broker.topic(), name))
                    for name in (b"silent", b"slow"))
    start = time.monotonic()
    for client in (silent, slow):
        client.send_now(b"\x30\x7f\0\1t")
    last = None
    with pytest.raises(wire.Closed):
        while time.monotonic() < start + 10:
            slow.send_now(b"x")
            try:
                last = slow.recv(timeout=0.2)
            except TimeoutError:
                continue
    assert 1.4 < time.monotonic() - start < 9
    told = (Type.DISCONNECT, Reason.KEEP_ALIVE) if version == V5 else None
    assert (last and (last.type, last.reason)) == told
    silent.expect_reject(Reason.KEEP_ALIVE)
    assert {p.payload for p in watcher.receive(2)} == {b"silent", b"slow"}


def sockets_of_workers(process):
    return sum(len(courtier.socket_inodes(pid)) for name, pid in process.read_pids().items()
               if name.startswith("worker"))


@pytest.mark.clock
@pytest.mark.conf("connect_timeout 1")
def edge_006_connect_must_come_in_time(broker):
    """Nothing, half a CONNECT, and a CONNECT in single bytes that takes too long."""
    broker.process.settle()
    before = sockets_of_workers(broker.process)
    start = time.monotonic()
    clients = [broker.raw() for _ in range(9)]
    data = connect("late")
    for i, client in enumerate(clients):
        client.send_now(data[:i])
    late = clients[-1]
    with pytest.raises(wire.Closed):
        for byte in itertools.cycle(b"x"):
            late.send_now(bytes([byte]))
            try:
                late.recv(timeout=0.2)
            except TimeoutError:
                assert time.monotonic() < start + 10
    for client in clients[:-1]:
        client.expect_close()
    assert time.monotonic() - start > 0.9
    broker.process.settle()
    assert sockets_of_workers(broker.process) == before


# -- other protocols --

STRANGERS = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(200),
    "ssl 3": bytes.fromhex("160300004801000044030000") + bytes(60),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "zeros": bytes(100), "ff": b"\xff" * 100,
    "websocket frame": b"\x82\x10" + bytes(16)}


@pytest.mark.parametrize("data", STRANGERS.values(), ids=STRANGERS)
def edge_011_other_protocols_hear_nothing(broker, data):
    client = broker.raw()
    client.send(data)
    client.expect_close()


def edge_011_other_protocols_do_not_fill_the_log(broker):
    broker.connect().ping()
    before = broker.process.log_position()
    for data in list(STRANGERS.values()) * 20:
        client = broker.raw()
        client.send(data)
        client.expect_close()
    broker.process.settle()
    assert broker.process.log_position() - before < 60


# -- flags --

def edge_012_dup_in_requests_of_3_1(broker):
    """There these bits are DUP and QoS of the request."""
    client = broker.connect(version=V31)
    for first, data, kind in [
            (0x8A, subscribe(1, [("a", 0)], version=V31), Type.SUBACK),
            (0xAA, packets.unsubscribe(2, ["a"], version=V31), Type.UNSUBACK),
            (0x6A, packets.ack(Type.PUBREL, 3), Type.PUBCOMP)]:
        client.send(bytes([first]) + data[1:])
        client.expect(kind)
    client.ping()


def mqtt311_2_2_2_1_first_bytes_of_the_broker(broker, version):
    """packets.py demands it of all packets in all tests; here is one of each type."""
    client = broker.raw(version)
    client.send(connect(broker.new_id(), version))
    seen = [client.expect(Type.CONNACK)]
    client.send(subscribe(1, [(broker.topic(), 2)], version=version))
    seen.append(client.expect(Type.SUBACK))
    for qos in (0, 1, 2):
        client.send(publish(broker.topic(), "x", qos, qos or None, version=version))
        seen += [client.recv() for _ in range(2 if qos else 1)]
    received = [p for p in seen if p.type == Type.PUBLISH]
    client.send(packets.ack(Type.PUBREL, 2), packets.ack(Type.PUBACK, received[1].packet_id),
                packets.ack(Type.PUBREC, received[2].packet_id))
    seen += [client.recv() for _ in range(2)]
    client.send(packets.unsubscribe(3, [broker.topic()], version=version), packets.PINGREQ)
    seen += [client.recv() for _ in range(2)]
    assert sorted(p.raw[0] for p in seen) == [
        0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0]


# -- PINGREQ --

def mqtt5_3_12_4_1_each_ping_is_answered(broker, version):
    # covers: v3 MQTT-3.12.4-1
    client = broker.connect(version=version)
    client.send(packets.PINGREQ)
    assert client.expect(Type.PINGRESP).raw == b"\xd0\0"
    client.send(packets.PINGREQ * 100)
    for _ in range(100):
        assert client.expect(Type.PINGRESP).raw == b"\xd0\0"
    client.disconnect()


# -- nothing but the standard --

def mqtt311_7_0_0_2_plain_client_is_served(broker, version):
    """No more in any packet than the standard demands."""
    subscriber, publisher = (broker.connect(version=version) for _ in range(2))
    subscriber.subscribe(broker.topic(), qos=1)
    publisher.publish(broker.topic(), "x", 1)
    subscriber.expect_publish(broker.topic(), "x", qos=1)
    publisher.disconnect()
    subscriber.disconnect()
