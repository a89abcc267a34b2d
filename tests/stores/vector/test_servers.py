"""The servers that tests start leave nothing behind."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

STARTS = """
import sys, time
from pathlib import Path
from tests.stores.vector.servers import running_chroma

with running_chroma(Path(sys.argv[1])) as place:
    print(place, flush=True)
    time.sleep(600)
"""


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_chroma_server_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    if not Path(sys.executable).with_name("chroma").exists():
        pytest.skip("the Chroma server is not installed: pip install 'ragstone[chroma]'")
    with subprocess.Popen([sys.executable, "-c", STARTS, str(tmp_path)], stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        port = int(tests.stdout.readline().rpartition(":")[2])
        assert listens(port)
        tests.kill()
    for _ in range(600):
        if not listens(port):
            break
        time.sleep(0.1)
    assert not listens(port)
