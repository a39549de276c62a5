"""Connect flags, and the payload that they promise."""

import pytest

import packets
import wire
from packets import V5, V31, V311, VERSIONS, Prop, Reason, Type, Will, text16

SINCE_3_1_1 = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5.0"])
BEFORE_5 = pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
WILL = text16("will/topic") + text16("will payload")
LASTING = {Prop.SESSION_EXPIRY: 60}


def connect(version, flags, *fields, client_id="x", props=None):
    """A CONNECT with these flags, and these fields behind the client id."""
    name = text16("MQIsdp" if version == V31 else "MQTT")
    head = name + bytes([version, flags]) + b"\0\0"
    head += packets.props_block(props) if version == V5 else b""
    return packets.packet(Type.CONNECT, 0, head + text16(client_id) + b"".join(fields))


def will_fields(version, *fields):
    return (b"\0" if version == V5 else b"") + b"".join(fields)


def expect_malformed(broker, version, data, *others):
    client = broker.raw(version)
    client.send(data)
    client.expect_reject(Reason.MALFORMED, *others)


# -- flags --

@pytest.mark.parametrize("flags", [0x01, 0x03])
def mqtt5_3_1_2_3_reserved_flag(broker, version, flags):
    """Refused, and no session is made."""
    # covers: v3 MQTT-3.1.2-3
    client_id = broker.new_id()
    expect_malformed(broker, version, connect(version, flags, client_id=client_id, props=LASTING))
    again = broker.connect(client_id, V5 if version == V5 else V311, clean=False)
    assert not again.connack.session_present


@pytest.mark.parametrize("flags", [0x08, 0x10, 0x18, 0x0A, 0x12, 0x1A])
def mqtt5_3_1_2_11_will_qos_without_will(broker, version, flags):
    # covers: v3 MQTT-3.1.2-11, v3 MQTT-3.1.2-13
    expect_malformed(broker, version, connect(version, flags))


def mqtt5_3_1_2_12_will_qos_3(broker, version):
    # covers: v3 MQTT-3.1.2-14
    expect_malformed(broker, version, connect(version, 0x1E, will_fields(version, WILL)))
    expect_malformed(broker, version, connect(version, 0x1C, will_fields(version, WILL)))


@pytest.mark.parametrize("qos", [0, 1, 2])
def mqtt5_3_1_2_12_will_qos_is_used(broker, version, qos):
    # covers: v3 MQTT-3.1.2-14
    watcher = broker.connect(version=version)
    watcher.subscribe(broker.topic(), qos=2)
    broker.connect(version=version, will=Will(broker.topic(), b"gone", qos)).cut()
    watcher.expect_publish(broker.topic(), "gone", qos=qos)


@pytest.mark.parametrize("flags", [0x20, 0x22])
def mqtt5_3_1_2_13_will_retain_without_will(broker, version, flags):
    # covers: v3 MQTT-3.1.2-15, v3 MQTT-3.1.2-11
    expect_malformed(broker, version, connect(version, flags))


def mqtt311_3_1_2_11_will_fields_without_will(broker, version):
    expect_malformed(broker, version, connect(version, 0x02, will_fields(version, WILL)))


# -- what flags promise, and what is there --

def mqtt5_3_1_2_9_will_flag_without_fields(broker, version):
    """The payload ends before will properties, topic or payload, or inside."""
    # covers: v3 MQTT-3.1.2-9
    whole = will_fields(version, WILL)
    for size in range(len(whole)):
        expect_malformed(broker, version, connect(version, 0x06, whole[:size]))


@pytest.mark.parametrize("surplus", [text16("name"), text16(""), b"\0"],
                         ids=["name", "empty", "byte"])
def mqtt5_3_1_2_16_user_name_without_flag(broker, version, surplus):
    # covers: v3 MQTT-3.1.2-18
    expect_malformed(broker, version, connect(version, 0x02, surplus))


@SINCE_3_1_1
def mqtt5_3_1_2_17_user_name_flag_without_field(broker, version):
    # covers: v3 MQTT-3.1.2-19, EDGE-025
    expect_malformed(broker, version, connect(version, 0x82))
    expect_malformed(broker, version, connect(version, 0x82, b"\0"))


def edge_025_user_name_flag_without_field_in_3_1(broker):
    """The remaining length wins over the flags; the field is half there: malformed."""
    for flags in (0x82, 0xC2):
        client = broker.raw(V31)
        client.send(connect(V31, flags, client_id=broker.new_id()))
        client.expect_connack()
        client.ping()
    expect_malformed(broker, V31, connect(V31, 0x82, b"\0"))
    expect_malformed(broker, V31, connect(V31, 0x82, b"\0\5name"))


