"""What a parser process may not do: grow, run on, write, open connections, outlive its parent.

These are limits of the kernel, laid on the calling process for good. They bound what a parser that goes wrong, or is
made to by a hostile file, can do; they are no jail: the process still reads what its user may read.
"""

import ctypes
import os
import platform
import resource
import signal
import socket
import sys
from enum import StrEnum
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 1, 38, 22, 2
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_OPEN_FILES = 64
_NEAR = 0.25
"""Of the memory that a process may take, what may be left when a large allocation fails."""

_mapped = 0

# linux/audit.h architecture and the numbers (asm/unistd.h) of: socket, connect, bind, accept, accept4, listen,
# execve, execveat, ptrace, process_vm_readv, process_vm_writev, io_uring_setup, kill, pidfd_getfd, pidfd_send_signal
_DENIED = {
    "x86_64": (0xC000003E, (41, 42, 49, 43, 288, 50, 59, 322, 101, 310, 311, 425, 62, 438, 424)),
    "aarch64": (0xC00000B7, (198, 203, 200, 202, 242, 201, 221, 281, 117, 270, 271, 425, 129, 438, 424)),
}
_EXEC = {"x86_64": (59, 322), "aarch64": (221, 281)}
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # refuse with EPERM


class NetworkCut(StrEnum):
    """How a process was cut off the network."""

    FILTER = "seccomp"
    NAMESPACE = "namespace"
    PYTHON = "python"


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def die_with(parent: int) -> None:
    """Has the kernel kill this process when `parent`, its parent's process id, ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(71)


def bound(*, memory_bytes: int, cpu_seconds: int) -> None:
    """Limits address space to what is mapped now plus `memory_bytes`, and CPU time; no core file, no file writing."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)  # first SIGXCPU, which tells why, then SIGKILL
    if sys.platform == "linux":
        global _mapped  # once in the life of a process
        _mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, _mapped + memory_bytes)


def is_starved() -> bool:
    """Whether this process has come near its address space: what failed then may have failed for want of memory."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if sys.platform != "linux" or limit == resource.RLIM_INFINITY:
        return False
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    peak = int(status.partition("VmPeak:")[2].split()[0]) * 1024
    return peak > limit - _NEAR * (limit - _mapped)


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    """Lowers a limit, never above the one in force."""
    hard = soft if hard is None else hard
    known = resource.getrlimit(kind)[1]
    if known != resource.RLIM_INFINITY:
        soft, hard = min(soft, known), min(hard, known)
    resource.setrlimit(kind, (soft, hard))


def cut_network(*, programs: bool = False) -> NetworkCut:
    """Takes away the network in the strongest way that is possible here, and says which.

    FILTER: the kernel refuses the system calls that make, connect or accept sockets, that start programs or trace other
    processes, and `kill`. It needs no rights and holds on Linux on x86-64 and ARM64, in containers too. With `programs`
    programs may be started; they are bound alike.
    NAMESPACE: an empty network namespace; holds where the process is root or user namespaces are allowed.
    PYTHON: elsewhere (macOS) only Python's own `socket` is disabled; native code could still open a connection.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if _filter(libc, programs):
            return NetworkCut.FILTER
        if libc.unshare(_CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
            return NetworkCut.NAMESPACE
    socket.socket = _no_socket  # type: ignore[assignment,misc]  # the last resort is to take the class away
    return NetworkCut.PYTHON


def _no_socket(*_: object, **__: object) -> None:
    raise PermissionError("parsers have no network")


def _filter(libc: ctypes.CDLL, programs: bool = False) -> bool:
    known = _DENIED.get(platform.machine())
    if known is None:
        return False
    architecture, calls = known
    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    # Each test jumps to the refusal that stands after the allowance at the end.
    allowed = _EXEC[platform.machine()] if programs else ()
    tests = [(_AT_LEAST, _X32), *((_EQUAL, call) for call in calls if call not in allowed)]
    lines += [(code, len(tests) - index, 0, number) for index, (code, number) in enumerate(tests)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
    program = _Program(len(lines), (_Instruction * len(lines))(*(_Instruction(*line) for line in lines)))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(program), 0, 0) == 0)
