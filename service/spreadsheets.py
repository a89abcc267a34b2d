"""Texts in CSV that a spreadsheet opens."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets begin formulas with, in wide forms too."""


def harmless(text: str) -> str:
    """The text; with an apostrophe before it where a spreadsheet would take it for a formula and calculate it.

    Source: OWASP, CSV Injection.
    """
    return f"'{text}" if text.startswith(FORMULA) else text