def edge_025_password_flag_without_field_in_3_1(broker):
    client = broker.raw(V31)
    client.send(connect(V31, 0xC2, text16("name"), client_id=broker.new_id()))
    client.expect_connack()
    client.ping()


def mqtt5_3_1_2_18_password_without_flag(broker, version):
    # covers: v3 MQTT-3.1.2-20
    expect_malformed(broker, version, connect(version, 0x82, text16("name"), text16("password")))


@SINCE_3_1_1
def mqtt5_3_1_2_19_password_flag_without_field(broker, version):
    # covers: v3 MQTT-3.1.2-21
    expect_malformed(broker, version, connect(version, 0xC2, text16("name")))
    expect_malformed(broker, version, connect(version, 0xC2, text16("name"), b"\0\5pass"))


def mqtt5_3_1_2_19_password_alone(broker):
    # covers: EDGE-024
    client = broker.raw()
    client.send(connect(V5, 0x42, text16("password"), client_id=broker.new_id()))
    client.expect_connack()
    expect_malformed(broker, V5, connect(V5, 0x42))


@BEFORE_5
def mqtt311_3_1_2_22_password_without_user_name(broker, version):
    # covers: EDGE-024
    expect_malformed(broker, version, connect(version, 0x42, text16("password")))
    expect_malformed(broker, version, connect(version, 0x40, text16("password")))


# -- payload --

def mqtt5_3_1_3_1_all_fields(broker, version):
    """Binary in will payload and password, the largest of each, and nothing mixed up."""
    # covers: v3 MQTT-3.1.3-1
    watcher = broker.connect()
    watcher.subscribe(broker.topic())
    payload = bytes(range(256))
    for size in (256, 65535):
        payload = (payload * 256)[:size]
        client = broker.connect(
            version=version, username="name", password=b"\0\xff" * 10, props=LASTING,
            will=Will(broker.topic(), payload, 1, props={Prop.CONTENT_TYPE: "type"}))
        client.ping()
        client.cut()
        p = watcher.expect_publish(broker.topic(), payload)
        assert p.props == ({Prop.CONTENT_TYPE: "type"} if version == V5 else {})


@pytest.mark.parametrize("flags,fields", [
    (0x86, [text16("+"), WILL]), (0xC6, [text16("+"), text16("#"), WILL])],
    ids=["name first", "login first"])
def mqtt5_3_1_3_1_fields_in_another_order(broker, version, flags, fields):
    # covers: v3 MQTT-3.1.3-1
    expect_malformed(broker, version, connect(version, flags, *fields), Reason.TOPIC_INVALID)


def mqtt5_3_1_3_1_surplus_at_the_end(broker, version):
    # covers: v3 MQTT-3.1.3-1
    login = [text16("name"), text16("password")]
    whole = [will_fields(version, WILL), *login]
    for surplus in (b"\0", text16(""), text16("more"), connect(version, 0x02)):
        expect_malformed(broker, version, connect(version, 0xC6, *whole, surplus))


def mqtt5_3_1_3_3_no_client_id(broker, version):
    # covers: v3 MQTT-3.1.3-3
    body = connect(version, 0x02, client_id="")[2:-2]
    for payload in (b"", b"\0", b"\0\5a"):
        expect_malformed(broker, version, packets.packet(Type.CONNECT, 0, body + payload))


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a/#/b", "a+"])
def mqtt5_3_1_3_11_impossible_will_topic(broker, version, topic):
    # covers: v3 MQTT-3.1.3-10
    data = packets.connect("x", version, will=Will(topic, b"m"))
    expect_malformed(broker, version, data, Reason.TOPIC_INVALID, Reason.PROTOCOL_ERROR)


def mqtt5_3_1_3_12_user_name_not_utf8(broker, version):
    # covers: v3 MQTT-3.1.3-11
    expect_malformed(broker, version, connect(version, 0x82, text16(b"\xc3\x28")))


@pytest.mark.parametrize("text", [b"\xc3\x28", b"\xed\xa0\x80"], ids=bytes.hex)
def mqtt5_3_1_3_4_client_id_not_utf8(broker, version, text):
    # covers: v3 MQTT-3.1.3-4
    expect_malformed(broker, version, connect(version, 0x02, client_id=text))
