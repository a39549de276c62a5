"""kill -9 of a worker and of the store under load: what dies with it is what belongs to it and
nothing else. ROUNDS sets how often (environment)."""

import glob
import os
import signal
import threading
import time

import pytest

import courtier
import packets
import wire
from packets import V311, Prop, Reason, Type, Will

ROUNDS = int(os.environ.get("CRASH_ROUNDS", os.environ.get("ROUNDS", "3")))
pytestmark = [pytest.mark.fresh, pytest.mark.crash]


def kill(broker, name):
    """Kills it, and returns when its successor runs."""
    process = broker.process
    old = process.read_pids()
    since = process.log_position()
    os.kill(old[name], signal.SIGKILL)
    process.wait_log(rf"The {name} \(process {old[name]}\) has died: signal 9", since=since)
    deadline = time.monotonic() + 10
    while process.read_pids().get(name, old[name]) == old[name]:
        assert time.monotonic() < deadline, f"no new {name}"
    new = process.read_pids()
    assert {**new, name: 0} == {**old, name: 0}, "another process was replaced too"


def await_pid(broker, name):
    deadline = time.monotonic() + 10
    while (pid := broker.process.read_pids().get(name)) is None:
        assert time.monotonic() < deadline, f"no {name}"
    return pid


def connect_again(broker, client_id, **how):
    """A client of a worker that has just died: tries until it is let in, which is soon."""
    deadline = time.monotonic() + 10
    while True:
        client = broker.raw(how.get("version", packets.V5))
        try:
            client.connect(client_id, **{k: v for k, v in how.items() if k != "version"})
            return client
        except (wire.Closed, ConnectionError):
            assert time.monotonic() < deadline, "not let in"


class Load:
    """A publisher and a subscriber that keep a round trip going until stop()."""

    def __init__(self, broker, worker, name):
        self.publisher = broker.connect(worker=worker)
        self.subscriber = broker.connect(worker=worker)
        self.topic = broker.topic("load/" + name)
        self.subscriber.subscribe(self.topic, qos=1)
        self.slowest, self.count, self.error = 0.0, 0, None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.done.is_set():
                start = time.monotonic()
                self.publisher.publish(self.topic, str(self.count), 1)
                self.subscriber.expect_publish(self.topic, str(self.count))
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.count += 1
        except (wire.Closed, AssertionError, OSError) as error:
            self.error = error

    def stop(self):
        self.done.set()
        self.thread.join(15)
        return self


def check_all_pairs(broker):
    """Messages go from every worker to every worker, large ones too: no ring is stuck."""
    clients = [broker.connect(worker=w) for w in range(broker.workers)]
    topic = broker.topic("pairs")
    for client in clients:
        client.subscribe(topic, qos=1)
    for size in (10, 300000):
        for publisher in clients:
            publisher.publish(topic, bytes(size), 1)
            for client in clients:
                assert len(client.expect_publish(topic).payload) == size
    for client in clients:
        client.disconnect()


def files_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_files(broker):
    """Of the processes that are not killed here."""
    return {pid: files_of(pid) for pid in broker.process.all_pids()}


def settled_files(broker, expected):
    """Waits until they have no more descriptors than before."""
    deadline = time.monotonic() + 10
    while any(count > expected.get(pid, count) for pid, count in open_files(broker).items()):
        assert time.monotonic() < deadline, (open_files(broker), expected)
    return True


def test_worker_is_replaced_and_others_do_not_notice(broker):
    """F01"""
    victim = broker.workers - 1
    load = Load(broker, 0, "other") if broker.workers > 1 else None
    watcher_id = broker.new_id(0)
    for number in range(ROUNDS):
        dying = broker.connect(worker=victim)
        kill(broker, f"worker {victim}")
        dying.expect_end()
        start = time.monotonic()
        back = connect_again(broker, dying.client_id)
        assert time.monotonic() - start < 5
        back.subscribe(broker.topic(str(number)), qos=1)
        sender = connect_again(broker, watcher_id)
        sender.publish(broker.topic(str(number)), "x", 1)
        back.expect_publish(broker.topic(str(number)), "x")
    if load is not None:
        load.stop()
        assert load.error is None and load.count > 10 and load.slowest < 0.5, vars(load)
    check_all_pairs(broker)


def test_connections_right_after_a_death(broker):
    """Those that come while a worker is being replaced are answered, or closed at once; none
    hangs, and it takes no later one to wake anybody."""
    for _ in range(ROUNDS):
        os.kill(await_pid(broker, "worker 0"), signal.SIGKILL)
        clients = [broker.raw(V311) for _ in range(6)]
        for client in clients:
            client.send(packets.connect("", V311))
        for client in clients:
            try:
                client.timeout = 5
                client.expect_connack()
            except wire.Closed:
                pass
        for client in clients:
            client.cut()


