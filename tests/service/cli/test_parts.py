"""What a part of `ragstone up` does for the others."""

import subprocess
import sys
from pathlib import Path

import pytest

ASK = """
import os
from pathlib import Path
from service.cli.parts import give_way
give_way({niceness})
group = Path("/proc/self/autogroup")  # empty for a process that belongs to no session's group
print(os.getpriority(os.PRIO_PROCESS, 0), ((group.read_text() if group.exists() else "").split() or ["none"])[-1])
"""


def niceness(given: int, *, session: bool) -> tuple[int, str]:
    """Of a process that gave way so far, and of its session."""
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(niceness=given)],
        cwd=Path(__file__).parents[3],
        start_new_session=session,
        capture_output=True,
        text=True,
        check=True,
    )
    own, group = done.stdout.split()
    return int(own), group


@pytest.mark.skipif(sys.platform != "linux", reason="sessions are scheduled together on Linux")
def test_a_worker_leaves_the_processors_to_others_with_all_of_its_session() -> None:
    before, _ = niceness(0, session=True)
    own, group = niceness(7, session=True)
    assert own == min(before + 7, 19)
    assert group in ("7", "none")


def test_a_worker_in_a_session_of_others_slows_down_nothing_but_itself() -> None:
    before, group_before = niceness(0, session=False)
    assert niceness(7, session=False) == (min(before + 7, 19), group_before)
