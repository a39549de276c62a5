"""The test's side of disk_shim.c: a disk under a broker that fails when told to."""

import contextlib
import mmap
import os
import pathlib
import struct

import pytest

WRITE, SYNC, TRUNCATE, ALLOCATE, STATVFS, HEAD = 1, 2, 4, 8, 16, 32
GROW = WRITE | TRUNCATE | ALLOCATE  # what a full disk refuses
CHANGE = GROW | SYNC
FOLDER_MAX = 256
NUMBERS = "calls error is_short stall_ms skip limit free_kib seen met".split()
SIZE = 4 * len(NUMBERS) + FOLDER_MAX


def shim_of(broker_path):
    """The library, as built with this program."""
    path = pathlib.Path(broker_path).resolve().parent / "tests/faults/disk_shim.so"
    if not path.exists():
        pytest.fail(f"no {path}: build the target disk_shim", False)
    return path


class Disk:
    """Disturbs the files below `folder`, once a broker is started with environment()."""

    def __init__(self, shim, folder, path):
        self.shim, self.path = shim, path
        with open(path, "w+b") as file:
            file.truncate(SIZE)
            self.map = mmap.mmap(file.fileno(), SIZE)
        self.map[4 * len(NUMBERS):] = os.fsencode(folder).ljust(FOLDER_MAX, b"\0")

    def environment(self):
        return {"LD_PRELOAD": str(self.shim), "DISK_FAULTS": str(self.path)}

    def set(self, name, value):
        struct.pack_into("=I", self.map, 4 * NUMBERS.index(name), value)

    def get(self, name):
        return struct.unpack_from("=I", self.map, 4 * NUMBERS.index(name))[0]

    def fail(self, calls, **how):
        """From now on. `how`: the numbers; without any the calls are met, and made."""
        self.set("calls", 0)
        for name in NUMBERS[1:]:
            self.set(name, how.get(name, 0))
        self.set("calls", calls)

    def heal(self):
        self.set("calls", 0)

    def met(self):
        """How many calls were, since the last fail()."""
        return self.get("met")

    @contextlib.contextmanager
    def failing(self, calls, **how):
        self.fail(calls, **how)
        yield
        self.heal()



def attach(process):
    """For courtier.Process(prepare=): the disk below its scratch folder is process.disk."""
    path = os.path.join(process.folder, "faults")
    process.disk = Disk(shim_of(process.path), process.folder + "/courtier.db", path)
    process.environment.update(process.disk.environment())
