"""A running application whose agentflows start by a clock, and its worker."""

from tests.service.executions.conftest import desk, runs  # noqa: F401  # fixtures
from tests.service.webhooks.conftest import live, worker  # noqa: F401  # fixtures
