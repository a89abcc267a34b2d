"""A worker beside the application, and what clients do with chatflows and document stores."""

from tests.service.document_stores.conftest import worker  # noqa: F401  # fixtures
from tests.service.flow_upserts.conftest import flows, settings  # noqa: F401
