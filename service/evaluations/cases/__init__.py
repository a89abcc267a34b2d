"""The rows that an evaluation asks, and the results of its cases."""
