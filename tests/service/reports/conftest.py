"""What evaluations are made of, and the service that makes them."""

from tests.service.document_stores.conftest import settings, talk, worker  # noqa: F401  # fixtures
from tests.service.evaluations.conftest import lab  # noqa: F401  # fixture
