"""A program that confines itself and then becomes another one: a JVM that runs contract code of others.

It is started as a script by ``launching`` with one argument, JSON (see ``main``), and imports nothing but the
standard library. On Linux it ends with its parent, has no network, starts no program, sees no other process
and none of the machine's files but those named, read-only. What the machine does not allow is what ``level``
is for:

    files      namespaces of its own for users, processes, network and files
    network    no network, no other program; the machine's files as the node's user sees them
    none       bounds on memory and files only, on every POSIX system
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import resource
import signal
import sys
from pathlib import Path
from typing import Any, Final

LEVELS: Final = ("files", "network", "none")

_CLONE: Final = {"ns": 0x20000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000}
_CLONE_NET: Final = 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 8, 32, 4096
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_MNT_DETACH: Final = 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 1, 38, 22
_SECCOMP_MODE_FILTER: Final = 2
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_EXECVE: Final = {"x86_64": (0xC000003E, 59), "aarch64": (0xC00000B7, 221)}
"""How the kernel names this machine's calls (AUDIT_ARCH), and the number of ``execve``."""
_X32_BIT: Final = 0x40000000
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_NOBODY: Final = 65_534
_DEVICES: Final = ("/dev/null", "/dev/random", "/dev/urandom")


def main(text: str) -> None:
    """Confine this process as ``text`` says and become its command.

    ``level``; ``command``, its program and arguments; ``read``, paths it may read; ``folder``, an empty one;
    bounds: ``address_space`` and ``file_size`` in bytes, ``files`` open at one time.

    In the level ``files`` it may write nothing of the machine's: ``/tmp`` is memory, in ``folder``.
    """
    told = json.loads(text)
    _die_with_parent()
    if told["level"] == "files":
        _enter_namespaces(_CLONE_NET | sum(_CLONE.values()))
        _become_child()
        # Java copies each jar of a transaction there.
        _hide_files(told["read"], told["folder"], 4 * told["file_size"])
    elif told["level"] == "network":
        _enter_namespaces(_CLONE_NET | _CLONE["user"] | _CLONE["ipc"])
    _bound(told)
    command, environment = told["command"], {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    if sys.platform != "linux" or told["level"] == "none":
        os.execve(command[0], command, environment)  # noqa: S606 - a JVM
    program = os.open(command[0], os.O_RDONLY)
    _start_no_programs()
    # By its descriptor, which is another call than the one that is refused from now on.
    os.execve(program, command, environment)  # noqa: S606 - a JVM


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return
    parent = os.getppid()
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        os._exit(1)


def _enter_namespaces(flags: int) -> None:
    user, group = os.getuid(), os.getgid()
    _check(_libc().unshare(flags), "unshare")
    # Nobody in there: whoever becomes another program so loses every capability.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_NOBODY} {group} 1")


def _become_child() -> None:
    """Go on as the first process of the new namespace; this one waits and ends as that does."""
    child = os.fork()
    if child == 0:
        _die_with_parent_of_namespace()
        return
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _die_with_parent_of_namespace() -> None:
    _check(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if each is None else os.fsencode(each) for each in (source, target, kind, data)]
    source_, target_, kind_, data_ = encoded
    _check(_libc().mount(source_, target_, kind_, flags, data_), f"mount {target}")


def _hide_files(read: list[str], folder: str, size: int) -> None:
    """Make a root of nothing but what is named."""
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    root = Path(folder, "root")
    root.mkdir()
    _mount("tmpfs", str(root), "tmpfs", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, f"size={size},mode=0755")
    for path in (*_DEVICES, *read):
        _show(path, root, read_only=path not in _DEVICES)
    for link in ("/lib", "/lib64", "/bin"):
        # Where these are links into /usr, whoever is linked against them looks here.
        if os.path.islink(link) and not root.joinpath(link[1:]).exists():
            root.joinpath(link[1:]).symlink_to(os.readlink(link))
    root.joinpath("tmp").mkdir(exist_ok=True)
    proc = root / "proc"
    proc.mkdir()
    with contextlib.suppress(OSError):
        # Refused where the machine hides parts of its own.
        _mount("proc", str(proc), "proc", _MS_NOSUID | _MS_NODEV)
    os.chdir(root)
    _check(_libc().syscall(_PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    _check(_libc().umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def _show(path: str, root: Path, *, read_only: bool) -> None:
    target = root / path.lstrip("/")
    if target.exists():
        return
    if Path(path).is_dir():
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount(path, str(target), None, _MS_BIND | _MS_REC)
    if read_only:
        flags = os.statvfs(path).f_flag & (_MS_NOSUID | _MS_NODEV | os.ST_NOEXEC)
        _mount(path, str(target), None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | flags)


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def _start_no_programs() -> None:
    """Have ``execve`` refused in this process and all that it starts (seccomp, classic BPF).

    A JVM needs no other program. Code in it could start as many as it likes otherwise: each has the bounds of
    this process for itself. Whoever brings machine code of their own may find another call. On machines whose
    calls are not known here nothing is refused.
    """
    if platform.machine() not in _EXECVE:
        return
    architecture, execve = _EXECVE[platform.machine()]
    load, equal, at_least, result = 0x20, 0x15, 0x35, 0x06
    program = (
        (load, 0, 0, 4),  # the architecture
        (equal, 0, 4, architecture),
        (load, 0, 0, 0),  # the call
        (at_least, 2, 0, _X32_BIT),
        (equal, 2, 0, execve),
        (result, 0, 0, _ALLOW),
        (result, 0, 0, _KILL),
        (result, 0, 0, _REFUSE),
    )
    instructions = (_Instruction * len(program))(*(_Instruction(*each) for each in program))
    told = _Filter(len(program), instructions)
    _check(_libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0), "seccomp")


def _bound(told: dict[str, Any]) -> None:
    if sys.platform == "linux":
        _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    for name, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, told["file_size"]),
        (resource.RLIMIT_NOFILE, told["files"]),
        (resource.RLIMIT_AS, told["address_space"]),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(name, (most, most))


if __name__ == "__main__":
    main(sys.argv[1])
