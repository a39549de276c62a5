#!/usr/bin/env python3
"""What a file exports carries the file's name, and is no variable.

Usage: check_symbols.py root library.a...
The name of a library's folder in the build is the name of its folder in the tree.
"""

import re
import subprocess
import sys
from pathlib import Path

from source_tree import Finding

# Files that export names of their module, and not of their own.
FAMILIES = {
    "announce": ("announcer",),
    "bytes": ("reader", "writer"),
    "codec_connect": ("codec_connack",),
    "codec_control": ("codec_auth", "codec_disconnect", "codec_pingreq", "codec_pingresp"),
    "codec_subscribe": ("codec_suback", "codec_unsubscribe", "codec_unsuback"),
    "on_disconnect": ("on_pingreq",),
    "on_subscribe": ("on_unsubscribe", "subscribe"),
    "publisher": ("publishers",),
    "record_journal": ("record",),
    "record_message": ("record",),
    "retain_read": ("retain",),
    "retain_write": ("retain",),
    "session": ("will_free",),
    "trie_read": ("trie",),
    "trie_write": ("trie",),
}

WRITABLE = (".data", ".bss", ".tdata", ".tbss", "*COM*")
READ_ONLY = ".data.rel.ro"  # constants that hold addresses


def objects(root: Path, library: Path) -> dict[str, str]:
    """Names of objects in the library and the sources that they may come from."""
    folder = root / library.parent.name
    paths = [p for p in folder.rglob("*.c")]
    return {
        p.relative_to(folder).as_posix().replace("/", "_") + ".o": p.relative_to(root).as_posix()
        for p in paths
    }


def has_name_of(symbol: str, stem: str) -> bool:
    return any(
        symbol == name or symbol.startswith(name + "_") for name in (stem, *FAMILIES.get(stem, ()))
    )


def check_table(table: str, names: dict[str, str]):
    """`table` is what nm prints in the format of System V."""
    path = ""
    for line in table.splitlines():
        member = re.match(r".*\[(.+\.o)\]:$", line)
        if member:
            path = names[Path(member[1]).name]
        fields = [field.strip() for field in line.split("|")]
        if len(fields) < 7 or fields[0] == "Name":
            continue
        symbol, section = fields[0], fields[6]
        if not has_name_of(symbol, Path(path).stem):
            yield Finding(path, 1, f"{symbol} does not begin with the name of the file")
        if section.startswith(WRITABLE) and not section.startswith(READ_ONLY):
            yield Finding(path, 1, f"{symbol} is a variable that others can change")


def check(root: Path, libraries: list[Path]):
    for library in libraries:
        command = ["nm", "--format=sysv", "--extern-only", "--defined-only", str(library)]
        table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        yield from check_table(table, objects(root, library))


def main() -> None:
    findings = sorted(check(Path(sys.argv[1]).resolve(), [Path(p) for p in sys.argv[2:]]))
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
