"""The ledger: rows that say which document became which chunks, and which chunk is where.

Everything else that knows of chunks (vectors, keyword index) is derived from it and can be rebuilt.
"""
