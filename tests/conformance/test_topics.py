"""Topic names and filters: wildcards, "$", empty levels, characters, length."""

import itertools

import pytest

import packets
import wire
from packets import V5, V31, V311, Prop, Reason, Will

# What a name or filter that can't be is answered with, where the connection ends.
BAD_TOPIC = [Reason.TOPIC_INVALID, Reason.MALFORMED, Reason.PROTOCOL_ERROR]
REFUSED = {V5: Reason.FILTER_INVALID, V311: 0x80, V31: 0}
OVER_LIMIT = {V5: Reason.QUOTA, V311: 0x80, V31: 0}

MATCHES = [  # filter, topics that match, topics that do not
    ("a/+/b", ["a/x/b", "a//b"], ["a/b", "a/x/y/b", "a/x/b/c"]),
    ("a/#", ["a", "a/", "a/b", "a/b/c", "a//"], ["b/a", "ab", "ab/c"]),
    ("a/+", ["a/b", "a/"], ["a", "a/b/c", "ab"]),
    ("+/+", ["/", "/b", "a/", "a/b"], ["a", "a/b/c", "//"]),
    ("+", ["a", "é", "𝄞"], ["/", "a/", "/a"]),
    ("+/+/+", ["//", "a/b/c", "a//"], ["/", "a//b/c", "a/b"]),
    ("/+", ["/", "/a"], ["a", "a/b", "//"]),
    ("+/#", ["a", "a/b", "/", "//"], []),
    ("/#", ["/", "/a", "//"], ["a", "a/b"]),
    ("a/$b", ["a/$b"], ["a/b", "a/"]),
    ("+/a/#", ["x/a", "/a/b", "x/a/"], ["a", "x/b/a"]),
    ("a//b", ["a//b"], ["a/b", "a/x/b", "a///b"]),
    ("a", ["a"], ["A", "a/", "/a", "a ", "aa", " a"]),
    ("a b/é", ["a b/é"], ["a/é", "a b/e"]),
]


def pair(broker, version=V5):
    return broker.connect(), broker.connect(version=version)


def topics_of(received):
    return [p.topic for p in received]


# -- matching --

def edge_067_filters_match(broker, version):
    """All below levels of the test's own; what is below the first level is alike on any."""
    # covers: EDGE-068, MQTT-4.7.1-1, MQTT-4.7.1-2, v3 MQTT-4.7.1-2, v3 MQTT-4.7.1-3
    publisher, client = pair(broker, version)
    for i, (text, hits, misses) in enumerate(MATCHES):
        top = broker.topic(str(i))
        client.subscribe(f"{top}/{text}")
        for topic in hits + misses:
            publisher.publish(f"{top}/{topic}", topic)
        assert topics_of(wire.fence(client, publisher)) == [f"{top}/{t}" for t in hits], text
        client.unsubscribe(f"{top}/{text}")


def edge_067_filters_match_at_the_first_level(broker, version):
    # covers: EDGE-068, MQTT-4.7.1-1, MQTT-4.7.1-2, v3 MQTT-4.7.1-2, v3 MQTT-4.7.1-3
    publisher, client = pair(broker, version)
    for text, hits, misses in MATCHES:
        client.subscribe(text, codes=[0])
        wire.fence(client, publisher)  # what is stored has come
        for topic in hits + misses:
            publisher.publish(topic, topic)
        assert topics_of(wire.fence(client, publisher)) == hits, text
        client.unsubscribe(text)


def edge_068_hash_matches_all_but_dollar(broker, version):
    # covers: MQTT-4.7.1-1, v3 MQTT-4.7.1-2
    publisher, client = pair(broker, version)
    client.subscribe("#")
    wire.fence(client, publisher)
    topics = ["a", "/", "//", "a/b/c", "/a", "é", " ", broker.topic("a"), "a/$b"]
    for topic in topics + ["$a", "$", "$/a"]:
        publisher.publish(topic, "x")
    assert topics_of(wire.fence(client, publisher)) == topics


