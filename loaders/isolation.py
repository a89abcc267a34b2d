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
# The number of seccomp, and of what a process that only computes needs: read, write, close, readv, writev, lseek, mmap,
# mprotect, munmap, mremap, madvise, brk, rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack, sched_yield,
# sched_getaffinity, nanosleep, clock_nanosleep, clock_gettime, clock_getres, gettimeofday, getpid, gettid, getrusage,
# sysinfo, futex, sendto, recvfrom, fcntl, poll or ppoll, epoll_wait, epoll_pwait, epoll_ctl, set_robust_list, rseq,
# restart_syscall, getrandom, membarrier, exit, exit_group
_COMPUTING = {
    "x86_64": (
        317,
        (0, 1, 3, 19, 20, 8, 9, 10, 11, 25, 28, 12, 13, 14, 15, 131, 24, 204, 35, 230, 228, 229, 96, 39, 186, 98, 99,
         202, 44, 45, 72, 7, 271, 232, 281, 233, 273, 334, 219, 318, 324, 60, 231),
    ),
    "aarch64": (
        277,
        (63, 64, 57, 65, 66, 62, 222, 226, 215, 216, 233, 214, 134, 135, 139, 132, 124, 123, 101, 115, 113, 114, 169,
         172, 178, 165, 179, 98, 206, 207, 25, 73, 22, 21, 99, 293, 128, 278, 283, 93, 94),
    ),
}  # fmt: skip
_SET_FILTER, _ALL_THREADS = 1, 1
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


def only_compute() -> bool:
    """Leaves to this process, all of its threads, its memory, clocks and the sockets that it has, and nothing else: no
    file, program, process, thread, socket or signal to others can be made or reached. False where the kernel cannot
    (not Linux, or not x86-64 or ARM64). Nothing can be imported afterwards.
    """
    known = _COMPUTING.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        return False
    number, calls = known
    libc = ctypes.CDLL(None, use_errno=True)
    head = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _DENIED[platform.machine()][0]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    # Each test jumps to the allowance that stands after the refusal at the end.
    tests = [(_EQUAL, len(calls) - index, 0, call) for index, call in enumerate(calls)]
    program = _compiled([*head, *tests, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)])
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(number, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0)


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
    program = _compiled(lines)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(program), 0, 0) == 0)


def _compiled(lines: list[tuple[int, int, int, int]]) -> _Program:
    return _Program(len(lines), (_Instruction * len(lines))(*(_Instruction(*line) for line in lines)))
