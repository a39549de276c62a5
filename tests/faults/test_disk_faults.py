"""A disk that is full, read-only, broken or slow: what needs it is refused or waits, everything
else goes on, nothing acknowledged is lost, and service comes back by itself when the disk does."""

import errno
import time

import pytest

import disk
import packets
from courtier import TROUBLE
from disk_scene import (FAILING, FULL, LARGE, LAST, QUOTA, SAY_FAILING, SLOW, STALL_S,
                        STATE_FAILING, STATE_FULL, STATE_OK, Canary, await_state, check_refusals,
                        scene)  # noqa: F401
from flows import KEEP
from packets import V5, V311, Type
from test_kill import PERSISTENCE, Run, new_seed

KEEP_V3 = {"version": V311, "clean": False}

pytestmark = [pytest.mark.disk, pytest.mark.clock, pytest.mark.crash,
              pytest.mark.conf(*PERSISTENCE, "sys_interval 1")]
every_fault = pytest.mark.parametrize("fault", FULL + FAILING + LAST,
                                      ids=lambda fault: fault[0].replace(" ", "-"))


@every_fault
def test_durable_is_refused_live_goes_on(scene, fault):
    broker = scene.broker
    keeper, old_keeper = broker.connect(**KEEP), broker.connect(**KEEP_V3)
    scene.begin(fault)
    scene.check_live()
    check_refusals(scene)
    keeper.subscribe(broker.topic("no"), codes=[QUOTA])
    old_keeper.subscribe(broker.topic("no"), codes=[0x80])
    await_state(broker, STATE_FULL if fault in FULL else STATE_FAILING)
    scene.check_live()
    scene.heal()
    await_state(broker, STATE_OK)
    scene.check_live()
    keeper.subscribe(broker.topic("yes"), qos=1)
    old_keeper.subscribe(broker.topic("yes"), qos=1)
    broker.connect(**KEEP)
    broker.restart(kill=True)
    scene.check_kept()


@every_fault
def test_session_that_is_there_can_come_back(scene, fault):
    """It may be what makes room."""
    scene.begin(fault)
    client = scene.broker.raw()
    client.send(packets.connect(scene.away_id, V5, False, 0, KEEP["props"]))
    connack = client.expect(Type.CONNACK)
    assert (connack.reason, connack.session_present) == (0, True)
    client.cut()
    scene.heal()
    scene.check_kept()


@pytest.mark.one_shape
@pytest.mark.parametrize("fault", [FULL[0], FULL[1], FAILING[0]], ids=lambda fault: fault[0])
def test_log_is_not_flooded(scene, fault):
    since = scene.broker.process.log_position()
    scene.begin(fault)
    publisher, deadline = scene.broker.connect(), time.monotonic() + 4
    while time.monotonic() < deadline:
        assert scene.publish(publisher) == QUOTA
        time.sleep(0.01)
    lines = [line for line in scene.broker.process.log[since:]
             if "ersistent data" in line or "disk" in line]
    assert 1 <= len(lines) <= 6, "\n".join(lines)
    scene.heal()


@pytest.mark.parametrize("calls", [disk.WRITE, disk.SYNC], ids=["write", "sync"])
@pytest.mark.parametrize("skip", range(4))
def test_one_error_is_not_noticed(scene, calls, skip):
    """It is tried again before anybody is refused."""
    scene.disk.fail(calls, error=errno.EIO, skip=skip, limit=1)
    publisher = scene.broker.connect()
    while scene.disk.met() == 0:
        assert scene.publish(publisher) == 0
    scene.broker.wait_log(SAY_FAILING + "Input/output error")
    for _ in range(20):
        assert scene.publish(publisher) == 0
    scene.disk.heal()
    scene.broker.restart(kill=True)
    scene.check_kept()


@every_fault
def test_stop_meanwhile_loses_nothing(scene, fault):
    """It does not wait for a better disk, as nothing that was acknowledged does."""
    scene.begin(fault)
    assert scene.publish(scene.broker.connect()) == QUOTA
    scene.broker.restart(meanwhile=scene.disk.heal)
    assert scene.publish(scene.broker.connect()) == 0
    scene.check_kept()


