"""The streams that keys have opened: a key that is ended reads nothing more."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

End = Callable[[], None]


class Holders:
    """The open streams of this process by the key that opened them. `notify` is the callback for the signals channel
    `records.CHANNEL`."""

    def __init__(self) -> None:
        """Nobody reads."""
        self._reading: defaultdict[str, set[End]] = defaultdict(set)

    @contextmanager
    def reading(self, key: UUID, end: End) -> Iterator[None]:
        """Call `end` when the key is ended, while the block runs."""
        name = str(key)
        self._reading[name].add(end)
        try:
            yield
        finally:
            self._reading[name].discard(end)
            if not self._reading[name]:
                del self._reading[name]

    def notify(self, payload: str) -> None:
        """A key, named by its id, was ended."""
        for end in list(self._reading.get(payload, ())):
            end()
