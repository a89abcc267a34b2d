"""Source numbers, alone and several at once, in whatever way models write them."""

import pytest

from service.answers.markers import Renumbering, numbers_of, renumbered


@pytest.mark.parametrize(
    ("marker", "numbers"),
    [("[1]", [1]), ("[2, 3]", [2, 3]), ("[4-6]", [4, 5, 6]), ("[1; 3–4, 1]", [1, 3, 4]), ("[6-4]", [])],
)
def test_a_marker_names_its_numbers_once(marker: str, numbers: list[int]) -> None:
    assert numbers_of(marker) == numbers


def test_a_range_without_end_names_few() -> None:
    assert len(numbers_of("[1-999]")) <= 51


@pytest.mark.parametrize(
    ("text", "kept", "dropped"),
    [
        ("a [1] b [2].", "a [5] b [9].", "a [5] b [9]."),
        ("a [1, 2]", "a [5, 9]", "a [5, 9]"),
        ("a [1-2]", "a [5, 9]", "a [5, 9]"),
        ("a [2, 7]", "a [9, 7]", "a [9]"),
        ("a [7–8] [x] [2019]", "a [7–8] [x] [2019]", "a [x] [2019]"),
    ],
)
def test_numbers_become_others_wherever_a_marker_names_them(text: str, kept: str, dropped: str) -> None:
    assert renumbered(text, [5, 9], strays=True) == kept
    assert renumbered(text, [5, 9], strays=False) == dropped


def test_a_number_that_stands_for_nothing_now_goes_alone() -> None:
    assert (
        renumbered("[1] a [1, 2], b[1]: c [0, 2] d [9] e  [1].", [0, 3], strays=True) == " a [3], b: c [0, 3] d [9] e."
    )
    assert renumbered(" " * 200_000 + "[x]", [0], strays=True).endswith(" [x]")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pieces_become_what_the_whole_text_does(size: int) -> None:
    text = "Thirty [1] days [2, 3]; `days[0]` [1] [4-"
    pieces = Renumbering(lambda: [0, 5, 0])
    said = "".join(pieces.take(text[at : at + size]) for at in range(0, len(text), size)) + pieces.rest()
    assert " ".join(said.split()) == "Thirty days [5]; `days[0]` [4-"
