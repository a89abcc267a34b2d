"""Logging of a process: one line a record on stderr, quiet about what a library does by itself."""

import logging
import sys
import time

QUIET = (
    "uvicorn",
    "uvicorn.error",
    "procrastinate",
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "asyncio",
    "openai",
    "anthropic",
    "google_genai",
)
"""Loggers that are heard from WARNING on, unless everything is wanted. HTTP libraries say whole addresses, which
may hold keys."""


class _Lines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO worker ragstone.worker: what happened`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def configure_logging(part: str, level: str) -> None:
    """Log to stderr from `level` (debug, info, warning, error) on; `part` names the process in each line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(f"%(asctime)s %(levelname)s {part} %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    if level != "debug":
        for name in QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)
