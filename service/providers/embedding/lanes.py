"""Worker threads that take small batches of texts, urgent ones first.

Texts wait one by one and a worker takes as many neighbours as make a good batch: what waits when a worker gets free
is computed together, and a lone text is never delayed. `session.run` releases the interpreter lock, so the threads
use all cores. Nothing here is bound to an event loop.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[int]
Compute = Callable[[Sequence[Tokens]], NDArray[np.float32]]

BATCH_TEXTS = 8
BATCH_TOKENS = 256
"""Padded tokens in a batch. Measured (all-MiniLM-L6-v2, one thread, texts/s alone : in eights): 12 tokens 189 : 390,
32 tokens 107 : 157, 128 tokens 35 : 32, 256 tokens 16 : 13. So short texts gain from company and long ones lose."""


@dataclass(slots=True)
class _Request:
    """One caller's texts: rows are filled in by several workers, the last one answers."""

    rows: list[NDArray[np.float32] | None]
    left: int
    answer: "Future[NDArray[np.float32]]" = field(default_factory=Future)


_Item = tuple[_Request, int, Tokens]


class Lanes:
    """Two queues of texts, urgent and bulk, over `threads` bulk workers and half as many that only take urgent texts.

    An urgent text therefore never waits for a bulk batch to end. Bulk workers help with several urgent texts of one
    caller. The lone texts of many callers are left to those who wait for them, in shared batches: two more threads on
    two cores took more from the event loop than they gave (a tenth of the predictions). Threads start with the first
    text and end with `close`.
    """

    def __init__(self, compute: Compute, threads: int) -> None:
        """`compute` gives one row a text and is called by several threads at once."""
        self._compute = compute
        self._threads = threads
        self._urgent: deque[_Item] = deque()
        self._bulk: deque[_Item] = deque()
        self._lock = threading.Lock()
        # Told apart, so that a lone query wakes one thread and not all of them.
        self._urgent_came = threading.Condition(self._lock)
        self._bulk_came = threading.Condition(self._lock)
        self._workers: list[threading.Thread] = []
        self._computing = 0
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether no text waits or is computed."""
        return not (self._computing or self._urgent or self._bulk or self._closed)

    def submit(self, texts: Sequence[Tokens], *, urgent: bool) -> "Future[NDArray[np.float32]]":
        """Queue texts; the future gives their rows in order. A cancelled future's waiting texts are dropped."""
        request = _Request([None] * len(texts), len(texts))
        # Neighbours in the queue share a batch: by length, so that little is padded; longest first, so that
        # the workers end together.
        order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        with self._lock:
            if self._closed:
                raise RuntimeError("the embedder is closed")
            self._start()
            (self._urgent if urgent else self._bulk).extend((request, index, texts[index]) for index in order)
            if urgent:
                self._urgent_came.notify(len(texts))
            if not urgent or len(texts) > 1:
                self._bulk_came.notify_all()
        return request.answer

    def close(self) -> None:
        """End the threads after their present batch; whatever waits is cancelled."""
        with self._lock:
            self._closed = True
            for request, _, _ in (*self._urgent, *self._bulk):
                request.answer.cancel()
            self._urgent.clear()
            self._bulk.clear()
            self._urgent_came.notify_all()
            self._bulk_came.notify_all()
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def _start(self) -> None:
        if self._workers:
            return
        for number in range(self._threads + max(1, self._threads // 2)):
            only_urgent = number >= self._threads
            worker = threading.Thread(target=self._work, args=(only_urgent,), name=f"embed-{number}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self, only_urgent: bool) -> None:
        while batch := self._take(only_urgent):
            try:
                rows = self._compute([tokens for _, _, tokens in batch])
            except BaseException as error:  # noqa: BLE001 - belongs to the callers that wait, the worker goes on
                with self._lock:
                    self._computing -= 1
                    for request, _, _ in batch:
                        _fail(request, error)
                continue
            with self._lock:
                self._computing -= 1
                for (request, index, _), row in zip(batch, rows, strict=True):
                    _fill(request, index, row)

    def _take(self, only_urgent: bool) -> list[_Item]:
        came = self._urgent_came if only_urgent else self._bulk_came
        with self._lock:
            while not self._closed:
                queue = self._choose(only_urgent)
                batch = _batch(queue) if queue else []
                if batch:
                    self._computing += 1
                    return batch
                if not queue:
                    came.wait()
            return []

    def _choose(self, only_urgent: bool) -> deque[_Item]:
        if only_urgent:
            return self._urgent
        # The texts of one caller gain from a second core; lone queries of many callers gain more from a shared batch.
        if self._urgent and len(self._urgent[0][0].rows) > 1:
            return self._urgent
        return self._bulk


def _batch(queue: deque[_Item]) -> list[_Item]:
    batch: list[_Item] = []
    longest = 0
    while queue and len(batch) < BATCH_TEXTS:
        request, _, tokens = queue[0]
        if request.answer.done():  # cancelled, or failed with an earlier batch
            queue.popleft()
            continue
        longest = max(longest, len(tokens))
        if batch and longest * (len(batch) + 1) > BATCH_TOKENS:
            break
        batch.append(queue.popleft())
    return batch


def _fill(request: _Request, index: int, row: NDArray[np.float32]) -> None:
    request.rows[index] = row
    request.left -= 1
    if request.left == 0 and request.answer.set_running_or_notify_cancel():
        request.answer.set_result(np.stack([row for row in request.rows if row is not None]))


def _fail(request: _Request, error: BaseException) -> None:
    if not request.answer.done() and request.answer.set_running_or_notify_cancel():
        request.answer.set_exception(error)
