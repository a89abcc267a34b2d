"""Ports for servers that tests start as processes of their own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stores.vector.engines import held_port


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """Free ports of this machine's own address: nobody else is given them meanwhile, who is told one gets it."""
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            port, held = held_port()
            stack.enter_context(held)
            ports.append(port)
        yield ports
