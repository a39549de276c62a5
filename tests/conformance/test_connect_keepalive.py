"""Keep Alive: when a client counts as lost, and the value that the broker sets."""

import time

import pytest

import wire
from packets import V5, VERSIONS, Prop, Reason, Type, Will

EARLY_MS, LATE_S = 10, 4  # the least that clocks differ by; a slow machine takes its time


class Silent:
    """A client with a will that tells when the broker has given it up. (Its id is not one of
    new_id(): to look for such takes time that somebody's keep alive may not have.)"""

    def __init__(self, broker, name, version, **how):
        self.client = broker.raw(version)
        self.will = f"{version} {name}"
        self.begin = time.monotonic()
        will = Will(broker.topic("wills"), self.will)
        self.client.connect(broker.topic(self.will), will=will, **how)

    def expect_given_up(self, at, interval):
        """`at` is when its will came, `interval` what is in force in seconds."""
        took = at - self.begin
        assert interval * 1.5 - EARLY_MS / 1000 <= took <= interval * 1.5 + LATE_S, self.will
        p = None
        try:
            while (p := self.client.recv()).type == Type.PUBLISH:
                pass
        except wire.Closed:
            assert self.client.version != V5, f"{self.will}: closed without a reason"
        else:
            assert (p.type, p.reason) == (Type.DISCONNECT, Reason.KEEP_ALIVE), self.will
            self.client.expect_close()


def await_wills(watcher, silent, do_meanwhile):
    """When the wills of all these came. Something is done a few times a second meanwhile."""
    came = {}
    end = time.monotonic() + 2 * LATE_S
    while len(came) < len(silent):
        assert time.monotonic() < end, f"only {sorted(came)} were given up"
        do_meanwhile()
        try:
            p = watcher.recv(timeout=0.2)
        except TimeoutError:
            continue
        assert p.type == Type.PUBLISH and p.payload.decode() not in came
        came[p.payload.decode()] = time.monotonic()
    assert set(came) == {s.will for s in silent}, "somebody else was given up"
    return came


class Living:
    """Clients that send something again and again, and some that need not. `topic` is what the
    broker sends to whoever listens."""

    def __init__(self, broker, version):
        def connect(name, keep_alive):
            return broker.connect(broker.topic(f"{version}/{name}"), version,
                                  keep_alive=keep_alive, will=will)

        will = Will(broker.topic("wills"), f"living {version}")
        self.topic = broker.topic(f"noise/{version}")
        self.need_not = [connect(value, value) for value in (0, 43690, 43691, 43692, 65535)]
        self.pings, self.publishes = connect("pings", 1), connect("publishes", 1)
        self.acknowledges = connect("acknowledges", 1)
        self.acknowledges.subscribe(self.topic, qos=1)

    def step(self):
        self.pings.ping()
        self.publishes.send_publish(self.topic, "m", 1)
        self.acknowledges.expect_publish(self.topic, qos=1)
        self.publishes.await_packet(Type.PUBACK)

    def expect_alive(self):
        for client in (self.pings, self.publishes, self.acknowledges, *self.need_not):
            client.ping()


@pytest.mark.clock
def mqtt5_3_1_2_22_silent_clients_are_given_up(broker):
    """Keep alive 1 and 2 in each version: not before 1.5 times that, and soon after. What the
    broker sends does not count, whatever the client sends does; the products of 43691 and 1.5
    and of 65535 and 1.5 have more than 16 bits."""
    # covers: v3 MQTT-3.1.2-24, MQTT-3.2.2-22, EDGE-029, EDGE-031, MQTT-3.1.2-8, v3 MQTT-3.1.2-8
    watcher = broker.connect()
    watcher.subscribe(broker.topic("wills"))
    living = [Living(broker, version) for version in VERSIONS]
    silent = {}
    for version in VERSIONS:
        for interval in (1, 2):
            s = Silent(broker, f"keep alive {interval}", version, keep_alive=interval)
            assert Prop.SERVER_KEEP_ALIVE not in s.client.connack.props
            silent[s] = interval
        s = Silent(broker, "listens", version, keep_alive=1)
        s.begin = time.monotonic()
        s.client.subscribe(broker.topic(f"noise/{version}"))
        silent[s] = 1
    came = await_wills(watcher, silent, lambda: [one.step() for one in living])
    for s, interval in silent.items():
        s.expect_given_up(came[s.will], interval)
    for one in living:
        one.expect_alive()


@pytest.mark.clock
@pytest.mark.bare
@pytest.mark.conf("max_keepalive 1")
def edge_030_server_keep_alive(broker):
    """Announced when the client asks for more, or for none; and enforced."""
    # covers: MQTT-3.1.2-21, MQTT-3.2.2-21, MQTT-3.2.2-22
    watcher = broker.connect(broker.topic("watcher"))
    watcher.subscribe(broker.topic("wills"))
    silent = []
    for wish in (0, 1, 2, 65535):
        s = Silent(broker, f"asks for {wish}", V5, keep_alive=wish)
        assert s.client.connack.props.get(Prop.SERVER_KEEP_ALIVE) == (None if wish == 1 else 1)
        silent.append(s)
    came = await_wills(watcher, silent, watcher.ping)
    for s in silent:
        s.expect_given_up(came[s.will], 1)


@pytest.mark.parametrize("wish", [0, 1, 60, 65535])
def edge_030_without_a_maximum(broker, wish):
    # covers: MQTT-3.2.2-22
    client = broker.connect(keep_alive=wish)
    assert Prop.SERVER_KEEP_ALIVE not in client.connack.props
