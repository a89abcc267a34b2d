"""Copies of document stores: the same documents, cut or embedded otherwise, to be tried beside the original."""
