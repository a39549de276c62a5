"""Sessions: how long they last, what is in them, what their end takes away."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will

OLDER = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
FOREVER = 0xFFFFFFFF


def expiry(seconds):
    return {Prop.SESSION_EXPIRY: seconds}


def is_present(broker, client_id, **how):
    """For 3.1, which can't tell, see is_subscribed()."""
    return broker.connect(client_id, clean=False, **how).connack.session_present


def leave(broker, seconds, *at_disconnect):
    """A client has been here with this expiry, and perhaps another one at its DISCONNECT. Its
    session holds nothing."""
    client = broker.connect(props=expiry(seconds))
    client.disconnect(0, expiry(*at_disconnect) if at_disconnect else {})
    return client.client_id


def lasting(broker, version=V5, client_id=None, **how):
    return broker.connect(client_id, version, clean=False, props=expiry(60), **how)


# -- end of a session --

def edge_039_return_with_expiry_0(broker):
    client_id = leave(broker, 60)
    client = broker.connect(client_id, clean=False)
    assert client.connack.session_present
    client.cut()
    broker.process.settle()
    assert not is_present(broker, client_id)


@pytest.mark.parametrize("at_connect,at_disconnect,expected", [
    (60, 0, False), (60, 100, True), (1, FOREVER, True), (FOREVER, 0, False), (FOREVER, 60, True)])
def edge_040_expiry_of_disconnect(broker, at_connect, at_disconnect, expected):
    client_id = leave(broker, at_connect, at_disconnect)
    assert is_present(broker, client_id) is expected


@pytest.mark.parametrize("props", [{}, expiry(0)], ids=["none", "0"])
@pytest.mark.parametrize("raised", [1, FOREVER])
def edge_041_expiry_raised_from_0(broker, props, raised):
    """That is no valid DISCONNECT, so the will goes out."""
    watcher, topic = broker.connect(), broker.topic()
    watcher.subscribe(topic)
    client = broker.connect(props=props, will=Will(topic, b"gone"))
    client.send(packets.disconnect(0, expiry(raised)))
    client.expect_reject(Reason.PROTOCOL_ERROR)
    watcher.expect_publish(topic, b"gone")
    assert not is_present(broker, client.client_id)


@pytest.mark.conf("persistent_client_expiration 1h")
@pytest.mark.parametrize("wish,told", [
    (None, None), (0, None), (100, None), (3600, None), (3601, 3600), (FOREVER, 3600)])
def edge_042_longest_expiry_is_told(broker, wish, told):
    client = broker.connect(props={} if wish is None else expiry(wish))
    assert client.connack.props.get(Prop.SESSION_EXPIRY) == told


def edge_042_without_a_limit_nothing_is_told(broker):
    for wish in (0, 1, FOREVER - 1, FOREVER):
        client = broker.connect(props=expiry(wish))
        assert Prop.SESSION_EXPIRY not in client.connack.props
        client.disconnect()
        assert is_present(broker, client.client_id) == (wish > 0)


@pytest.mark.clock
@pytest.mark.conf("persistent_client_expiration 1s")
def edge_045_sessions_that_nobody_resumes(broker):
    """The administrative limit: for 3.x the only one, for 5.0 whatever the client wishes."""
    # covers: EDGE-042
    left = [(broker.connect(version=version, clean=False), version) for version in (V31, V311)]
    left += [(broker.connect(props=expiry(wish)), V5) for wish in (2, 100, FOREVER)]
    raised = broker.connect(props=expiry(1))
    topic = broker.topic()
    for client, _ in left:
        client.subscribe(topic, qos=1)
        client.disconnect()
    raised.disconnect(0, expiry(100))
    time.sleep(1.7)
    broker.connect().publish(topic, "late", 1)
    assert not is_present(broker, raised.client_id)
    for client, version in left:
        client = lasting(broker, version, client.client_id)
        assert not client.connack.session_present
        wire.expect_nothing(client, client)


@OLDER
def edge_045_without_a_limit_it_stays(broker, version):
    client, publisher, topic = lasting(broker, version), broker.connect(), broker.topic()
    client.subscribe(topic, qos=1)
    client.disconnect()
    publisher.publish(topic, "x", 1)
    lasting(broker, version, client.client_id).expect_publish(topic, "x")


@pytest.mark.clock
def mqtt5_4_1_0_2_session_expires(broker):
    """Several at once: those of one second are gone afterwards, and with each of them its queue,
    its subscription and its will, which does not wait longer."""
    # covers: EDGE-040, EDGE-042, EDGE-046
    publisher, topic = broker.connect(), broker.topic()
    watcher = broker.connect()
    watcher.subscribe(topic + "/will", qos=1)
    short, kept, lowered, raised, forever = [
        broker.connect(props=expiry(seconds), will=Will(topic + "/will", name, 1,
                                                        props={Prop.WILL_DELAY: 60}))
        for name, seconds in [(b"short", 1), (b"kept", 60), (b"lowered", 60), (b"raised", 1),
                              (b"forever", FOREVER)]]
    for client in (short, kept, lowered, raised, forever):
        client.subscribe(topic, qos=1)
    start = time.monotonic()
    for client in (short, kept, forever):
        client.cut()
    lowered.disconnect(4, expiry(1))
    raised.disconnect(4, expiry(60))
    broker.process.settle()
    publisher.publish(topic, "queued", 1)
    ended = wire.payloads(watcher.receive(2))
    assert sorted(ended) == [b"lowered", b"short"]
    assert time.monotonic() - start >= 0.9
    time.sleep(0.2)
    publisher.publish(topic, "late", 1)
    for client in (short, lowered):
        client = broker.connect(client.client_id, clean=False)
        assert not client.connack.session_present
        wire.expect_nothing(client, publisher)
    for client in (kept, raised, forever):
        client = broker.connect(client.client_id, clean=False)
        assert client.connack.session_present
        assert wire.payloads(client.receive(2)) == [b"queued", b"late"]
    wire.expect_nothing(watcher, publisher)


