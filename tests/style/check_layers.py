#!/usr/bin/env python3
"""Includes point down the ladder only, and each resource has one door.

Usage: check_layers.py [root]
"""

import re
from pathlib import Path

from source_tree import PRODUCT, Finding, Source, run, sources

# What a folder may include beyond itself: folders, or single headers.
LADDER = {
    "common/base": (),
    "common/mqtt": ("common/base",),
    "common/conf": ("common/base",),
    "common/ipc": ("common/base", "common/conf/conf.h"),
    "shm": ("common/base", "common/conf/conf.h", "common/mqtt/reason.h"),
    "shm/live": ("common/base", "common/mqtt/topic.h"),
    "worker/net": (
        "common/base",
        "common/conf/conf.h",
        "common/ipc",
        "common/mqtt/codec_control.h",
        "common/mqtt/frame.h",
        "common/mqtt/packet.h",
        "shm/inherit.h",
        "shm/listener_count.h",
        "shm/stats.h",
    ),
    "worker/session": (
        "common/base",
        "common/mqtt/packet.h",
        "common/mqtt/version.h",
        "shm",
        "worker/net/conn.h",
    ),
    "worker/route": (
        "common/base",
        "common/conf/conf.h",
        "common/mqtt/codec_ack.h",
        "common/mqtt/codec_publish.h",
        "common/mqtt/packet.h",
        "common/mqtt/reason.h",
        "common/mqtt/topic.h",
        "common/mqtt/version.h",
        "shm",
        "shm/live",
        "worker/net/conn.h",
        "worker/net/loop.h",
        "worker/session",
    ),
    "worker/protocol": (
        "common/base",
        "common/conf/conf.h",
        "common/mqtt",
        "shm",
        "worker/net/conn.h",
        "worker/net/handoff.h",
        "worker/route",
        "worker/session",
    ),
    "worker": (
        "common/base",
        "common/conf/conf.h",
        "common/ipc",
        "shm",
        "worker/net",
        "worker/protocol",
        "worker/route",
        "worker/session",
    ),
    "master/store/durable": ("common/base", "shm", "shm/live/live_room.h"),
    "master/store/rescue": ("common/base", "master/store/durable"),
    "master/store": (
        "master/store/durable",
        "master/store/rescue",
        "common/base",
        "common/conf/conf.h",
        "common/ipc",
        "common/mqtt/reason.h",
        "shm",
        "shm/live",
    ),
    "master": ("common/base", "common/conf/conf.h", "common/ipc", "shm"),
}

# Files that may include more than their folder.
COMPOSERS = {
    "master/main.c": (
        "master/store/rescue/rescue_check.h",
        "master/store/store.h",
        "worker/worker.h",
    ),
}

# Pattern in code, and the files that it may stand in.
DOORS = (
    (r"<liburing\.h>", ("worker/net/loop_uring*", "worker/net/uring_*", "worker/net/buffers.*")),
    (r"<lmdb\.h>", ("shm/live/*", "master/store/durable/*")),
    (r"<sodium\.h>", ("common/base/hash.c",)),
    (
        r"\b_?_?atomic_\w|\b_Atomic\b|\b__sync_\w|<stdatomic\.h>",
        (
            "shm/layout.h",
            "shm/ring.c",
            "shm/bell.c",
            "shm/stats.c",
            "shm/times.c",
            "shm/listener_count.c",
            "shm/generation.c",
            "shm/heartbeat.c",
            "shm/live/live.c",
            "common/base/kill_point.c",
        ),
    ),
    (r"\bv?fork\s*\(|\bclone3?\s*\(", ("master/spawn.c", "master/daemonize.c")),
    (r"\bSCM_RIGHTS\b", ("common/ipc/fdpass.c",)),
    (
        r"(?<![\w.>])time\s*\(|\bgettimeofday\s*\(",
        ("common/base/clock.c", "master/log_output.c", "master/syslog_link.c"),
    ),
    (r"\bclock_gettime\s*\(", ("common/base/clock.c", "master/notify.c")),
    (r"\b(?:secure_)?getenv\s*\(", ("master/notify.c", "common/base/kill_point.c")),
)


def is_below(header: str, allowed: tuple[str, ...]) -> bool:
    return header in allowed or header.rpartition("/")[0] in allowed


def check_includes(source: Source):
    if source.folder not in LADDER:
        yield source.finding(1, f"folder {source.folder} has no place in the ladder")
        return
    allowed = (source.folder, *LADDER[source.folder], *COMPOSERS.get(source.path, ()))
    for line, target in source.includes():
        header = target[1:-1]
        if target[0] == '"' and not is_below(header, allowed):
            yield source.finding(line, f"{source.folder} may not include {header}")


def check_doors(source: Source):
    code = source.code_lines()
    for pattern, doors in DOORS:
        if any(Path(source.path).match(door) for door in doors):
            continue
        for line, text in enumerate(code, 1):
            match = re.search(pattern, text)
            if match:
                word = match.group().rstrip("( ")
                yield source.finding(line, f"{word} belongs in {', '.join(doors)}")


def check_cycles(headers: list[Source]):
    graph = {h.path: [t[1:-1] for _, t in h.includes() if t[0] == '"'] for h in headers}
    done: set[str] = set()

    def visit(path: str, trail: tuple[str, ...]):
        if path in trail:
            yield Finding(path, 1, f"include cycle: {' -> '.join((*trail, path))}")
        elif path in graph and path not in done:
            for target in graph[path]:
                yield from visit(target, (*trail, path))
            done.add(path)

    for path in graph:
        yield from visit(path, ())


def check(root: Path):
    files = sources(root, PRODUCT, (".c", ".h"))
    for source in files:
        yield from check_includes(source)
        yield from check_doors(source)
    yield from check_cycles([f for f in files if f.path.endswith(".h")])


if __name__ == "__main__":
    run(check)
