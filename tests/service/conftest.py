"""The running application for the tests of features."""

from tests.application import (  # noqa: F401  # fixtures
    anonymous,
    app,
    client,
    foreign,
    foreign_workspace,
    key,
    limited,
    resources,
    settings,
    workspace,
)
