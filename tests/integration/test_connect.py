"""CONNECT and CONNACK: versions, client ids, takeover, keep-alive, refusals."""

import time

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Type, Will


def old_code(version, reason):
    """A refusal's code as a client of this version sees it."""
    codes = {Reason.UNSUPPORTED_VERSION: 1, Reason.CLIENT_ID_INVALID: 2}
    return reason if version == V5 else codes[reason]


@pytest.mark.spec("MQTT-3.1.4-5", "MQTT-3.2.0-1")
def test_connack_for_each_version(broker, version):
    client = broker.connect(version=version)
    assert client.connack.session_present is False


@pytest.mark.spec("MQTT-3.2.2-3", "MQTT-3.2.2-2", "MQTT-3.1.2-4", "MQTT-3.1.2-6")
def test_session_present_after_return(broker, version):
    client_id = broker.new_id()
    props = {Prop.SESSION_EXPIRY: 60}
    first = broker.connect(client_id, version, clean=False, props=props)
    assert first.connack.session_present is False
    first.disconnect()
    second = broker.connect(client_id, version, clean=False, props=props)
    assert second.connack.session_present is (version != V31)
    second.disconnect()
    assert broker.connect(client_id, version, clean=True).connack.session_present is False


@pytest.mark.spec("MQTT-3.1.2-23", "MQTT-3.1.2-6")
def test_session_ends_with_connection(broker, version):
    """5.0 with expiry 0, older ones with clean session."""
    client_id = broker.new_id()
    broker.connect(client_id, version).disconnect()
    again = broker.connect(client_id, version, clean=False)
    assert again.connack.session_present is False


@pytest.mark.spec("MQTT-3.1.3-6", "MQTT-3.2.2-16")
def test_assigned_client_id(broker):
    first, second = broker.connect(""), broker.connect("")
    assert first.client_id and second.client_id and first.client_id != second.client_id
    assert Prop.ASSIGNED_CLIENT_ID not in broker.connect().connack.props


def test_assigned_client_id_is_a_session(broker):
    """EDGE-021"""
    first = broker.connect("", clean=False, props={Prop.SESSION_EXPIRY: 60})
    assert first.connack.session_present is False
    first.disconnect()
    again = broker.connect(first.client_id, clean=False)
    assert again.connack.session_present is True
    assert Prop.ASSIGNED_CLIENT_ID not in again.connack.props


@pytest.mark.spec("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.1.3-8")
@pytest.mark.parametrize("version,clean,is_accepted", [
    (V311, True, True), (V311, False, False), (V31, True, False), (V31, False, False)])
def test_empty_client_id_before_5(broker, version, clean, is_accepted):
    """EDGE-020, EDGE-022"""
    broker.raw(version).connect("", 0 if is_accepted else 2, clean=clean)


@pytest.mark.conf("allow_zero_length_clientid false")
@pytest.mark.spec("MQTT-3.1.3-8")
def test_empty_client_id_can_be_forbidden(broker, version):
    reason = old_code(version, Reason.CLIENT_ID_INVALID)
    broker.raw(version).connect("", reason)


@pytest.mark.spec("MQTT-3.1.3-5")
@pytest.mark.parametrize("client_id", ["a" * 24, "é/+#$\u4e2d", "x" * 65535])
def test_unusual_client_ids_are_accepted(broker, version, client_id):
    """EDGE-022, EDGE-023"""
    broker.connect(client_id, version)


@pytest.mark.spec("MQTT-3.1.4-3", "MQTT-3.1.4-2")
def test_takeover(broker, version):
    old = broker.connect(version=version)
    new = broker.connect(old.client_id, version)
    old.expect_reject(Reason.TAKEN_OVER)
    new.ping()


@pytest.mark.parametrize("before,after", [(V311, V5), (V5, V311), (V31, V5)])
def test_takeover_across_versions(broker, before, after):
    """EDGE-034: the session goes on."""
    client_id, topic = broker.new_id(), broker.topic()
    old = broker.connect(client_id, before, clean=False, props={Prop.SESSION_EXPIRY: 60})
    old.subscribe(topic, qos=1)
    new = broker.connect(client_id, after, clean=False, props={Prop.SESSION_EXPIRY: 60})
    assert new.connack.session_present
    old.expect_reject(Reason.TAKEN_OVER)
    sender = broker.connect()
    sender.publish(topic, "x", qos=1, props={Prop.CONTENT_TYPE: "text"})
    new.expect_publish(topic, "x")


