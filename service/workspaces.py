"""The workspace that every installation has; the first migration makes it."""

from uuid import UUID

DEFAULT_WORKSPACE = UUID("00000000-0000-4000-8000-000000000001")
