"""Run as a program: shut itself in, then become the child. It needs nothing but the standard library.

What the child can see is a new root: the interpreter and its packages, the system's libraries and the strategy's own
file, all read-only, and an empty /tmp of a few megabytes. It has no network, no other process, no /proc, no home
folder, no data. It may start threads and no process; what memory and files it may use is bounded by the kernel.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NamedTuple

USER, MOUNTS, NET, IPC, UTS, PIDS = 0x10000000, 0x00020000, 0x40000000, 0x08000000, 0x04000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
AT_FDCWD, AT_RECURSIVE, MOUNT_SETATTR = -100, 0x8000, 442
RDONLY, NOSUID, NODEV = 1, 2, 4
SET_PDEATHSIG, SET_SECCOMP, SET_NO_NEW_PRIVS = 1, 22, 38
CLONE3, CLONE_THREAD, EPERM, ENOSYS = 435, 0x10000, 1, 38

REFUSED = 97
"""Exit status where the kernel does not let this process shut itself in."""

ID = 1000
"""Of the child's user in its own namespace: nobody of importance."""

_C = ctypes.CDLL(None, use_errno=True)


class Machine(NamedTuple):
    """Numbers of the kernel that differ between machines."""

    audit: int
    pivot_root: int
    clone: int
    forbidden: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(0xC000003E, 155, 56, (57, 58, 101, 272, 308)),
    "aarch64": Machine(0xC00000B7, 41, 220, (97, 117, 268)),
}
"""Forbidden are fork and vfork where there are such, unshare, setns and ptrace."""


class FilterStep(ctypes.Structure):
    """One instruction of a filter of system calls."""

    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class FilterProgram(ctypes.Structure):
    """A filter of system calls, as the kernel takes it."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.POINTER(FilterStep)))


class MountAttributes(ctypes.Structure):
    """What `mount_setattr` takes."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def checked(outcome: int, what: str) -> None:
    """Raise what the kernel answered, if it refused."""
    if outcome:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a source on a target."""
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    checked(_C.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()), f"mount on {target}")


def seal(path: str, *, recursive: bool) -> None:
    """Make a mount read-only, without devices and without programs of other users."""
    attributes = MountAttributes(RDONLY | NOSUID | NODEV, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    outcome = _C.syscall(
        ctypes.c_long(MOUNT_SETATTR),
        ctypes.c_long(AT_FDCWD),
        path.encode(),
        ctypes.c_long(flags),
        ctypes.byref(attributes),
        size,
    )
    checked(int(outcome), f"seal {path}")


def show(source: str, target: str) -> None:
    """Let the child see a file or folder of the machine, read-only."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb"):
            pass
    mount(source, target, None, MS_BIND | MS_REC)
    if not source.startswith("/dev/"):
        seal(target, recursive=True)


def shut_in(root: str, shown: dict[str, str], machine: Machine) -> None:
    """Leave everything behind but what is shown, by path on the machine and path for the child."""
    uid, gid = os.getuid(), os.getgid()
    checked(_C.unshare(USER | MOUNTS | NET | IPC | UTS | PIDS), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{ID} {uid} 1"), ("gid_map", f"{ID} {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", NOSUID | NODEV, "size=4m,mode=0755")
    # What is shown may lie under /tmp itself: a checkout there, with its interpreter.
    os.makedirs(f"{root}/tmp")
    mount("tmpfs", f"{root}/tmp", "tmpfs", NOSUID | NODEV, "size=16m,mode=0700,nr_inodes=1024")
    for source, target in sorted(shown.items(), key=lambda entry: entry[1]):
        show(source, root + target)
    seal(root, recursive=False)
    os.chdir(root)
    checked(_C.syscall(ctypes.c_long(machine.pivot_root), b".", b"."), "pivot_root")
    checked(_C.umount2(b".", MNT_DETACH), "umount")
    os.chdir("/tmp")


def forbid_processes(machine: Machine) -> None:
    """Let threads be started and no process: how many processes root may have, no limit of the kernel bounds."""
    load, equal, has, answer = 0x20, 0x15, 0x45, 0x06
    refuse, missing, allow = 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x7FFF0000
    steps = [(load, 0, 0, 4), (equal, 1, 0, machine.audit), (answer, 0, 0, refuse), (load, 0, 0, 0)]
    # Calls of other tables have a high bit in their number.
    steps += [(has, 0, 1, 0x40000000), (answer, 0, 0, refuse)]
    # What a newer way to start threads is to do stands in memory, which a filter cannot read; libraries try the older.
    steps += [(equal, 0, 1, CLONE3), (answer, 0, 0, missing)]
    for number in machine.forbidden:
        steps += [(equal, 0, 1, number), (answer, 0, 0, refuse)]
    steps += [(equal, 0, 3, machine.clone), (load, 0, 0, 16), (has, 1, 0, CLONE_THREAD), (answer, 0, 0, refuse)]
    steps += [(answer, 0, 0, allow)]
    program = FilterProgram(len(steps), (FilterStep * len(steps))(*(FilterStep(*step) for step in steps)))
    checked(_C.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")
    checked(_C.prctl(SET_SECCOMP, 2, ctypes.byref(program), 0, 0), "filter of system calls")


def limit(memory: int) -> None:
    """Bound what the child may use: address space, files and their size; no core is written."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 16 * 2**20),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def main(orders: dict[str, Any]) -> int:
    """Become the child, shut in unless it is trusted; return the exit status."""
    command, environment = orders["command"], orders["environment"]
    _C.prctl(SET_PDEATHSIG, signal.SIGKILL)
    if orders["parent"] != os.getppid():  # it died before
        return 1
    if orders["trusted"]:
        os.chdir(orders["root"])
        limit(orders["memory"])
        os.execve(command[0], command, environment)
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        sys.stderr.write(f"unknown machine {os.uname().machine}")
        return REFUSED
    try:
        shut_in(orders["root"], orders["shown"], machine)
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}")
        return REFUSED
    launcher, own = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(own)
        _C.prctl(SET_PDEATHSIG, signal.SIGKILL)
        if os.read(launcher, 1) != b"!":  # the launcher died before it could be told of
            return 1
        os.close(launcher)
        limit(orders["memory"])
        try:
            forbid_processes(machine)
        except OSError as error:
            sys.stderr.write(f"{error.strerror or error}")
            return REFUSED
        os.execve(command[0], command, environment)
    os.close(launcher)
    os.write(own, b"!")
    # The pipes are the child's alone, so that its end is seen at once.
    for number in (0, 1):
        os.close(number)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) % 256


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
