"""The process that becomes another program: it reads what to run, binds itself, and gives its place to the program.

The program reads its input from the socket and writes its output to it. It has no network, writes no files, and is
bounded like a parser; its messages go nowhere.
"""

import json
import os
import resource
import sys

from loaders import isolation
from loaders.child import LENGTH, read_exactly


def main(channel: int) -> int:
    """Runs the one program that the file descriptor `channel` asks for; returns only when it cannot be run."""
    isolation.die_with(os.getppid())
    request = json.loads(read_exactly(channel, LENGTH.unpack(read_exactly(channel, LENGTH.size))[0]))
    quiet = os.open(os.devnull, os.O_WRONLY)
    for target, origin in ((0, channel), (1, channel), (2, quiet)):
        os.dup2(origin, target)
    os.closerange(3, quiet + 1)
    isolation.bound(memory_bytes=request["memory_bytes"], cpu_seconds=request["cpu_seconds"])
    isolation.cut_network(programs=True)
    if sys.platform == "linux":  # what this process has mapped does not count for the one it becomes
        resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"], request["memory_bytes"]))
    try:
        arguments = [request["program"], *request["arguments"]]
        os.execve(request["program"], arguments, {**os.environ, **request["variables"]})  # noqa: S606  # no shell
    except OSError:
        return NOT_RUN


NOT_RUN = 127
"""Exit code of a program that could not be started."""
