"""Counts boats."""


def tally(boats: list[str]) -> int:
    # every boat counts once
    return len(set(boats))
