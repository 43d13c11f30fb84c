"""Small disks for what must not happen to a large one: they fill up, turn read-only, or hang.

They are mounted in a mount namespace of this process's own, so that nothing of them outlives it; gateways in network
namespaces of a Lab see what is mounted later, too.
"""
import ctypes
import os
import shutil
import subprocess

from lab import sh
from tap import Skip

CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_SHARED = 0x20000, 1 << 14, 1 << 18, 1 << 20
libc = ctypes.CDLL(None, use_errno=True)
FREEZE = 'fsfreeze -f "$1" && echo frozen; read -r _; fsfreeze -u "$1"'


def must(rc, what):
    if rc != 0:
        raise OSError(ctypes.get_errno(), what)


def alone():
    """From here on this process has its mounts for itself."""
    must(libc.unshare(CLONE_NEWNS), "unshare")
    must(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")


class Disk:
    """A file system at FOLDER/disk. kind: tmpfs, or ext4 in a file, which can fail and hang."""

    def __init__(self, folder, kind="tmpfs"):
        self.folder, self.path, self.kind = folder, f"{folder}/disk", kind
        self.image, self.mounts, self.freezer = f"{folder}/image", 0, None

    def __enter__(self):
        os.mkdir(self.path)
        # What is mounted below is seen by those whose namespaces were made from ours.
        must(libc.mount(self.folder.encode(), self.folder.encode(), None, 1 << 12, None), "bind")
        must(libc.mount(b"none", self.folder.encode(), None, MS_SHARED, None), "shared mount")
        try:
            if self.kind == "tmpfs":
                sh("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", self.path)
                self.mounts = 1
            else:
                self.make()
        except Exception:
            self.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.close()

    def make(self):
        if not os.path.exists("/dev/loop-control") or not shutil.which("mkfs.ext4"):
            raise Skip("no loop device or no mkfs.ext4")
        with open(self.image, "wb") as f:
            f.truncate(1 << 20)
        sh("mkfs.ext4", "-q", "-F", "-O", "^has_journal", self.image)
        self.mount(self.image)

    def mount(self, image):
        sh("mount", "-o", "loop,errors=remount-ro", image, self.path)
        self.mounts += 1

    def close(self):
        self.thaw()
        for _ in range(self.mounts):
            sh("umount", self.path)
        self.mounts = 0
        sh("umount", self.folder)

    def fill(self):
        with open(f"{self.path}/fill", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(512))
            except OSError:
                pass

    def room(self):
        os.remove(f"{self.path}/fill")

    def fail(self):
        """An error of the file system, after which Linux has it read-only."""
        device = os.stat(self.path).st_dev
        name = os.path.basename(os.readlink(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}"))
        trigger = f"/sys/fs/ext4/{name}/trigger_fs_error"
        if not os.path.exists(trigger):
            raise Skip(f"no {trigger}")
        with open(trigger, "w", encoding="ascii") as f:
            f.write("a test")

    def mend(self):
        """What an administrator does then: it is looked through, and mounted anew."""
        shutil.copy(self.image, self.image + "2")
        subprocess.run(["fsck.ext4", "-fy", self.image + "2"], capture_output=True, check=False)
        self.mount(self.image + "2")

    def freeze(self):
        """Whoever writes hangs, until thaw() or the end of this process, however it ends."""
        self.freezer = subprocess.Popen(["sh", "-c", FREEZE, "sh", self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, start_new_session=True)
        if not self.freezer.stdout.readline():
            raise Skip("the file system cannot be frozen")

    def thaw(self):
        if self.freezer is not None:
            self.freezer.communicate()
            self.freezer = None
