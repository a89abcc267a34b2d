"""Numbers as the cells of a spreadsheet show them, by the codes of their formats."""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

GENERAL = "General"
BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "#,##0", 6: "#,##0", 7: "#,##0.00", 8: "#,##0.00", 9: "0%",
    10: "0.00%", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 41: "#,##0", 42: "#,##0", 43: "#,##0.00",
    44: "#,##0.00",
}  # fmt: skip
"""Codes that workbooks do not write down. Which currency some of them show depends on the reader, so it is left out."""

_TOKENS = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]|(?P<nothing>\[[^\]]*\]|_.|\*.)'
    r"|(?P<digits>[#0?][#0?,]*(?:\.[#0?]*)?,*|\.[#0?]+)|(?P<end>;)|(?P<other>.)",
    re.DOTALL,
)
_LITERALS = frozenset("$€£¥%+ -()")


def shown(value: float, code: str) -> str | None:
    """A number in a format: its decimals, percents, currency and unit; without separators of thousands, and with a
    minus where it is negative. None where a format is too rich for that (or says nothing): write the number as it is.
    """
    found = _parts(code)
    if found is None:
        return None
    before, decimals, shift, after = found
    text = repr(value)
    if not shift and "e" not in text and "n" not in text and not text.endswith("5"):
        quick = format(abs(value), f".{decimals}f")  # many times as fast, and right where the value is no half
        return f"{'-' if value < 0 and quick.strip('0.') else ''}{before}{quick}{after}"
    try:
        number = Decimal(repr(float(value))).scaleb(shift).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    except InvalidOperation:  # nan, infinite, or beyond what a cell holds
        return None
    minus = "-" if number < 0 else ""
    return f"{minus}{before}{abs(number)}{after}"


@lru_cache(maxsize=1024)
def _parts(code: str) -> tuple[str, int, int, str] | None:
    """What stands before a number, its decimals, by how many powers of ten it is shifted, what stands behind it."""
    before = after = ""
    digits = ""
    for token in _TOKENS.finditer(code):
        kind, text = token.lastgroup, token.group(token.lastgroup or 0)
        if kind == "end":
            break
        if kind == "digits":
            if digits:
                return None
            digits = text
        elif kind != "nothing":
            if kind == "other" and text not in _LITERALS:
                return None
            if digits:
                after += text
            else:
                before += text
    if not digits:
        return None
    _, _, fraction = digits.partition(".")
    thousands = len(digits) - len(digits.rstrip(","))
    shift = 2 * (before + after).count("%") - 3 * thousands
    kept = str.maketrans("", "", "()-+")
    return before.translate(kept).strip(), len(fraction.rstrip(",")), shift, after.translate(kept).rstrip()
