"""Ids in their order from a backend that cannot sort by them."""

from collections.abc import Sequence
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.vector.order import SPACE, place, walk

KEYS = st.text(alphabet=st.sampled_from("09az-A~_ \0ä苹🪨"), max_size=14) | st.text(max_size=12)


@given(KEYS, KEYS)
def test_places_never_fall_as_ids_rise(first: str, second: str) -> None:
    low, high = sorted([first, second])
    assert 0 <= place(low) <= place(high) < SPACE


def test_places_are_exact_as_floats_and_tell_numbers_of_ten_digits_apart() -> None:
    assert float(SPACE - 1) == SPACE - 1 < 2**53
    assert place("0000000009") < place("0000000010") < place("9999999999")


class Shelf:
    """Ids by place, given out in the order that they came in."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys
        self.reads = 0

    async def read(self, low: int, high: int, most: int | None) -> list[str]:
        self.reads += 1
        return [key for key in self.keys if low <= place(key) < high][:most]


@given(st.lists(KEYS, unique=True, max_size=60), st.integers(1, 7))
async def test_walking_meets_every_id_once_in_order(keys: list[str], limit: int) -> None:
    shelf, met, after = Shelf(keys), [], ""
    while page := await walk(shelf.read, after, limit):
        assert len(page) <= limit
        met += page
        after = page[-1]
    assert met == sorted(key for key in keys if key)


@pytest.mark.parametrize(
    "keys",
    [[f"{number:010d}" for number in range(20_000)], [uuid4().hex for _ in range(20_000)]],
    ids=["numbers", "hashes"],
)
async def test_a_page_takes_few_reads_however_many_ids_there_are(keys: list[str]) -> None:
    shelf = Shelf(keys)
    page = await walk(shelf.read, sorted(keys)[5_000], 100)
    assert page == sorted(keys)[5_001:5_101]
    assert shelf.reads < 15


async def test_a_limit_of_nothing_reads_nothing() -> None:
    shelf = Shelf(["a"])
    assert await walk(shelf.read, "", 0) == []
    assert shelf.reads == 0
