"""What no client may send ends the connection that it comes by, and nothing else. The tables are
in harness/violations.py; those of properties are in test_properties.py."""

import random
import resource
import time

import pytest

import courtier
import packets
import violations
import wire
from packets import V5, V31, V311, Prop, Reason, Type, packet, publish
from violations import EITHER, Row

ACK_ROWS = [row for kind in violations.ACKS for row in violations.ack_rows(kind)]
ROWS = {"publish": violations.PUBLISH, "subscribe": violations.SUBSCRIBE,
        "unsubscribe": violations.UNSUBSCRIBE, "acks": ACK_ROWS, "others": violations.OTHERS}


def mqtt5_4_13_1_1_malformed_connect_is_refused(broker, version):
    # covers: v3 MQTT-4.8.0-1, MQTT-3.14.0-1, EDGE-009, EDGE-010, EDGE-012, EDGE-017
    watcher = broker.connect()
    watcher.subscribe("t")
    violations.expect_refused(broker, violations.CONNECT, version)
    wire.expect_nothing(watcher, broker.connect())


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def mqtt5_4_13_1_1_violation_ends_its_connection_alone(broker, version, rows):
    # covers: v3 MQTT-4.8.0-1, v3 MQTT-2.2.2-2, v3 MQTT-3.14.1-1, MQTT-3.14.1-1, MQTT-3.14.2-1
    # covers: EDGE-001, EDGE-007, EDGE-008, EDGE-009, EDGE-010, EDGE-012
    violations.expect_ends(broker, rows, version)


# -- cut off anywhere, and followed by bytes that belong to no packet --

RICH = {  # a packet, and what of its body is none; by its length
    "PUBLISH": (lambda v: publish("topic", "", 1, 7, version=v,
                                  props={Prop.USER_PROPERTY: ("a", "b")}), ()),
    "SUBSCRIBE": (lambda v: packets.subscribe(1, [("filter", 1)], {Prop.SUBSCRIPTION_ID: 300},
                                              version=v), ()),
    "UNSUBSCRIBE": (lambda v: packets.unsubscribe(1, ["filter"], {Prop.USER_PROPERTY: ("a", "b")},
                                                  version=v), ()),
    "PUBACK": (lambda v: packets.ack(Type.PUBACK, 1, *([0, {Prop.REASON_STRING: "why"}]
                                                       if v == V5 else [])), (2, 3)),
    "DISCONNECT": (lambda v: packets.disconnect(0, {Prop.REASON_STRING: "why"})
                   if v == V5 else packets.disconnect(), (0, 1))}


def truncations(name, version):
    build, legal = RICH[name]
    whole = build(version)
    for size in range(len(whole) - 2):
        if size not in legal:
            cut = packet(whole[0] >> 4, whole[0] & 15, whole[2:2 + size])
            yield Row(f"{name} cut to {size}", cut + packets.PINGREQ * 20, codes=EITHER)


@pytest.mark.parametrize("name", RICH)
def edge_010_truncated_packet(broker, version, name):
    violations.expect_ends(broker, list(truncations(name, version)), version)


def mqtt5_4_13_1_1_random_bodies_do_no_harm(broker, version):
    # covers: v3 MQTT-4.8.0-1
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    for _ in range(50):
        kind = dice.choice([k for k in Type if k != Type.PUBLISH])  # may be legal, and reach others
        body = dice.randbytes(dice.randrange(0, 60))
        client = broker.connect(version=version)
        client.send(packet(kind, dice.choice([0, 2, dice.randrange(16)]), body),
                    packets.disconnect())
        try:
            client.expect_end()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {kind} {body.hex()}") from error


# -- nothing is kept --

COUNTERS = {"clients/total", "clients/connected", "clients/disconnected", "subscriptions/count",
            "shared_subscriptions/count", "messages/stored", "store/messages/bytes",
            "store/messages/count", "connections/socket/count", "retained messages/count"}


class Counters:
    """What $SYS says, as far as it has been read: only what has changed comes again."""

    def __init__(self, broker):
        self.client = broker.connect()
        self.client.subscribe("$SYS/broker/#")
        self.values = {}
        self.read()  # what is retained is older

    def read(self):
        """The counters of a round that began after this call; each round tells the uptime."""
        for p in wire.fence(self.client, self.client):
            self._take(p)
        for _ in range(2):
            while self._take(self.client.expect_publish()) != "uptime":
                pass
        return {name: self.values[name] for name in COUNTERS}

    def _take(self, p):
        name = p.topic.removeprefix("$SYS/broker/")
        self.values[name] = p.payload
        return name


def burden(broker, client):
    """Subscriptions, shared ones, open flows in both directions, a message that waits for its
    acknowledgement."""
    topic = broker.topic("own")
    client.subscribe(topic, f"$share/g/{topic}/shared", f"{topic}/+", qos=2)
    for qos in (1, 2):
        client.send_publish(topic, b"x" * 100, qos)
    client.send_publish(f"{topic}/shared", b"x" * 100, 2)


@pytest.mark.clock
@pytest.mark.fresh
@pytest.mark.conf("sys_interval 1")
def mqtt5_4_13_1_1_violations_leave_nothing_behind(broker):
    # covers: v3 MQTT-4.8.0-1
    counters = Counters(broker)
    before = counters.read()
    for version in (V31, V311, V5):
        how = {"props": {Prop.SESSION_EXPIRY: 1}} if version == V5 else {}
        for row in sum(ROWS.values(), []):
            if version in row.versions:
                client = broker.connect(version=version, will=packets.Will("will", b"w", 1), **how)
                burden(broker, client)
                client.send(row.bytes_for(version))
                client.expect_end()
        violations.expect_refused(broker, violations.CONNECT, version)
    deadline = time.monotonic() + 30
    while (after := counters.read()) != before:
        assert time.monotonic() < deadline, {
            name: (before[name], after[name]) for name in before if before[name] != after[name]}


# -- errors of our own --

class Small(courtier.Process):
    """Its processes may have no more memory than this."""

    def _limit_files(self):
        resource.setrlimit(resource.RLIMIT_DATA, (12 << 20, 12 << 20))


def address_space(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmSize"))


def mqtt311_4_8_0_2_packet_without_memory_ends_its_connection(broker, version):
    """No acknowledgement for what is lost; the will goes out, and the rest goes on."""
    full = broker.process
    if address_space(full.pids["worker 0"]) > 1 << 40:
        pytest.skip("a sanitizer takes the address space for itself")
    small = Small(full.path, full.workers, full.event_loop, ["max_packet_size 40M"])
    try:
        expect_no_room(small, broker, version)
        assert small.read_pids() == small.pids
    finally:
        wrong = small.stop()
    assert not wrong, wrong


def expect_no_room(small, broker, version):
    watcher, other, client = (wire.Client(small.port, segments=broker.segments) for _ in range(3))
    client.version = version
    watcher.connect("watcher")
    other.connect("other")
    client.connect("client", will=packets.Will("will", b"will"))
    watcher.subscribe("t", "will")
    client.send(publish("t", bytes(30 << 20), 1, 1, version=version))
    client.expect_reject(Reason.SERVER_BUSY)
    watcher.expect_publish("will", b"will")
    other.publish("t", "small", 1)
    watcher.expect_publish("t", "small")
