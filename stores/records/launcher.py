"""A program between the supervisor and Postgres: it gives up root, ties the child to its parent, and executes it.

Run as `python -I -S launcher.py ORDER COMMAND...`, where ORDER is the JSON of an `Order`. It uses the standard library
only. The work must be done in the child, where Python code between fork and exec would not be safe beside threads.

Capabilities (Linux): Postgres refuses to run as root, so a supervisor that is root starts it as another user. When that
user may not walk through the folders above the binaries or the data (a checkout in `/root`), the child keeps the
smallest capability that helps, as an ambient one: CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where that is not enough.
"""

import ctypes
import json
import os
import signal
import sys
from typing import TypedDict

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAP_SETPCAP = 8
CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


class Order(TypedDict):
    """What the launcher shall do before it executes the command."""

    parent: int  # pid of the supervisor: when it is gone already, nothing is started
    signal: int  # sent to the child by the kernel when the supervisor dies (Linux)
    uid: int | None  # user to become, None to stay
    gid: int | None
    needs: list[tuple[str, int]]  # paths with the access (os.R_OK | ...) that the child must have to them


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _Kernel:
    """The three system calls that the standard library does not offer."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def prctl(self, option: int, value: int, extra: int = 0) -> None:
        arguments = [ctypes.c_ulong(number) for number in (value, extra, 0, 0)]
        if self._libc.prctl(ctypes.c_int(option), *arguments) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}) failed")

    def permitted(self) -> int:
        data = (_Data * 2)()
        header = _Header(_CAPABILITY_VERSION_3, 0)
        if self._libc.capget(ctypes.byref(header), data) != 0:
            raise OSError(ctypes.get_errno(), "capget failed")
        return int(data[0].permitted)

    def set_capabilities(self, permitted: int, active: int) -> None:
        data = (_Data * 2)(_Data(active, permitted, active), _Data(0, 0, 0))
        header = _Header(_CAPABILITY_VERSION_3, 0)
        if self._libc.capset(ctypes.byref(header), data) != 0:
            raise OSError(ctypes.get_errno(), "capset failed")


def _reachable(needs: list[tuple[str, int]]) -> str | None:
    """The first path to which this process lacks the access, or None."""
    for path, mode in needs:
        if not os.access(path, mode, effective_ids=os.access in os.supports_effective_ids):
            return path
    return None


def _become(order: Order) -> None:
    """Change user and group for good, keeping no capability, or the one that is needed to reach `needs`."""
    uid, gid = order["uid"], order["gid"]
    if uid is None or gid is None:
        return
    kernel = _Kernel() if sys.platform == "linux" else None
    os.setgroups([])
    os.setgid(gid)
    if kernel:
        kernel.prctl(PR_SET_KEEPCAPS, 1)
        if kernel.permitted() & 1 << CAP_SETPCAP:
            # Postgres asks access(2) for its own binary, which forgets capabilities without this bit
            kernel.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setuid(uid)
    if not kernel:
        return
    kept = kernel.permitted() & (1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH)
    kernel.set_capabilities(kept, 0)
    for capability in (None, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        active = 0 if capability is None else 1 << capability
        if active & ~kept:
            continue
        kernel.set_capabilities(kept, active)
        if _reachable(order["needs"]) is None:
            kernel.set_capabilities(active, active)
            if capability is not None:
                kernel.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
            return
    kernel.set_capabilities(0, 0)


def main(arguments: list[str]) -> None:
    """Follow the order and become the command; leaves with a message on stderr when that cannot be."""
    order: Order = json.loads(arguments[0])
    command = arguments[1:]
    os.umask(0o077)
    os.chdir("/")
    try:
        _become(order)
    except OSError as error:
        sys.exit(f"could not become user {order['uid']}: {error}")
    missing = _reachable(order["needs"])
    if missing is not None:
        sys.exit(f"user {os.geteuid()} has no access to {missing}")
    if sys.platform == "linux":
        # Last of all: a change of user or capabilities takes the parent-death signal away.
        _Kernel().prctl(PR_SET_PDEATHSIG, order["signal"])
        if os.getppid() != order["parent"]:
            sys.exit("the supervisor is gone")
    # The supervisor may ignore signals; Postgres must not inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - the whole purpose


if __name__ == "__main__":
    main(sys.argv[1:])
