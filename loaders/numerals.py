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
_TYPED = 3
"""Decimals beyond those that a format shows: more come from computing."""
_LITERALS = frozenset("$€£¥%+ -()")


def shown(value: float, code: str) -> str | None:
    """A number in a format: percents, currency, unit, and rounded where it has many more decimals, as what is computed;
    a few more than are shown were typed, and stay. Without separators of thousands, and with a minus where it is
    negative. None where the format changes nothing, or is too rich for that: write the number as it is.
    """
    found = _parts(code)
    if found is None:
        return None
    before, decimals, shift, after = found
    text = repr(abs(value))
    fraction = text.partition(".")[2].rstrip("0")
    if not shift and text.replace(".", "").isdigit() and len(fraction) <= decimals + _TYPED:
        if not before and not after:
            return None
        number = text if len(fraction) > decimals else format(abs(value), f".{decimals}f")
    else:
        try:
            number = str(Decimal(text).scaleb(shift).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
        except InvalidOperation:  # nan, infinite, or beyond what a cell holds
            return None
    return f"{'-' if value < 0 and number.strip('0.') else ''}{before}{number}{after}"


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
