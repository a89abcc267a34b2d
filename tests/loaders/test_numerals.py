"""Numbers of spreadsheets as their cells show them."""

import pytest

from loaders.numerals import shown


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.125, "0.0%", "12.5%"),
        (0.92, "0%", "92%"),
        (1234.5, '"$"#,##0.00_);[Red]\\("$"#,##0.00\\)', "$1234.50"),
        (-1234.5, '"$"#,##0.00_);[Red]\\("$"#,##0.00\\)', "-$1234.50"),
        (1234.5, "[$€-407] #,##0.00", "€1234.50"),
        (1234.567, '#,##0.00\\ "€"', "1234.567 €"),
        (1234.5678912, '#,##0.00\\ "€"', "1234.57 €"),
        (2.0, "_-* #,##0.00 €_-", "2.00 €"),
        (1_500_000, '0.0,,"M"', "1.5M"),
        (12, '0 "kg"', "12 kg"),
        (3, "\\1\\.0#", "1.3"),
        (0.0000005, "0.00%", "0.00%"),
        (0.00005, "0.00%", "0.01%"),
        (200 / 3, "0.00", "66.67"),
        (-1e-9 / 3, "0.00", "0.00"),
        (142.821, "0.00", None),
        (550.0, "#,##0.00", None),
        (5, "General", None),
        (7, "@", None),
        (0.5, "# ?/?", None),
        (1e10, "0.00E+00", None),
        (43831, "yyyy-mm-dd", None),
        (5, '0 "dollars and" .00 "cents"', None),
        (float("inf"), "0.00", None),
        (1e300, "0.00", None),
    ],
)
def test_a_number_has_the_percent_the_currency_and_the_unit_of_its_format(
    value: float, code: str, text: str | None
) -> None:
    assert shown(value, code) == text
