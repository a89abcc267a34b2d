"""The application on a socket."""

from tests.service.predictions.conftest import live  # noqa: F401  # fixture
