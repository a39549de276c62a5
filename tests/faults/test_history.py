"""The history checker finds each kind of damage, and nothing in what is right."""

import random

import pytest

from history import Event, History, check, id_of, load, payload

SECOND = 1.0


def story():
    """A right history: two publishers, sessions online and offline, a kill of everything at 50,
    resends, retained messages and wills."""
    at = [0.0]
    events = []

    def log(kind, client, **fields):
        at[0] += 0.001
        events.append(Event(at[0], kind, client, **fields))

    def deliver(client, id_, topic, qos, packet_id, dup=False):
        log("recv", client, id=id_, topic=topic, qos=qos, packet_id=packet_id, dup=dup)
        log("answer" if qos == 1 else "release", client, id=id_, packet_id=packet_id)

    for client in ("s1", "s2", "watch"):
        log("connect", client)
        text = "wills/#" if client == "watch" else "load/#"
        log("subscribe", client, topic=text)
        log("subscribed", client, topic=text, qos=2 if client == "s2" else 1)
    log("connect", "p")
    for number in range(10):
        qos = 1 + number % 2
        id_, topic = ("p", number), "load/p"
        log("send", "p", id=id_, topic=topic, qos=qos, packet_id=number + 1)
        log("ack", "p", id=id_, packet_id=number + 1)
        log("complete", "p", id=id_, packet_id=number + 1)
        deliver("s1", id_, topic, 1, number + 1)
        if number < 5:
            deliver("s2", id_, topic, qos, number + 1)
    for number in range(3):
        log("send", "r", id=("r", number), topic="kept", qos=1, packet_id=1, retain=True)
        log("ack", "r", id=("r", number), packet_id=1)
        log("complete", "r", id=("r", number), packet_id=1)
    log("read", "reader", id=("r", 2), topic="kept")
    for number, end in enumerate(["disconnect", "closed"]):
        log("will", "w", id=("w", number), topic="wills/w", qos=1)
        log("armed", "w", id=("w", number))
        at[0] += SECOND
        log(end, "w")
    deliver("watch", ("w", 1), "wills/w", 1, 1)
    # In flight when everything dies: 10 is not acknowledged and never comes, 11 is sent again.
    log("send", "p", id=("p", 10), topic="load/p", qos=0)
    log("send", "p", id=("p", 11), topic="load/p", qos=2, packet_id=12)
    log("recv", "s2", id=("p", 5), topic="load/p", qos=2, packet_id=6)
    at[0] = 50.0
    log("fault", "", text="everything")
    log("connect", "p", present=True)
    log("send", "p", id=("p", 11), topic="load/p", qos=2, packet_id=12, dup=True)
    log("ack", "p", id=("p", 11), packet_id=12)
    log("complete", "p", id=("p", 11), packet_id=12)
    log("connect", "s2", present=True)
    log("recv", "s2", id=("p", 5), topic="load/p", qos=2, packet_id=6, dup=True)
    log("release", "s2", id=("p", 5), packet_id=6)
    for number in (6, 7, 8, 9, 11):
        deliver("s2", ("p", number), "load/p", 1 + number % 2, number + 1)
    log("connect", "s1", present=True)
    deliver("s1", ("p", 11), "load/p", 1, 11)
    log("read", "reader", id=("r", 2), topic="kept")
    return events


def kinds(events, window=0):
    history = History()
    history.events = events
    return {violation.kind for violation in check(history, window)}


def find(events, kind, client=None, **fields):
    """Where it is."""
    for at, event in enumerate(events):
        if event.kind == kind and client in (None, event.client):
            if all(getattr(event, name) == value for name, value in fields.items()):
                return at
    raise LookupError(kind)


def change(events, at, **fields):
    events[at] = events[at]._replace(**fields)


def insert_copy(events, at, behind, **fields):
    events.insert(behind, events[at]._replace(at=events[behind - 1].at, **fields))


def test_right_history_passes():
    assert kinds(story()) == set()


def drop_delivery(events):
    del events[find(events, "recv", "s1", id=("p", 3))]


def drop_delivery_of_resent(events):
    at = find(events, "recv", "s2", id=("p", 11))
    del events[at]


def drop_delivery_of_queued(events):
    del events[find(events, "recv", "s2", id=("p", 9))]


def repeat_qos_2(events):
    at = find(events, "recv", "s2", id=("p", 7))
    insert_copy(events, at, at + 2, packet_id=99)


def repeat_qos_2_with_dup(events):
    at = find(events, "recv", "s2", id=("p", 3))
    insert_copy(events, at, len(events), dup=True)


def repeat_without_dup(events):
    at = find(events, "recv", "s1", id=("p", 2))
    insert_copy(events, at, len(events))
    insert_copy(events, at + 1, len(events))


def resend_without_dup(events):
    change(events, find(events, "recv", "s2", id=("p", 5), dup=True), dup=False)


def resend_with_other_id(events):
    at = find(events, "recv", "s2", id=("p", 5), dup=True)
    change(events, at, packet_id=77)


