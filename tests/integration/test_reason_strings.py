"""What the broker says beside a reason code: short texts that help to find the mistake."""

import pytest

import packets
import wire
from packets import Prop, Reason, Type, connect, packet, publish, subscribe

NO_WORDS = {Prop.REQUEST_PROBLEM_INFO: 0}

IN_CONNACK = {
    "no such authentication method here": {"props": {Prop.AUTH_METHOD: "nope"}},
    "a property is there twice": {"props": [(Prop.RECEIVE_MAXIMUM, 1)] * 2},
    "the value of a property is out of range": {"props": {Prop.RECEIVE_MAXIMUM: 0}},
    "a property that this packet can't have": {"props": {Prop.TOPIC_ALIAS: 1}},
    "a will with QoS 3": {"flags": 0x1E},
    "a string is not the UTF-8 that MQTT wants": {"client_id": b"\xff"},
    "the topic of the will is empty or has a wildcard": {"will": packets.Will("a/#")},
    "the will's topic is the broker's own": {"will": packets.Will("$SYS/x")}}

IN_DISCONNECT = {
    "topic alias 12 is above the limit of 10": publish("t", props={Prop.TOPIC_ALIAS: 12}),
    "this topic alias was never set": publish("", props={Prop.TOPIC_ALIAS: 1}),
    "neither a topic nor a topic alias": publish(""),
    "a wildcard in a topic name": publish("a/+"),
    "packet identifier 0": publish("t", "", 1, 0),
    "a packet of 268435460 bytes is above the limit of 10485760": b"\x30\xff\xff\xff\x7f",
    "more than 20 open messages of QoS 1 and 2": b"".join(
        publish("t", "", 2, number) for number in range(1, 22)),
    "a second CONNECT": connect("x"),
    "a packet that no client sends": packet(Type.PINGRESP, 0),
    "the remaining length is malformed": b"\xc0\x80\0",
    "no topic filter": subscribe(1, []),
    "No Local on a shared subscription": subscribe(1, [("$share/g/t", 4)]),
    "the session expiry was 0 in CONNECT and stays 0": packets.disconnect(
        0, {Prop.SESSION_EXPIRY: 5}),
    "AUTH, but no authentication method in CONNECT": packet(Type.AUTH, 0)}


@pytest.mark.parametrize("words", IN_CONNACK)
@pytest.mark.parametrize("wanted", [True, False])
def test_connack(broker, words, wanted):
    """Also for who wants no problem information: there the standard allows it."""
    how = dict(IN_CONNACK[words])
    if not wanted:
        more = how.get("props", [])
        how["props"] = [*(more.items() if isinstance(more, dict) else more), *NO_WORDS.items()]
    client = broker.raw()
    client.send(connect(how.pop("client_id", "x"), **how))
    assert client.expect(Type.CONNACK).props[Prop.REASON_STRING] == words
    client.expect_close()


def last_packet(client):
    while (p := client.recv()).type != Type.DISCONNECT:
        pass
    client.expect_close()
    return p


@pytest.mark.parametrize("words", IN_DISCONNECT)
def test_disconnect(broker, words):
    client = broker.connect()
    client.send(IN_DISCONNECT[words])
    assert last_packet(client).props[Prop.REASON_STRING] == words


@pytest.mark.parametrize("words", [
    words for words in IN_DISCONNECT if "limit of" not in words and "more than" not in words])
def test_log_says_the_same(broker, words):
    """But for the numbers in some."""
    client = broker.connect()
    client.send(IN_DISCONNECT[words])
    last_packet(client)
    broker.wait_log(f"Client {client.client_id} disconnected: .*\\({words}\\)")


# -- acknowledgements --

def acknowledgements(client):
    """One of each type that refuses something, with the words that belong there."""
    client.send(publish("$SYS/x", "", 1, 1), publish("$SYS/x", "", 2, 2))
    yield client.await_packet(Type.PUBACK), "only the broker publishes to this topic"
    yield client.await_packet(Type.PUBREC), "only the broker publishes to this topic"
    client.send(subscribe(3, [("a", 0), ("a#", 0), ("/".join("a" * 300), 0)]))
    yield client.await_packet(Type.SUBACK), "the topic filter is malformed"
    client.send(packets.unsubscribe(4, ["a", "#/a"]))
    yield client.await_packet(Type.UNSUBACK), "the topic filter is malformed"


def test_acknowledgements(broker):
    for p, words in acknowledgements(broker.connect()):
        assert p.props == {Prop.REASON_STRING: words}, p


def test_acknowledgements_without_problem_information(broker):
    for p, _ in acknowledgements(broker.connect(props=NO_WORDS)):
        assert p.props == {}, p


def test_acknowledgements_that_are_no_error(broker):
    client = broker.connect()
    client.send(publish(broker.topic(), "", 1, 1))
    assert client.expect(Type.PUBACK, reason=Reason.NO_SUBSCRIBERS).props == {}
    assert client.subscribe(broker.topic()).props == {}
    client.unsubscribe(broker.topic())
    client.send(packets.unsubscribe(4, [broker.topic()]))
    assert client.expect(Type.UNSUBACK, codes=[Reason.NO_SUBSCRIPTION]).props == {}


@pytest.mark.parametrize("limit", [20, 30, 45, 60])
def test_words_give_way_to_the_packet_size(broker, limit):
    client = broker.connect(props={Prop.MAXIMUM_PACKET_SIZE: limit})
    for p, words in acknowledgements(client):
        whole = len(p.raw) + (0 if p.props else 3 + len(words) + (p.type in (
            Type.PUBACK, Type.PUBREC)))  # these leave an empty property length out
        assert (Prop.REASON_STRING in p.props) == (whole <= limit), p
        assert len(p.raw) <= limit


@pytest.mark.conf("max_subscriptions_per_session 2")
def test_limit_of_subscriptions(broker):
    client = broker.connect()
    p = client.subscribe("a", "b", "c", codes=[0, 0, Reason.QUOTA])
    assert p.props[Prop.REASON_STRING] == "the session has all the subscriptions that it may have"


def test_older_clients_get_no_words(broker):
    for version in (packets.V31, packets.V311):
        client = broker.connect(version=version)
        client.send(packets.unsubscribe(1, ["#/a"], version=version))
        assert client.expect(Type.UNSUBACK).raw == b"\xb0\2\0\1"
        client.send(publish("$SYS/x", "", 1, 1, version=version))
        assert client.expect(Type.PUBACK).raw == b"\x40\2\0\1"
        client.send(publish("a/#", version=version))
        with pytest.raises(wire.Closed):
            client.recv()
