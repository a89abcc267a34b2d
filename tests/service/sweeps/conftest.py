"""A running application with a worker, and what evaluations are made of."""

from tests.service.document_stores.conftest import settings, talk, worker
from tests.service.evaluations.conftest import lab

__all__ = ["lab", "settings", "talk", "worker"]