def id_in_use(events):
    at = find(events, "recv", "s2", id=("p", 5))
    insert_copy(events, find(events, "recv", "s2", id=("p", 7)), at + 1, packet_id=6, dup=True)


def never_resent(events):
    at = find(events, "recv", "s2", id=("p", 5), dup=True)
    del events[at:at + 2]


def swap(events):
    one, two = (find(events, "recv", "s1", id=("p", n)) for n in (2, 4))
    events[one], events[two] = events[two], events[one]


def forge_number(events):
    change(events, find(events, "recv", "s1", id=("p", 3)), id=("p", 300))


def forge_topic(events):
    change(events, find(events, "recv", "s1", id=("p", 3)), topic="load/q")


def forge_ack(events):
    at = find(events, "ack", "p")
    insert_copy(events, at, at + 1, id=None)


def tear(events):
    change(events, find(events, "recv", "s1", id=("p", 3)), id=None)


def not_subscribed(events):
    at = find(events, "subscribe", "s1")
    change(events, at, topic="other")


def session_gone(events):
    change(events, find(events, "connect", "s2", present=True), present=False)


def retained_older(events):
    change(events, find(events, "read"), id=("r", 1))


def retained_gone(events):
    change(events, len(events) - 1, id=None)


def retained_forged(events):
    change(events, len(events) - 1, id=("p", 1))


def will_missing(events):
    at = find(events, "recv", "watch")
    del events[at:at + 2]


def will_twice(events):
    at = find(events, "recv", "watch")
    insert_copy(events, at, at + 2, packet_id=2)


def will_after_disconnect(events):
    at = find(events, "recv", "watch")
    insert_copy(events, at, at + 2, id=("w", 0))


def never_acknowledged(events):
    del events[find(events, "complete", "p", id=("p", 11))]


BROKEN = [
    (drop_delivery, "lost"), (drop_delivery_of_resent, "lost"), (drop_delivery_of_queued, "lost"),
    (repeat_qos_2, "twice"), (repeat_qos_2_with_dup, "twice"), (repeat_without_dup, "dup"),
    (resend_without_dup, "dup"), (resend_with_other_id, "twice"), (id_in_use, "dup"),
    (never_resent, "resend"), (swap, "order"), (forge_number, "forged"), (forge_topic, "forged"),
    (forge_ack, "forged"), (tear, "torn"), (not_subscribed, "unasked"),
    (session_gone, "session"), (retained_older, "retained"), (retained_gone, "retained"),
    (retained_forged, "forged"), (will_missing, "will"), (will_twice, "will"),
    (will_after_disconnect, "will"), (never_acknowledged, "stuck")]


