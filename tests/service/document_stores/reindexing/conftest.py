from tests.service.document_stores.conftest import *  # noqa: F403  # fixtures
