"""SIGHUP: changes take effect, a broken file changes nothing, a storm of them under load harms
nobody; and the other signals."""

import os
import signal
import threading

import pytest

from packets import V311, Prop, Reason

pytestmark = pytest.mark.fresh


def reload(broker, *lines, outcome=r"Reload: "):
    """New configuration, SIGHUP, and each worker has it when this returns."""
    process = broker.process
    process.write_conf(lines)
    since = process.log_position()
    process.process.send_signal(signal.SIGHUP)
    process.wait_log(outcome, since=since)


def await_connack(broker, number, value):
    """The workers hear of it one by one: until each has."""
    for worker in range(broker.workers):
        client_id = broker.new_id(worker)
        for _ in range(1000):
            client = broker.connect(client_id)
            if client.connack.props.get(number) == value:
                break
            client.disconnect()
        else:
            raise AssertionError(f"worker {worker} did not take the reload")


CHANGES = [("max_packet_size 5000", Prop.MAXIMUM_PACKET_SIZE, 5000),
           ("max_inflight_messages 7", Prop.RECEIVE_MAXIMUM, 7),
           ("max_keepalive 77", Prop.SERVER_KEEP_ALIVE, 77),
           ("max_topic_alias 3", Prop.TOPIC_ALIAS_MAXIMUM, 3),
           ("retain_available false", Prop.RETAIN_AVAILABLE, 0)]


@pytest.mark.parametrize("line,number,value", CHANGES, ids=[row[0].split()[0] for row in CHANGES])
def test_change_takes_effect(broker, line, number, value):
    before = broker.connect()
    reload(broker, line, outcome=f"Reload: {line.split()[0]} was ")
    await_connack(broker, number, value)
    before.ping()


def test_change_reaches_connected_clients(broker):
    client = broker.connect()
    client.publish(broker.topic(), bytes(2000), 1)
    reload(broker, "max_packet_size 1000")
    await_connack(broker, Prop.MAXIMUM_PACKET_SIZE, 1000)
    client.send_publish(broker.topic(), bytes(2000))
    client.expect_reject(Reason.TOO_LARGE)


@pytest.mark.parametrize("line", ["nonsense 1", "max_packet_size many", "allow_anonymous",
                                  "listener"])
def test_broken_file_changes_nothing(broker, line):
    client = broker.connect()
    reload(broker, "max_inflight_messages 7", line, outcome="was not reloaded")
    other = broker.connect()
    assert other.connack.props[Prop.RECEIVE_MAXIMUM] == 20
    client.ping()
    reload(broker, "max_inflight_messages 8")
    await_connack(broker, Prop.RECEIVE_MAXIMUM, 8)


def test_missing_file_changes_nothing(broker):
    process = broker.process
    os.rename(process.conf_path, process.conf_path + ".away")
    process.process.send_signal(signal.SIGHUP)
    broker.wait_log("was not reloaded")
    broker.connect().ping()


def test_what_needs_a_restart_is_named(broker):
    reload(broker, "ring_size 2M", outcome="ring_size has changed, which takes effect when")
    broker.connect().ping()


def test_sys_interval_can_be_switched_on(broker):
    reload(broker, "sys_interval 1")
    client = broker.connect(version=V311)
    client.subscribe("$SYS/broker/uptime")
    client.expect_publish(retain=True)
    client.expect_publish(retain=False)


def test_storm_under_load(broker):
    """F32: messages go on in order, none is lost, nobody is cut."""
    topic, count = broker.topic(), 1500
    publisher = broker.connect()
    subscriber = broker.connect(worker=broker.workers - 1)
    subscriber.subscribe(topic, qos=1)
    done = threading.Event()

    def storm():
        while not done.is_set():
            broker.process.process.send_signal(signal.SIGHUP)

    thread = threading.Thread(target=storm, daemon=True)
    thread.start()
    try:
        for i in range(count):
            publisher.publish(topic, str(i), 1)
            subscriber.expect_publish(topic, str(i))
    finally:
        done.set()
        thread.join()
    broker.process.wait_log("Reloading config", since=broker.log_start)


@pytest.mark.crash
def test_stop_during_storm(broker):
    """The fixture stops it, which must be clean; here SIGTERM amid SIGHUPs."""
    client = broker.connect()
    process = broker.process.process
    for _ in range(50):
        process.send_signal(signal.SIGHUP)
    process.terminate()
    for _ in range(50):
        process.send_signal(signal.SIGHUP)
    client.expect_reject(Reason.SHUTTING_DOWN)
    assert process.wait(5) == 0


@pytest.mark.crash
def test_second_sigterm_hurries(broker):
    deaf = broker.raw(receive_buffer=4096)
    deaf.connect(broker.new_id())
    process = broker.process.process
    process.terminate()
    process.terminate()
    assert process.wait(2) == 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN,
                                    signal.SIGPIPE])
def test_other_signals_do_no_harm(broker, number):
    client = broker.connect()
    broker.process.process.send_signal(number)
    if number == signal.SIGUSR2:
        for worker in range(broker.workers):
            broker.wait_log(rf"Worker {worker}: \d+ connections, \d+ sessions, \d+ filters")
        broker.wait_log(r"Store: ")
    client.ping()
    broker.connect().ping()
