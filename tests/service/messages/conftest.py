"""Conversations that were had, and a model that writes them."""

from tests.service.predictions.conftest import House, _stub, house, live, patience, shelf, stub  # noqa: F401  # fixtures
