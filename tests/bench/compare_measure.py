"""What /proc tells about the processes of a broker and about the machine."""

import os
import threading

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """The process ids of `pid` and all its descendants."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(name))
    found = [pid]
    for process in found:
        found.extend(children.get(process, []))
    return found


def cpu_and_slices(pid):
    """Nanoseconds on a CPU and number of time slices of all threads of the tree."""
    cpu_ns = slices = 0
    for process in tree(pid):
        try:
            threads = os.listdir(f"/proc/{process}/task")
        except OSError:
            continue
        for thread in threads:
            try:
                with open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file:
                    fields = file.read().split()
            except OSError:
                continue
            cpu_ns += int(fields[0])
            slices += int(fields[2])
    return cpu_ns, slices


def bytes_written(pid):
    """What all processes of the tree have had written to a disk, as the kernel counts it: whole
    pages, also those that others (the file system) make of one."""
    total = 0
    for process in tree(pid):
        try:
            with open(f"/proc/{process}/io", encoding="ascii") as file:
                fields = dict(line.split(": ") for line in file)
        except OSError:
            continue
        total += int(fields["write_bytes"])
    return total


def pss_kib(pid):
    """Proportional set size of the tree: a page that all share counts once in all."""
    total = 0
    for process in tree(pid):
        try:
            with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
                lines = file.readlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def machine_seconds():
    """All, busy and stolen CPU seconds of the machine since it started."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) / TICKS_PER_S for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields), sum(fields) - idle, fields[7]


class Sample:
    """A moment of a run; the difference of two is what happened between them."""

    def __init__(self, pid):
        self.processes = set(tree(pid))
        self.cpu_ns, self.slices = cpu_and_slices(pid)
        self.written = bytes_written(pid)
        self.all_s, self.busy_s, self.stolen_s = machine_seconds()

    def since(self, earlier):
        """Differences as a dict; `ended` counts processes whose CPU time is gone."""
        return {
            "cpu_ns": self.cpu_ns - earlier.cpu_ns,
            "slices": self.slices - earlier.slices,
            "written": self.written - earlier.written,
            "all_s": max(0.01, self.all_s - earlier.all_s),
            "busy_s": self.busy_s - earlier.busy_s,
            "stolen_s": self.stolen_s - earlier.stolen_s,
            "ended": len(earlier.processes - self.processes),
        }


class PeakMemory(threading.Thread):
    """Watches the PSS of a process tree until stopped."""

    INTERVAL_S = 0.25

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.peak_kib = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(self.INTERVAL_S):
            self.peak_kib = max(self.peak_kib, pss_kib(self.pid))

    def stop(self):
        """Ends the watch and returns the peak in KiB."""
        self.ended.set()
        self.join()
        return self.peak_kib
