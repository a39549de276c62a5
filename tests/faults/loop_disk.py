"""A disk whose power can be cut: ext4 on a loop device, on a file in memory. The kernel then
writes nothing more of what it has not written, and gives EIO for all that is asked. Wants root
and loop devices."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2
SIZE = 64 << 20
MEMORY = "/dev/shm"
BUSY_S = 10  # longest that the kernel holds on to it when its users are dead


def missing():
    """Why there can be no such disk here; None if there can."""
    if os.geteuid() != 0:
        return "only root can mount"
    if not os.path.exists("/dev/loop-control"):
        return "no loop devices"
    if shutil.which("mkfs.ext4") is None:
        return "no mkfs.ext4 (e2fsprogs)"
    try:
        with Disk():
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no mount of a loop device: {error}"


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, timeout=60)


class Disk:
    """Used with `with`: it is mounted at `path`, and gone at the end, whoever still uses it."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="courtier-disk-", dir=MEMORY)
        os.chmod(self.folder, 0o755)
        self.image = os.path.join(self.folder, "image")
        self.path = os.path.join(self.folder, "mount")
        os.mkdir(self.path)
        try:
            with open(self.image, "wb") as file:
                file.truncate(SIZE)
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", self.image)
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if os.path.ismount(self.path):
            run("umount", "--lazy", self.path)
        shutil.rmtree(self.folder)

    def mount(self):
        # The loop device is freed by the last umount.
        run("mount", "-o", "loop", self.image, self.path)

    def cut(self):
        """From now on nothing reaches the disk."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def repower(self):
        """Mounts it anew, with what it holds; nobody uses it any more."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                run("umount", self.path)
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.mount()
