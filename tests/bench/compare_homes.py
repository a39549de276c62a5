"""Client ids whose sessions live on chosen workers, found by trying.

Which worker serves a client id depends on a key that each broker makes anew. So
this connects with many ids and looks which process holds the other end.
"""

import os
import socket

from compare_measure import tree

CONNECT_HEAD = b"\x00\x04MQTT\x04\x02\x00\x3c"


def connect(port, client_id):
    """A connection that the broker has accepted."""
    text = client_id.encode()
    body = CONNECT_HEAD + len(text).to_bytes(2, "big") + text
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.sendall(b"\x10" + bytes([len(body)]) + body)
    answer = client.recv(4)
    if answer != b"\x20\x02\x00\x00":
        raise OSError(f"refused: {answer.hex()}")
    return client


def inodes(port):
    """The broker's sockets: {port of the client: inode}."""
    found = {}
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if int(fields[1].split(":")[1], 16) == port:
                found[int(fields[2].split(":")[1], 16)] = fields[9]
    return found


def owners(pid):
    """Which process has which socket: {inode: pid}."""
    found = {}
    for process in tree(pid):
        folder = f"/proc/{process}/fd"
        for name in os.listdir(folder):
            target = os.readlink(f"{folder}/{name}")
            if target.startswith("socket:["):
                found[target[8:-1]] = process
    return found


def crossing_ids(pid, port, pairs):
    """Ids of publishers, then of subscribers, so that each pair has two homes."""
    clients = {f"id{i}": connect(port, f"id{i}") for i in range(pairs * 8)}
    sockets, processes = inodes(port), owners(pid)
    homes = {}
    for name, client in clients.items():
        home = processes[sockets[client.getsockname()[1]]]
        homes.setdefault(home, []).append(name)
        client.close()
    first, second = sorted(homes.values(), key=len)[-2:]
    half = (pairs + 1) // 2
    publishers = first[:half] + second[:pairs - half]
    subscribers = second[-half:] + first[-(pairs - half):]
    return publishers + subscribers