def test_wills_go_out(broker):
    """Also with a delay, and only once; not that of a client that had said goodbye."""
    if broker.workers == 1:
        pytest.skip("no other worker to watch from")
    victim, topic = broker.workers - 1, broker.topic()
    watcher = broker.connect(worker=0)
    watcher.subscribe(topic + "/#", qos=1)
    for i in range(20):
        broker.connect(worker=victim, version=[V311, packets.V5][i % 2],
                       will=Will(f"{topic}/{i}", str(i).encode(), i % 2))
    delayed = Will(f"{topic}/delayed", b"delayed", 1, False, {Prop.WILL_DELAY: 1})
    broker.connect(worker=victim, props={Prop.SESSION_EXPIRY: 60}, will=delayed)
    gone = broker.connect(worker=victim, will=Will(f"{topic}/none", b"none"))
    gone.disconnect()
    large = broker.connect(worker=victim, will=Will(f"{topic}/large", b"L" * 65535))
    broker.process.settle()
    kill(broker, f"worker {victim}")
    got = [p.payload for p in watcher.receive(22)]
    assert sorted(got[:-1], key=lambda b: (len(b), b)) == \
        sorted([str(i).encode() for i in range(20)], key=lambda b: (len(b), b)) + [b"L" * 65535]
    assert got[-1] == b"delayed"
    wire.expect_nothing(watcher, watcher)
    large.expect_end()


def test_will_is_not_sent_when_client_is_back_first(broker):
    """The delay protects it through the worker's death."""
    if broker.workers == 1:
        pytest.skip("no other worker to watch from")
    victim, topic = broker.workers - 1, broker.topic()
    watcher = broker.connect(worker=0)
    watcher.subscribe(topic, qos=1)
    client_id = broker.new_id(victim)
    will = Will(topic, b"old", 1, False, {Prop.WILL_DELAY: 2})
    broker.connect(client_id, props={Prop.SESSION_EXPIRY: 60}, will=will)
    broker.process.settle()
    kill(broker, f"worker {victim}")
    back = connect_again(broker, client_id, clean=False, props={Prop.SESSION_EXPIRY: 60})
    time.sleep(2.5)
    wire.expect_nothing(watcher, watcher)
    back.ping()


def test_subscriptions_of_dead_worker_are_void(broker):
    """Its successor has none of them: a publisher elsewhere is told that nobody subscribed."""
    victim, topic = broker.workers - 1, broker.topic()
    for i in range(50):
        broker.connect(worker=victim).subscribe(f"{topic}/{i}", f"$share/g/{topic}/s", qos=1)
    kill(broker, f"worker {victim}")
    publisher = connect_again(broker, broker.new_id_again(0))
    deadline = time.monotonic() + 5
    for name in ("0", "49", "s"):
        while publisher.publish(f"{topic}/{name}", "x", 1) != Reason.NO_SUBSCRIBERS:
            assert time.monotonic() < deadline


def test_shared_group_goes_on_without_dead_worker(broker):
    if broker.workers == 1:
        pytest.skip("no other worker to go on with")
    victim, topic = broker.workers - 1, broker.topic()
    text = f"$share/g/{topic}"
    broker.connect(worker=victim).subscribe(text, qos=1)
    member, publisher = broker.connect(worker=0), broker.connect(worker=0)
    member.subscribe(text, qos=1)
    kill(broker, f"worker {victim}")
    connect_again(broker, broker.new_id_again(victim)).ping()
    for i in range(20):
        publisher.publish(topic, str(i), 1)
    got = wire.fence(member, publisher)
    assert {p.payload for p in got} == {str(i).encode() for i in range(20)}


def test_publishers_to_dead_worker_go_on(broker):
    """Rings towards it are full or not: who publishes is held a while at most."""
    if broker.workers == 1:
        pytest.skip("no other worker to publish from")
    victim, topic = broker.workers - 1, broker.topic()
    publisher = broker.connect(version=V311, worker=0)  # 5.0 has a window
    local = broker.connect(worker=0)
    local.subscribe(topic, qos=1)
    for number in range(ROUNDS):
        connect_again(broker, broker.new_id_again(victim)).subscribe(topic, qos=1)
        data = [packets.publish(topic, b"%06d" % i + bytes(5000), 1, i + 1, version=V311)
                for i in range(400)]
        thread = threading.Thread(target=publisher.send, args=data, daemon=True)
        thread.start()
        kill(broker, f"worker {victim}")
        got = [int(local.expect_publish(topic).payload[:6]) for _ in range(400)]
        assert got == list(range(400)), f"round {number}"
        thread.join()
        for _ in range(400):
            publisher.expect(Type.PUBACK)
    check_all_pairs(broker)