@pytest.mark.parametrize("text", ["#", "+/x", "+/#", "+/+", "+/x/#"])
def mqtt5_4_7_2_1_leading_wildcard_and_dollar(broker, version, text):
    """Neither live messages nor stored ones, of which $SYS has many."""
    # covers: EDGE-069, v3 MQTT-4.7.2-1
    publisher, client = pair(broker, version)
    publisher.publish("$test/x", "stored", 1, retain=True)
    client.subscribe(text)
    publisher.publish("$test/x", "live", 1)
    publisher.publish("$/x", "live", 1)
    got = topics_of(wire.fence(client, publisher, qos=1))
    assert [topic for topic in got if topic.startswith("$")] == []
    publisher.publish("$test/x", "", 1, retain=True)


@pytest.mark.conf("sys_interval 1")
def mqtt5_4_7_2_1_dollar_in_the_filter(broker, version):
    # covers: EDGE-069, v3 MQTT-4.7.2-1
    publisher, client = pair(broker, version)
    for text in ("$test/#", "$test/+", "$test/x"):
        client.subscribe(text)
        publisher.publish("$test/x", "x")
        client.expect_publish("$test/x", "x")
        client.unsubscribe(text)
    publisher.publish("$test/x", "x")
    wire.expect_nothing(client, publisher)
    client.subscribe("$SYS/#")
    assert client.expect_publish().topic.startswith("$SYS/")
    other = broker.connect(version=version)
    other.subscribe("$SYS/broker/+")
    assert other.expect_publish().topic.startswith("$SYS/broker/")


def edge_069_dollar_in_later_levels(broker, version):
    publisher, client = pair(broker, version)
    top = broker.topic()
    client.subscribe(top + "/+", "+/$b")
    publisher.publish(top + "/$b", "x")
    assert topics_of(wire.fence(client, publisher)) == [top + "/$b"] * 2
    client.unsubscribe(top + "/+", "+/$b")
    client.subscribe("#")
    wire.fence(client, publisher)
    publisher.publish(top + "/$b", "x")
    assert topics_of(wire.fence(client, publisher)) == [top + "/$b"]


def mqtt5_4_7_3_4_characters_as_they_are(broker, version):
    """Each of the topics is another one, for matching, for what is stored, and for filters."""
    # covers: v3 MQTT-4.7.3-4
    publisher, client = pair(broker, version)
    top = broker.topic()
    topics = [f"{top}/{t}" for t in ["\u00e9", "e\u0301", "E\u0301", "a//b", "a/b", "A/b", "a", "A",
                                     "a ", " a", "\ufeffa", "\u212b", "\u00c5", "\ufb01", "fi"]]
    for topic in topics:
        publisher.publish(topic, topic, 1, retain=True)
    for topic in topics:
        client.subscribe(topic)
        client.expect_publish(topic, topic, retain=True)
        for other in topics:
            publisher.publish(other, other)
        assert topics_of(wire.fence(client, publisher)) == [topic]
        client.unsubscribe(topic)
    client.subscribe(top + "/#")
    assert sorted(topics_of(wire.fence(client, publisher))) == sorted(topics)
    for topic in topics:
        publisher.publish(topic, "", 1, retain=True)


# -- what can't be --

def mqtt5_4_7_1_1_impossible_filters(broker, version):
    # covers: MQTT-4.7.1-2, v3 MQTT-4.7.1-2, v3 MQTT-4.7.1-3
    client, good = broker.connect(version=version), broker.topic()
    impossible = ["a#", "a/#/b", "##", "#/a", "a/b#", "#a", "a/##", "/#/", "+#", "#+",
                  "a+", "+a", "a/b+/c", "++", "a/+b", "/++", "+/+a"]
    for text in impossible:
        client.subscribe(good, text, codes=[0, REFUSED[version]])
        client.publish(good, text)
        client.expect_publish(good, text)
    client.unsubscribe(*impossible, codes=[Reason.FILTER_INVALID] * len(impossible))


WILDCARDS = ["a/#", "a/+/b", "a+", "#", "+", "a#b"]


