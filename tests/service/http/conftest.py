"""The application on a socket."""

from tests.service.predictions.conftest import live, patience  # noqa: F401  # fixture
