"""Reads numbers below $SYS/broker/ of a broker."""

import time

from compare_homes import connect

ROUNDS_S = 1.3  # a round of $SYS comes in it, with sys_interval 1


def subscribe(filters):
    body = b"\x00\x01"
    for text in filters:
        body += len(text).to_bytes(2, "big") + text.encode() + b"\x00"
    return b"\x82" + bytes([len(body)]) + body


def publishes(data):
    """Topic and payload of each short PUBLISH of QoS 0 in `data`; other packets are skipped."""
    while len(data) >= 2 and len(data) >= 2 + data[1]:
        packet, data = data[:2 + data[1]], data[2 + data[1]:]
        if packet[0] >> 4 == 3:
            end = 4 + int.from_bytes(packet[2:4], "big")
            yield packet[4:end].decode(), packet[end:]


def read_number(port, name):
    """The newest value, or None if the broker has no such topic."""
    topic = f"$SYS/broker/{name}"
    data = b""
    with connect(port, "compare-sys") as client:
        client.sendall(subscribe([topic]))
        deadline = time.monotonic() + ROUNDS_S
        while (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                data += client.recv(4096)
            except TimeoutError:
                break
    values = [payload for found, payload in publishes(data) if found == topic]
    return int(values[-1]) if values else None