def mqtt5_4_7_0_1_wildcard_in_a_topic(broker, version):
    """Nothing is forwarded, nothing stored, and as a will it is refused."""
    # covers: v3 MQTT-4.7.1-1
    watcher, top = broker.connect(), broker.topic()
    watcher.subscribe(top + "/#")
    for text, qos in itertools.product(WILDCARDS, (0, 1)):
        client = broker.connect(version=version)
        client.send_publish(f"{top}/{text}", "x", qos, retain=True)
        client.expect_reject(*BAD_TOPIC)
    for text in WILDCARDS:
        client = broker.raw(version)
        client.send(packets.connect(broker.topic(), version, will=Will(f"{top}/{text}", b"x")))
        client.expect_reject(*BAD_TOPIC)
    watcher.subscribe(top + "/#", "#")
    assert [t for t in topics_of(wire.fence(watcher, watcher)) if t.startswith(top)] == []


def mqtt5_4_7_0_1_wildcard_in_a_response_topic(broker):
    watcher, topic = broker.connect(), broker.topic()
    watcher.subscribe(topic)
    for text in WILDCARDS:
        props = {Prop.RESPONSE_TOPIC: text}
        client = broker.connect()
        client.send_publish(topic, "x", props=props)
        client.expect_reject(*BAD_TOPIC)
        client = broker.raw()
        client.send(packets.connect(broker.topic(), will=Will(topic, b"x", props=props)))
        client.expect_reject(*BAD_TOPIC)
    wire.expect_nothing(watcher, watcher)


@pytest.mark.parametrize("packet", ["publish", "subscribe", "unsubscribe", "will"])
def mqtt5_4_7_3_1_empty(broker, version, packet):
    """Decided: an empty filter is no filter, and ends the connection as an empty topic does."""
    # covers: v3 MQTT-4.7.3-1
    if packet == "will":
        client = broker.raw(version)
        client.send(packets.connect(broker.topic(), version, will=Will("", b"x")))
        client.expect_reject(*BAD_TOPIC)
        return
    client = broker.connect(version=version)
    client.send({"publish": packets.publish("", "x", version=version),
                 "subscribe": packets.subscribe(1, [("a", 0), ("", 0)], version=version),
                 "unsubscribe": packets.unsubscribe(1, ["a", ""], version=version)}[packet])
    client.expect_reject(Reason.PROTOCOL_ERROR)


# -- length --