def mqtt5_4_1_0_2_ended_session_gets_nothing(broker, version):
    """Not even after its return."""
    publisher, topic = broker.connect(), broker.topic()
    client = broker.connect(version=version, clean=version != V5, props=expiry(60))
    client.subscribe(topic, qos=1)
    client.disconnect(*([0, expiry(0)] if version == V5 else []))
    publisher.publish(topic, "x", 1)
    client = lasting(broker, version, client.client_id)
    assert not client.connack.session_present
    publisher.publish(topic, "y", 1)
    wire.expect_nothing(client, publisher)


# -- life of a session --

@pytest.mark.clock
@pytest.mark.conf("persistent_client_expiration 2s")
def mqtt5_4_1_0_1_state_stays_while_connected(broker):
    """Longer than the expiry, which is also the broker's own; a return stops it."""
    # covers: v3 MQTT-4.1.0-2
    topic = broker.topic()
    clients = [broker.connect(version=version, clean=False, props=expiry(2))
               for version in (V31, V311, V5)]
    clients += [broker.connect(version=version) for version in (V31, V311, V5)]
    clients.append(broker.connect(leave(broker, 2), clean=False, props=expiry(2)))
    assert clients[-1].connack.session_present
    for client in clients:
        client.subscribe(topic, qos=1)
    for _ in range(5):
        time.sleep(0.6)
        for client in clients[::2]:
            client.ping()
    clients[0].publish(topic, "x", 1)
    for client in clients:
        client.expect_publish(topic, "x", qos=1)
    for client in clients[1:3]:
        client.disconnect()
        client = broker.connect(client.client_id, client.version, clean=False, props=expiry(2))
        assert client.connack.session_present


def mqtt311_4_1_0_1_open_flows_stay(broker, version):
    """In both directions, at each step, over two absences."""
    publisher, client, topic = broker.connect(), lasting(broker, version), broker.topic()
    client.subscribe(topic, qos=2)
    publisher.subscribe(topic + "/own", qos=2)
    for payload in ("at PUBLISH", "at PUBREL"):
        publisher.publish(topic, payload, 2)
    first, second = (client.expect_publish(acknowledge=False) for _ in range(2))
    client.send(packets.ack(Type.PUBREC, second.packet_id))
    client.expect(Type.PUBREL, packet_id=second.packet_id)
    client.send_publish(topic + "/own", "own", 2, 77)
    client.expect(Type.PUBREC, packet_id=77)
    for _ in range(2):
        client.cut()
        client = lasting(broker, version, client.client_id)
        got = [client.recv(), client.recv()]
        got.sort(key=lambda p: p.type)
        assert (got[0].type, got[0].packet_id, got[0].payload, got[0].dup) == \
            (Type.PUBLISH, first.packet_id, b"at PUBLISH", True)
        assert (got[1].type, got[1].packet_id) == (Type.PUBREL, second.packet_id)
        client.send_publish(topic + "/own", "own", 2, 77, dup=True)
        client.expect(Type.PUBREC, packet_id=77)
    client.send(packets.ack(Type.PUBCOMP, second.packet_id), packets.ack(Type.PUBREL, 77))
    client.expect(Type.PUBCOMP, packet_id=77)
    client.acknowledge(first)
    assert wire.payloads(wire.fence(publisher, client, qos=2)) == [b"own"]


def edge_043_session_with_nothing_in_it(broker):
    client_id = leave(broker, 60)
    for _ in range(3):
        client = broker.connect(client_id, clean=False, props=expiry(60))
        assert client.connack.session_present
        client.cut()
        broker.process.settle()


def mqtt5_4_2_0_1_ordered_bytes_over_tcp(broker, version):
    """Byte by byte, and much in one piece: it all comes, and in order."""
    client, topic = broker.connect(version=version), broker.topic()
    client.subscribe(topic, qos=1)
    stream = [packets.publish(topic, b"%d" % i, i % 2, i + 100 if i % 2 else None, version=version)
              for i in range(100)]
    for send in (client.send_bytewise, client.send_now):
        send(b"".join(stream[:20]))
        got = []
        while len(got) < 20:
            p = client.recv()
            if p.type == Type.PUBLISH:
                client.acknowledge(p)
                got.append(int(p.payload))
        for parity in (0, 1):
            assert [n for n in got if n % 2 == parity] == list(range(parity, 20, 2))
