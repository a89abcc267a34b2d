"""Document stores as portable archives: one file with everything but secrets. FORMAT.md describes it."""