def mqtt5_4_7_3_3_longest_topic(broker, version):
    """Subscribed, published, stored, given up, as a filter with wildcard, as a will."""
    # covers: v3 MQTT-4.7.3-3
    publisher, client = broker.connect(version=version), broker.connect(version=version)
    top = broker.topic() + "/"
    topic = top + "é" * ((65535 - len(top)) // 2)
    topic += "x" * (65535 - len(topic.encode()))
    client.subscribe(topic, qos=1)
    publisher.publish(topic, "x", 1)
    client.expect_publish(topic, "x", qos=1)
    publisher.publish(topic[:-1], "another topic", 1)
    publisher.publish(topic, "stored", 1, retain=True)
    client.expect_publish(topic, "stored")
    client.subscribe(top + "+", qos=1)
    client.expect_publish(topic, "stored", retain=True)
    client.unsubscribe(topic)
    broker.connect(version=version, will=Will(topic, b"", 1, True)).cut()
    client.expect_publish(topic, "")
    wire.expect_nothing(client, publisher)


@pytest.mark.conf("max_topic_length 100", "max_topic_levels 5")
@pytest.mark.parametrize("text", ["a" * 101, "a/a/a/a/a/a", "/////"], ids=["long", "deep", "empty"])
def mqtt5_4_7_3_3_over_the_brokers_limits(broker, version, text):
    """A subscription is refused, a message ends the connection; what is just within works."""
    # covers: v3 MQTT-4.7.3-3
    client = broker.connect(version=version)
    within = text[:-1] if len(text) == 101 else text[:-2] if text[-1] == "a" else text[:-1]
    client.subscribe(text, within, codes=[OVER_LIMIT[version], 0])
    client.publish(within, "x", 1)
    client.expect_publish(within, "x")
    client.send_publish(text, "x", 1)
    client.expect_reject(Reason.TOPIC_INVALID, Reason.QUOTA)


# -- the broker's own topics --

@pytest.mark.parametrize("topic", ["$SYS/x", "$SYS/broker/uptime", "$SYS", "$share/g/t",
                                   "$share/t"])
def edge_070_publish_to_dollar_topics(broker, version, topic):
    """Decided: acknowledged, with 0x87 in 5.0, and goes nowhere."""
    watcher, client = broker.connect(), broker.connect(version=version)
    watcher.subscribe("$share/g/t", "$share/h/$share/g/t", "t", "$SYS/x", "$SYS", "$SYS/x/#")
    wire.fence(watcher, watcher)
    for qos, retain in itertools.product((0, 1, 2), (False, True)):
        reason = client.publish(topic, "fooled", qos, retain=retain)
        if qos > 0:
            assert reason == (Reason.NOT_AUTHORIZED if version == V5 else 0)
    assert b"fooled" not in wire.payloads(wire.fence(watcher, client, qos=1))
    late = broker.connect()
    late.subscribe("$SYS/#", "t")
    assert b"fooled" not in wire.payloads(wire.fence(late, late))


# -- text --

ODD = [chr(c) for c in [*range(1, 0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF,
                        0xFDD0, 0xFDEF]]
BAD = [b"\0", b"\xed\xa0\xbd\xed\xb8\x80", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\xaf",
       b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xff"]


def edge_071_odd_characters_in_topics(broker, version):
    """Decided: they pass unchanged, in names and filters, in all versions."""
    publisher, client = pair(broker, version)
    topics = [broker.topic(f"{c}/{c}a") for c in ODD]
    client.subscribe(*topics)
    for topic in topics:
        client.publish(topic, topic)
        client.expect_publish(topic, topic)
    publisher.publish(broker.topic("/a"), "x")
    publisher.publish(broker.topic("a/a"), "x")
    wire.expect_nothing(client, publisher)


def edge_071_odd_characters_elsewhere(broker, version):
    """Client id, user name, will topic, and what is text in properties."""
    text, topic = "".join(ODD), broker.topic("".join(ODD))
    watcher = broker.connect()
    watcher.subscribe(topic)
    client_id = broker.new_id() + text
    props = {} if version != V5 else {
        Prop.CONTENT_TYPE: text, Prop.RESPONSE_TOPIC: text, Prop.USER_PROPERTY: [(text, text)]}
    client = broker.connect(client_id, version, clean=version == V5, username=text,
                            props={Prop.SESSION_EXPIRY: 60},
                            will=Will(topic, b"gone", props=props))
    client.publish(topic, "x", props=props)
    assert watcher.expect_publish(topic, "x").props == props
    client.cut()
    assert watcher.expect_publish(topic, "gone").props == props
    again = broker.connect(client_id, version, clean=False, username=text)
    assert again.connack.session_present == (version != V31)


@pytest.mark.parametrize("place", ["publish", "subscribe", "unsubscribe", "will"])
def edge_072_impossible_text(broker, version, place):
    """At any place, also behind eight bytes that are plain: those are looked at in one go."""
    # covers: MQTT-4.7.3-2, v3 MQTT-4.7.3-2
    for bad, offset in itertools.product(BAD, (0, 7, 13)):
        text = b"a" * offset + bad + b"/abcdefgh"[:offset]
        client = broker.raw(version)
        if place == "will":
            client.send(packets.connect(broker.topic(), version, will=Will(text, b"x")))
        else:
            client.connect(broker.topic())
            client.send({"publish": packets.publish(text, "x", version=version),
                         "subscribe": packets.subscribe(1, [(text, 0)], version=version),
                         "unsubscribe": packets.unsubscribe(1, [text], version=version)}[place])
        client.expect_reject(Reason.MALFORMED)
