"""A worker, and document stores whose embedder costs nothing."""

from tests.service.document_stores.conftest import embedder, settings, talk, worker

__all__ = ["embedder", "settings", "talk", "worker"]