@pytest.mark.parametrize("fault", SLOW, ids=lambda fault: fault[0].replace(" ", "-"))
def test_stop_waits_for_a_slow_disk(scene, fault):
    publisher = scene.broker.connect(worker=0)
    scene.disk.fail(fault[1], **fault[2])
    for _ in range(3):
        publisher.send_publish(scene.topic, scene.next_payload(), 1)
    since = scene.broker.process.log_position()
    scene.broker.restart(meanwhile=scene.disk.heal)
    assert not scene.broker.process.find_log(TROUBLE, since)
    assert scene.publish(scene.broker.connect()) == 0
    scene.check_kept()


@pytest.mark.parametrize("calls", [disk.WRITE, disk.SYNC], ids=["write", "sync"])
def test_acknowledgements_wait_for_a_slow_disk(scene, calls):
    keeper, publisher = scene.broker.connect(**KEEP), scene.broker.connect(worker=0)
    begin = time.monotonic()
    with scene.disk.failing(calls, stall_ms=1000 * STALL_S, limit=1):
        packet_id = publisher.send_publish(scene.topic, payload := scene.next_payload(), 1)
        while scene.disk.met() == 0:
            time.sleep(0.01)
        keeper.send(packets.subscribe(9, [(scene.broker.topic("slow"), 1)]))
        while time.monotonic() - begin < STALL_S - 0.5:
            scene.check_live()
            publisher.ping()
            keeper.send(packets.PINGREQ)
        publisher.expect(Type.PUBACK, packet_id=packet_id, reason=0)
    assert time.monotonic() - begin >= 4.9
    scene.acked.append(payload)
    while (p := keeper.recv()).type == Type.PINGRESP:
        pass
    assert (p.type, p.codes) == (Type.SUBACK, [1])
    scene.check_kept()


def test_retained_of_qos_0_goes_on(scene):
    """However much of it: nothing of it piles up behind the disk."""
    scene.begin(FAILING[0])
    publisher, topic = scene.broker.connect(), scene.broker.topic("much")
    begin = time.monotonic()
    for i in range(2000):
        publisher.send_publish(topic, b"%d" % i + b"." * LARGE, 0, retain=True)
    publisher.ping()
    assert time.monotonic() - begin < 5
    scene.heal()
    publisher.publish(topic, "last", 1, retain=True)
    scene.broker.restart(kill=True)
    reader = scene.broker.connect()
    reader.subscribe(topic)
    reader.expect_publish(topic, "last", retain=True)


def flicker(run, faults, rounds):
    for _ in range(rounds):
        _, calls, how, _ = run.rng.choice(faults)
        run.load.fault("disk")
        with run.process.disk.failing(calls, **how):
            time.sleep(run.rng.uniform(0.05, 1.5))
        time.sleep(run.rng.uniform(0.1, 1.5))


@pytest.mark.timeout(180)
@pytest.mark.one_shape
@pytest.mark.parametrize("faults,ends", [(FULL, "well"), (FAILING, "well"), (LAST, "well"),
                                         (SLOW, "well"), (FULL, "killed"), (FAILING, "killed"),
                                         (LAST, "killed")],
                         ids=lambda value: value if isinstance(value, str) else value[0][0])
def test_load_through_trouble_loses_nothing(broker, faults, ends):
    run, canary = Run(broker, new_seed()), Canary(broker)
    canary.start()
    flicker(run, faults, 6)
    canary.check()
    if ends == "killed":
        with run.process.disk.failing(disk.CHANGE, error=errno.EIO):
            time.sleep(1)
            run.load.fault("everything")
            run.process.kill_all()
        run.process.restart()
    # A client that has a session may come back while it can't be written that it did, nor its
    # will: so nobody knows what was sent to it.
    run.finish_right(but=["will", "dup"] if ends == "killed" else [])
