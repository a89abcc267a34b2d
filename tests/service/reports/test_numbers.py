"""Figures as people read them."""

import pytest

from service.reports import numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.8333333, "0.833"),
        (0.5, "0.5"),
        (-0.25, "-0.25"),
        (12.345, "12.3"),
        (123.6, "124"),
        (1234.5, "1,234"),
        (0.00012, "0.00012"),
        (-0.0, "0"),
    ],
)
def test_figures_have_the_digits_that_count(value: float, expected: str) -> None:
    assert numbers.figure(value) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.1, "+0.1"), (-0.1, "-0.1"), (0.0, "0"), (1500.0, "+1,500")])
def test_differences_show_their_sign(value: float, expected: str) -> None:
    assert numbers.signed(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.25, "250 ms"), (1.5, "1.5 s"), (180, "3 min"), (119.9, "119.9 s"), (9000, "2 h 30 min")]
)
def test_times_are_told_in_the_unit_that_fits(value: float, expected: str) -> None:
    assert numbers.seconds(value) == expected


def test_chances_are_never_nothing() -> None:
    assert (numbers.chance(0.0001), numbers.chance(0.0412), numbers.percent(0.5), numbers.whole(12345)) == (
        "< 0.001",
        "0.041",
        "50 %",
        "12,345",
    )
