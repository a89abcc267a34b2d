"""The chunks of the ledger; see `service.document_stores.ledger`."""
