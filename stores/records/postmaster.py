"""The file `postmaster.pid` and the process it names, which may be dead, or somebody else's by now."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PID_FILE = "postmaster.pid"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says: the server's pid, and "starting", "ready", "stopping" or "" (just born)."""

    pid: int
    status: str

    @classmethod
    def read(cls, data: Path) -> "Postmaster | None":
        """The postmaster that the data directory's file names; None without a file. Pid 0 when the file is broken."""
        try:
            lines = (data / PID_FILE).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return None
        # line 1 is the pid, line 8 the status
        if not lines or not lines[0].strip().lstrip("-").isdigit():
            return cls(0, "")
        return cls(abs(int(lines[0])), lines[7].strip() if len(lines) > 7 else "")


def is_postmaster(pid: int, data: Path) -> bool:
    """True when `pid` lives and was started as the Postgres of this data directory."""
    return f"/postgres -D {data} -c " in _command_line(pid)


def number_taken(pid: int) -> bool:
    """True when a process has this number, whoever's it is, even one that ended and waits for its parent to notice."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _command_line(pid: int) -> str:
    """The words of a process's command line with blanks between; empty when it is gone or a zombie."""
    if sys.platform == "linux":
        try:
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).replace("\0", " ").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return ""
    return subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