@pytest.mark.spec("MQTT-3.1.4-3")
def test_takeover_hundred_times(broker):
    """EDGE-038"""
    client_id, topic = broker.new_id(broker.workers - 1), broker.topic()
    clients = []
    for _ in range(100):
        client = broker.raw()
        client.send(packets.connect(client_id, clean=False, props={Prop.SESSION_EXPIRY: 60}),
                    packets.subscribe(1, [(topic, 0)]))
        clients.append(client)
    last = clients[-1]
    broker.process.settle()
    alive = broker.connect(client_id, clean=False)
    assert alive.connack.session_present
    for client in clients:
        client.expect_end()
    alive.publish(topic, "one")
    alive.expect_publish(topic, "one")
    wire.expect_nothing(alive, alive)
    assert last is not alive


@pytest.mark.spec("MQTT-3.1.2-1", "MQTT-3.1.2-2")
@pytest.mark.parametrize("name,level", [
    ("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3), ("MQTT", 0), ("MQTT", 6), ("MQTT", 0x85),
    ("mqtt", 4), ("MQTTT", 4), ("", 4)])
def test_name_and_level_that_do_not_fit(broker, name, level):
    """EDGE-026: closed; a CONNACK before is optional, and must then refuse."""
    client = broker.raw(V311)
    client.send(packets.connect("x", V311, name=name, level=level))
    try:
        p = client.recv()
        assert p.type == Type.CONNACK and p.reason in (1, 0x84), p
    except wire.Closed:
        return
    except AssertionError:
        return  # a CONNACK of 5.0 is malformed to a 3.1.1 client
    client.expect_close()


@pytest.mark.parametrize("level", [0x83, 0x84])
def test_bridges_level(broker, level):
    """EDGE-027: the bit by which Mosquitto's bridges tell what they are."""
    version = level & 0x7F
    client = broker.raw(version)
    client.connect(broker.new_id(), level=level)
    client.ping()


@pytest.mark.spec("MQTT-3.1.2-22")
@pytest.mark.parametrize("version", [V31, V311])
def test_password_without_user_name_is_refused(broker, version):
    """EDGE-024"""
    client = broker.raw(version)
    client.send(packets.connect("x", version, password="p"))
    client.expect_close()


def test_login_of_anonymous_broker_is_accepted(broker, version):
    broker.connect(version=version, username="u", password="p")


def test_password_without_user_name_in_5(broker):
    """EDGE-024"""
    broker.connect(password="p")


def test_user_name_flag_without_field(broker, version):
    """EDGE-025: 3.1 lets the remaining length win."""
    client = broker.raw(version)
    client.send(packets.connect(broker.new_id(), version, flags=0x82))
    if version == V31:
        client.expect_connack()
    else:
        client.expect_reject(Reason.MALFORMED)


@pytest.mark.conf("allow_anonymous false")
@pytest.mark.bare
@pytest.mark.parametrize("version,reason", [(V31, 5), (V311, 5), (V5, Reason.NOT_AUTHORIZED)])
def test_anonymous_is_refused(broker, version, reason):
    broker.raw(version).connect("x", reason)


@pytest.mark.spec("MQTT-3.1.2-24")
@pytest.mark.parametrize("size", [1, 4])
def test_packet_size_too_small_for_connack(broker, size):
    """EDGE-028"""
    client = broker.raw()
    client.send(packets.connect("x", props={Prop.MAXIMUM_PACKET_SIZE: size}))
    client.expect_close()


@pytest.mark.spec("MQTT-4.12.0-1")
def test_authentication_method_is_refused(broker):
    client = broker.raw()
    client.connect("x", Reason.BAD_AUTH_METHOD, props={Prop.AUTH_METHOD: "SCRAM"})


@pytest.mark.spec("MQTT-3.1.0-2")
def test_second_connect_ends_connection(broker, version):
    """EDGE-018: the will goes out, the second id is not touched."""
    topic = broker.topic()
    watcher, other = broker.connect(), broker.connect()
    watcher.subscribe(topic)
    client = broker.connect(version=version, will=Will(topic, b"gone"))
    client.send(packets.connect(other.client_id, version))
    client.expect_reject(Reason.PROTOCOL_ERROR)
    watcher.expect_publish(topic, b"gone")
    other.ping()


@pytest.mark.spec("MQTT-3.1.0-1", "MQTT-3.14.0-1")
@pytest.mark.parametrize("first", [
    packets.PINGREQ, packets.publish("a", version=4), packets.subscribe(1, [("a", 0)], version=4),
    packets.disconnect(), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03",
    b"\0\0\0\0", b"\x11" + packets.connect("x", 4)[1:]],
    ids=["ping", "publish", "subscribe", "disconnect", "http", "tls", "zeros", "flags"])
def test_something_else_before_connect(broker, first):
    """EDGE-011, EDGE-019: closed, and nothing is sent."""
    client = broker.raw()
    client.send(first)
    client.expect_close()


def test_all_in_one_segment(broker, version):
    """EDGE-004: handled in order, the message is accepted, no will."""
    topic = broker.topic()
    watcher = broker.connect()
    watcher.subscribe(topic)
    client = broker.raw(version)
    client.send(packets.connect(broker.new_id(broker.workers - 1), version,
                                will=Will(topic, b"will")),
                packets.subscribe(1, [("x/" + topic, 0)], version=version),
                packets.publish(topic, "m", 1, 2, version=version), packets.disconnect())
    client.expect_connack()
    client.expect_end()  # how many of the answers it still gets is up to the broker
    watcher.expect_publish(topic, "m")
    wire.expect_nothing(watcher, watcher)


def test_exchange_bytewise(broker, version):
    """EDGE-003"""
    client = broker.raw(version)
    client.send_bytewise(packets.connect(broker.new_id(broker.workers - 1), version))
    client.expect_connack()
    topic = broker.topic()
    client.send_bytewise(packets.subscribe(1, [(topic, 1)], version=version))
    client.expect(Type.SUBACK, packet_id=1, codes=[1])
    client.send_bytewise(packets.publish(topic, "p" * 200, 1, 7, version=version))
    assert client.await_packet(Type.PUBACK).packet_id == 7
    client.expect_publish(topic, "p" * 200)
    client.send_bytewise(packets.disconnect())
    client.expect_close()


# -- time --

@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.2-22", "MQTT-3.1.2-24")
def test_keep_alive_ends_silent_client(broker, version):
    """EDGE-029, EDGE-031, EDGE-005: neither deliveries nor half packets prolong it."""
    topic = broker.topic()
    watcher = broker.connect()
    watcher.subscribe(topic + "/will")
    client = broker.raw(version)
    client.connect(broker.new_id(), keep_alive=1, will=Will(topic + "/will", b"x"))
    client.subscribe(topic)
    start = time.monotonic()
    watcher.publish(topic, "delivery")
    client.expect_publish(topic)
    client.send(packets.PINGREQ[:1])
    client.expect_reject(Reason.KEEP_ALIVE)
    assert 1.4 <= time.monotonic() - start <= 3.2
    watcher.expect_publish(topic + "/will")


@pytest.mark.clock
@pytest.mark.spec("MQTT-3.1.2-20")
def test_keep_alive_lets_pinging_client_live(broker, version):
    client = broker.connect(version=version, keep_alive=1)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        client.ping()
        with pytest.raises((TimeoutError, OSError)):
            client.recv(timeout=0.8)
    client.ping()


@pytest.mark.conf("max_keepalive 1")
@pytest.mark.bare
@pytest.mark.clock
@pytest.mark.spec("MQTT-3.2.2-21", "MQTT-3.2.2-22")
@pytest.mark.parametrize("wish", [0, 60])
def test_server_keep_alive(broker, wish):
    """EDGE-030"""
    client = broker.connect(keep_alive=wish)
    assert client.connack.props[Prop.SERVER_KEEP_ALIVE] == 1
    client.expect_reject(Reason.KEEP_ALIVE)


@pytest.mark.conf("max_keepalive 1")
@pytest.mark.bare
@pytest.mark.parametrize("version", [V31, V311])
def test_too_long_keep_alive_is_refused_before_5(broker, version):
    broker.raw(version).connect("x", 2, keep_alive=60)


@pytest.mark.conf("connect_timeout 1")
@pytest.mark.clock
@pytest.mark.parametrize("sent", [b"", packets.connect("half")[:9]], ids=["nothing", "half"])
def test_connect_timeout(broker, sent):
    """EDGE-006"""
    client = broker.raw()
    start = time.monotonic()
    client.send(sent)
    client.expect_close()
    assert 0.9 <= time.monotonic() - start <= 3
