"""The scenarios: what courtier-bench is asked to do, and what is counted."""

# kind: what one unit of work is
#   message   a delivered message
#   connect   a full cycle of CONNECT, SUBSCRIBE, DISCONNECT
#   idle      a connection that is held (memory, not CPU)
#   retained  a message set, then a message read back
#   store     a message acknowledged while its receiver is away, then one read back
#   reconnect a message read back
#   kept      as message, with what was written for it
# floor: the relay can do it too. seconds: at most so long, whatever --duration says.
# keeps: with persistence. cases: each broker does it in several ways, with more options each,
# and the first way is what its others are measured against.

PAIRS = 50


def pairs(qos, *more):
    """The options of publishers that talk to a subscriber each."""
    return ["--scenario", "pairs", "--pairs", str(PAIRS), "--qos", str(qos), *more]


def offline(inflight):
    """Publishers with one message under way each, for sessions whose clients are away."""
    return {
        "what": f"{inflight} publishers, QoS 1, 64 bytes, each waits for every PUBACK, for"
                " sessions that are away",
        "args": ["--scenario", "offline", "--pairs", str(inflight), "--window", "1",
                 "--qos", "1"],
        "kind": "store", "keeps": True,
    }


def connected(what, *more):
    """Pairs whose subscribers acknowledge at once, without and with a session to keep."""
    return {
        "what": f"50 pairs, QoS 1, 64 bytes, {what}, connected subscribers",
        "args": pairs(1, *more), "kind": "kept", "keeps": True,
        "cases": {"clean": [], "persistent": ["--persistent"]},
    }


SCENARIOS = {
    "qos0-flat": {
        "what": "50 pairs, QoS 0, 64 bytes, as fast as TCP takes it",
        "args": pairs(0), "kind": "message", "floor": True,
        # A broker that reads on and queues without limit needs many times as
        # long to deliver, and a lot of memory.
        "seconds": 1.0,
    },
    "qos0-ahead": {
        "what": "50 pairs, QoS 0, 64 bytes, flat out with at most 200 undelivered per pair",
        "args": pairs(0, "--ahead", "200"), "kind": "message", "floor": True,
    },
    "qos1-flat": {
        "what": "50 pairs, QoS 1, 64 bytes, flat out, window 100",
        "args": pairs(1, "--window", "100"), "kind": "message",
    },
    "qos2-flat": {
        "what": "50 pairs, QoS 2, 64 bytes, flat out, window 20",
        "args": pairs(2), "kind": "message",
    },
    "qos0-60k": {
        "what": "50 pairs, QoS 0, 64 bytes, 60000 messages a second",
        "args": pairs(0, "--rate", "60000"), "kind": "message", "floor": True,
    },
    "qos1-30k": {
        "what": "50 pairs, QoS 1, 64 bytes, 30000 messages a second",
        "args": pairs(1, "--rate", "30000"), "kind": "message",
    },
    "fanout-1000": {
        "what": "1 publisher to 1000 subscribers, QoS 0, 256 bytes, 50 messages a second",
        "args": ["--scenario", "fanout", "--subscribers", "1000", "--size", "256",
                 "--rate", "50"],
        "kind": "message", "floor": True,
    },
    "fanin": {
        "what": "50 publishers to 1 subscriber on a wildcard, QoS 0, 40000 messages a second",
        "args": ["--scenario", "fanin", "--rate", "40000"], "kind": "message",
    },
    "shared": {
        "what": "10 publishers to a group of 10, QoS 0, 40000 messages a second",
        "args": ["--scenario", "shared", "--rate", "40000"], "kind": "message",
    },
    "idle-15000": {
        "what": "15000 connections with one subscription each",
        "args": ["--scenario", "idle", "--clients", "15000", "--hold", "0"], "kind": "idle",
    },
    "connect-storm": {
        "what": "100 clients connect, subscribe and leave, over and over",
        "args": ["--scenario", "connect", "--clients", "100", "--subscribe"],
        "kind": "connect",
    },
    "retained": {
        "what": "10000 retained messages set at QoS 1, then read by 10 wildcard subscribers",
        "args": ["--scenario", "retained", "--topics", "10000", "--subscribers", "10",
                 "--qos", "1"],
        "kind": "retained",
    },
}

DURABLE = {
    **{f"offline-{inflight}": offline(inflight) for inflight in (1, 8, 64, 512)},
    "connected-10k": connected("10000 messages a second", "--rate", "10000"),
    "connected-flat": connected("flat out, window 20"),
    "reconnect-100k": {
        "what": "one session comes back to 100000 messages of QoS 1, 64 bytes",
        "args": ["--scenario", "offline", "--pairs", "1", "--window", "1000", "--qos", "1",
                 "--messages", "100000"],
        "kind": "reconnect", "keeps": True,
    },
}