def test_store_is_replaced_and_routing_goes_on(broker):
    """F03: connected clients notice nothing; retained messages and subscriptions are kept."""
    load = Load(broker, broker.workers - 1, "steady")
    publisher = broker.connect()
    publisher.publish(broker.topic("kept"), "kept", 1, retain=True)
    before = broker.connect(worker=broker.workers - 1)
    before.subscribe(broker.topic("+/a"), qos=1)
    for number in range(ROUNDS):
        kill(broker, "store")
        publisher.publish(broker.topic(f"{number}/a"), "x", 1)
        before.expect_publish(broker.topic(f"{number}/a"), "x")
        reader = broker.connect(worker=number % broker.workers)
        reader.subscribe(broker.topic("kept"))
        reader.expect_publish(broker.topic("kept"), "kept", retain=True)
        publisher.publish(broker.topic("new"), str(number), 1, retain=True)
        reader.subscribe(broker.topic("new"))
        reader.expect_publish(broker.topic("new"), str(number), retain=True)
    load.stop()
    assert load.error is None and load.count > 10 and load.slowest < 1, vars(load)
    check_all_pairs(broker)


def test_subscriptions_during_store_death_are_answered(broker):
    """Order 1 to 3 through a death: each SUBSCRIBE that was sent is answered and in force."""
    clients = [broker.connect(worker=w) for w in range(broker.workers)]
    publisher = broker.connect()
    pid = broker.process.read_pids()["store"]
    for i in range(100):
        for client in clients:
            client.send(packets.subscribe(i + 1, [(broker.topic(f"{i}"), 1)]))
        if i == 50:
            os.kill(pid, signal.SIGKILL)
    for client in clients:
        for i in range(100):
            client.expect(Type.SUBACK, packet_id=i + 1, codes=[1])
    for i in range(100):
        publisher.publish(broker.topic(f"{i}"), str(i), 1)
    for client in clients:
        assert wire.payloads(client.receive(100)) == [str(i).encode() for i in range(100)]


def test_retained_during_store_death_are_stored(broker):
    client = broker.connect()
    pid = broker.process.read_pids()["store"]
    for i in range(200):
        client.send_publish(broker.topic(str(i)), str(i), 0, retain=True)
        if i == 100:
            os.kill(pid, signal.SIGKILL)
    client.ping()
    reader = broker.connect(worker=broker.workers - 1)
    reader.subscribe(broker.topic("+"))
    assert sorted(int(p.payload) for p in reader.receive(200)) == list(range(200))


def test_no_descriptor_is_left(broker):
    """Master and survivors have as many open files after the deaths as before."""
    broker.process.settle()
    broker.process.forget_canaries()
    check_all_pairs(broker)
    before = open_files(broker)
    for _ in range(ROUNDS):
        kill(broker, f"worker {broker.workers - 1}")
        kill(broker, "store")
        check_all_pairs_again(broker)
    assert settled_files(broker, before)


def check_all_pairs_again(broker):
    """As check_all_pairs(), when a worker may not be there yet."""
    for worker in range(broker.workers):
        connect_again(broker, broker.new_id_again(worker)).disconnect()
    check_all_pairs(broker)


def test_death_of_all_workers_at_once(broker):
    old = broker.process.read_pids()
    for name, pid in old.items():
        if name.startswith("worker"):
            os.kill(pid, signal.SIGKILL)
    check_all_pairs_again(broker)
    assert broker.process.read_pids()["store"] == old["store"]


def test_death_of_master_ends_all(broker, pool, shape):
    """F04: no orphan; the next broker removes what it left in memory."""
    client = broker.connect()
    pids = broker.process.all_pids()
    broker.process.process.kill()
    client.expect_end()
    deadline = time.monotonic() + 5
    while any(courtier.is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "orphans"
    following = pool.start(shape, ())
    assert not glob.glob(f"/dev/shm/courtier-{broker.process.process.pid}.*")
    assert following.stop() == []


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_hanging_worker_is_killed(broker):
    """F06: the watchdog replaces it; the others go on meanwhile."""
    victim = broker.workers - 1
    pid = broker.process.read_pids()[f"worker {victim}"]
    load = Load(broker, 0, "other") if broker.workers > 1 else None
    os.kill(pid, signal.SIGSTOP)
    broker.process.wait_log(rf"The worker {victim} .* has not answered .* killing it", 40)
    connect_again(broker, broker.new_id_again(victim)).ping()
    if load is not None:
        load.stop()
        assert load.error is None
    check_all_pairs(broker)
