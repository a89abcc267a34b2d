"""A running application for published clients."""

from tests.application import settings  # noqa: F401  # fixture
from tests.service.predictions.conftest import _stub, house, live, patience, shelf, stub  # noqa: F401  # fixtures