@pytest.mark.parametrize("damage,kind", BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_damage_is_found(damage, kind):
    events = story()
    damage(events)
    assert kind in kinds(events)


def shared_story():
    """Messages 0, 2, 4 go to one member of a group, 1, 3, 5 to the other."""
    events = []
    for client in ("m0", "m1"):
        events += [Event(0.1, kind, client, topic="$share/g/load/#", qos=2)
                   for kind in ("connect", "subscribe", "subscribed")]
    for number in range(6):
        events += [Event(1, kind, "p", id=("p", number), topic="load/x", qos=2, packet_id=1)
                   for kind in ("send", "ack", "complete")]
        events += [Event(2, kind, f"m{number % 2}", id=("p", number), topic="load/x", qos=2,
                         packet_id=number + 1) for kind in ("recv", "release")]
    return events


def test_group_gets_each_message_once():
    assert kinds(shared_story()) == set()
    assert kinds([e for e in shared_story() if e[1:4] != ("recv", "m1", ("p", 3))]) == {"lost"}
    events = shared_story()
    at = find(events, "recv", "m0", id=("p", 2))
    insert_copy(events, at, at + 1, client="m1", packet_id=50)
    insert_copy(events, at + 1, at + 2, kind="release")
    assert kinds(events) == {"twice"}


def test_every_lost_delivery_is_found():
    """Not just those of the examples: whichever receipt is taken out."""
    events = story()
    for at, event in enumerate(events):
        if event.kind == "recv" and event.client != "watch" and not event.dup:
            rest = [e for e in events if not (e.kind == "recv" and e.client == event.client and
                                              e.id == event.id)]
            assert "lost" in kinds(rest), event


def allowed_unacknowledged_lost(events):
    events[:] = [e for e in events if e.id != ("p", 11) or e.kind == "send"]
    events.append(Event(99, "drop", "p", id=("p", 11)))


def allowed_twice_after_resend(events):
    at = find(events, "send", "p", id=("p", 2))
    insert_copy(events, at, at + 1, dup=True)
    at = find(events, "recv", "s1", id=("p", 2))
    insert_copy(events, at, at + 2, packet_id=50)
    insert_copy(events, at + 1, at + 3, packet_id=50)


def allowed_later_retained(events):
    events.insert(-1, events[-1]._replace(kind="send", id=("r", 3), retain=True))
    change(events, len(events) - 1, id=("r", 3))


def allowed_cleared(events):
    events.insert(-1, events[-1]._replace(kind="send", id=("r", 3), retain=True, text="clear"))
    change(events, len(events) - 1, id=None)


def allowed_unsubscribed(events):
    at = find(events, "send", "p", id=("p", 9))
    left = Event(events[at - 1].at, "unsubscribe", "s1", topic="load/#")
    events[at:] = [left] + [e for e in events[at:] if e.client != "s1"]


@pytest.mark.parametrize("how", [
    allowed_unacknowledged_lost, allowed_twice_after_resend, allowed_later_retained,
    allowed_cleared, allowed_unsubscribed], ids=lambda how: how.__name__)
def test_what_is_allowed_passes(how):
    events = story()
    how(events)
    assert kinds(events) == set()


def test_window_excuses_the_last_second_only():
    def broken(acked_at):
        events = story()
        id_ = ("p", 9)
        events[:] = [e for e in events if e.kind != "recv" or e.id != id_]
        at = find(events, "ack", "p", id=id_)
        events[at] = events[at]._replace(at=acked_at)
        return events
    assert kinds(broken(49.5), window=1) == set()
    assert kinds(broken(48.5), window=1) == {"lost"}
    assert kinds(broken(49.5)) == {"lost"}


def test_window_excuses_qos_2_that_the_broker_forgot():
    """It was received in the last second: there may be no PUBREL, and the id be used again."""
    events = story()
    at = find(events, "recv", "s2", id=("p", 5), dup=True)
    del events[at:at + 2]
    at = find(events, "recv", "s2", id=("p", 5))
    events[at] = events[at]._replace(at=49.9)
    assert kinds(events, window=1) == set()
    assert kinds(events) == {"resend"}
    change(events, find(events, "recv", "s2", id=("p", 9)), packet_id=6)
    change(events, find(events, "release", "s2", id=("p", 9)), packet_id=6)
    assert kinds(events, window=1) == set()
    assert "dup" in kinds(events)


def test_window_excuses_what_a_group_got_in_the_last_second():
    """Nobody knows of it any more, so another member gets it."""
    for died_at, allowed in ((2.5, set()), (3.5, {"twice"})):
        events = shared_story()
        events.append(Event(died_at, "fault", "", text="everything"))
        events += [Event(9, kind, "m1", id=("p", 2), topic="load/x", qos=2, packet_id=50)
                   for kind in ("recv", "release")]
        assert kinds(events, window=1) == allowed
        assert kinds(events) == {"twice"}


def test_will_of_a_connect_without_disk_may_get_lost():
    """Of one that comes after the power went, and no other."""
    for died_at, allowed in ((0.9, set()), (1.1, {"will"}), (0.1, {"will"})):
        events = [Event(0.01, kind, "watch", topic="wills/#", qos=2)
                  for kind in ("connect", "subscribe", "subscribed")]
        events += [Event(1 + number / 100, kind, "w", id=("w", 0), topic="wills/w", qos=1)
                   for number, kind in enumerate(("will", "armed", "closed"))]
        events.append(Event(died_at, "fault", "", text="power"))
        assert kinds(events) == allowed
        assert kinds([e._replace(text="everything") if e.kind == "fault" else e
                      for e in events]) == {"will"}


def test_what_comes_late_from_before_a_fault_may_come_again_with_another_id():
    """The client reads what was sent to it when the broker is dead already."""
    def late(seconds):
        events = story()
        sent = Event(49.5, "send", "p", id=("p", 12), topic="load/p", qos=1, packet_id=13)
        fault = find(events, "fault")
        got = Event(events[fault].at + seconds, "recv", "s1", id=("p", 12), topic="load/p", qos=1,
                    packet_id=70)
        events[fault:fault + 1] = [sent, events[fault], got]
        acked = [sent._replace(at=99, dup=True)]
        acked += [sent._replace(at=99, kind=kind) for kind in ("ack", "complete")]
        again = got._replace(at=99, packet_id=71)
        events += acked
        events += [e._replace(at=99) for e in (again, again._replace(client="s2", packet_id=72))]
        events += [e._replace(kind="answer") for e in events[-2:]]
        return events
    assert kinds(late(0.01)) == set()
    assert kinds(late(1)) == {"resend"}


def test_payload_is_whole_or_nothing():
    rng = random.Random(1)
    for size in (0, 30, 5000):
        data = payload("p", 7, size)
        assert len(data) >= size and id_of(data) == ("p", 7)
        for _ in range(100):
            at = rng.randrange(len(data))
            assert id_of(data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) +
                         data[at + 1:]) is None
            assert id_of(data[:at]) is None


def test_history_comes_back_from_its_file(tmp_path):
    history = History()
    history.events = story()
    history.save(tmp_path / "story")
    assert load(tmp_path / "story").events == history.events
