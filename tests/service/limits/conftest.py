"""A worker, document stores whose embedder costs nothing, and the application on a socket."""

from tests.service.idempotency.conftest import (  # noqa: F401  # fixtures
    _stub,
    embedder,
    house,
    live,
    settings,
    shelf,
    stub,
    talk,
    worker,
)
