"""A worker, document stores whose embedder costs nothing, and a way for their requests."""

from tests.service.document_stores.conftest import embedder, settings, talk, worker

__all__ = ["embedder", "settings", "talk", "worker"]
