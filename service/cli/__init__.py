"""The command `ragstone`: a file a verb, loaded only when it is called."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code, as `service.cli.exits` lists them."""
    from service.cli.run import run

    return run(sys.argv[1:] if arguments is None else arguments)
