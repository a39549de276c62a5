"""AUTH and authentication methods, of which there is none yet."""

import pytest

import packets
import wire
from packets import Prop, Reason, Type, connect, packet, props_block

METHOD = {Prop.AUTH_METHOD: "nope"}


def auth(code, props=None):
    return packet(Type.AUTH, 0, bytes([code]) + props_block(props or {}))


def expect_reject_and_will(broker, data, *codes):
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client = broker.connect(will=packets.Will(broker.topic(), b"will"))
    client.send(data)
    client.expect_reject(*codes)
    watcher.expect_publish(broker.topic(), b"will")


@pytest.mark.parametrize("first", range(0xF1, 0x100), ids=hex)
def mqtt5_3_15_1_1_flags_of_auth(broker, first):
    expect_reject_and_will(broker, bytes([first]) + auth(0x18, METHOD)[1:], Reason.MALFORMED)


@pytest.mark.parametrize("code", [0x01, 0x10, 0x17, 0x1A, 0x80, 0x8C, 0xFF], ids=hex)
def mqtt5_3_15_2_1_codes_that_auth_does_not_have(broker, code):
    expect_reject_and_will(broker, auth(code, METHOD), Reason.MALFORMED, Reason.PROTOCOL_ERROR)


METHODS = {"name": "nope", "scram": "SCRAM-SHA-256", "empty": ""}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("data", [None, b"", b"client-first"])
def mqtt5_4_12_0_1_unknown_method_is_refused(broker, method, data):
    """And leaves neither session nor will."""
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    client_id = broker.new_id()
    props = {Prop.AUTH_METHOD: method, Prop.SESSION_EXPIRY: 60}
    if data is not None:
        props[Prop.AUTH_DATA] = data
    client = broker.raw()
    client.send(connect(client_id, props=props, username="u", password="p",
                        will=packets.Will(broker.topic(), b"will")))
    client.expect_reject(Reason.BAD_AUTH_METHOD)
    wire.expect_nothing(watcher, broker.connect())
    assert not broker.connect(client_id, clean=False).connack.session_present


def mqtt5_4_12_0_1_unknown_method_does_not_take_over(broker):
    client = broker.connect()
    other = broker.raw()
    other.send(connect(client.client_id, props=METHOD))
    other.expect_reject(Reason.BAD_AUTH_METHOD)
    client.ping()


def mqtt5_4_12_0_6_no_method_no_auth(broker):
    """packets.py refuses any AUTH from the broker."""
    client = broker.connect(username="u", password="p")
    assert not {Prop.AUTH_METHOD, Prop.AUTH_DATA} & set(client.connack.props)
    client.ping()
    client.publish(broker.topic(), "x", 2)
    client.disconnect()


AUTHS = {
    "empty": packet(Type.AUTH, 0), "success": auth(0x00), "success with method": auth(0x00, METHOD),
    "goes on": auth(0x18, METHOD), "again": auth(0x19, METHOD), "again without method": auth(0x19),
    "data": auth(0x18, {**METHOD, Prop.AUTH_DATA: b"data"})}


@pytest.mark.parametrize("data", AUTHS.values(), ids=AUTHS)
def mqtt5_4_12_0_7_auth_without_method(broker, data):
    expect_reject_and_will(broker, data, Reason.PROTOCOL_ERROR)


@pytest.mark.parametrize("data", AUTHS.values(), ids=AUTHS)
def mqtt5_4_12_0_7_auth_before_connect(broker, data):
    client = broker.raw()
    client.send(data)
    client.expect_close()
