"""A worker beside the application, and what clients do with chatflows."""

from tests.service.flow_upserts.conftest import flows, settings, worker  # noqa: F401  # fixtures
