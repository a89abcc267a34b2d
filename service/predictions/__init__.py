"""Predictions: questions to a chatflow, answered whole or as a stream, remembered once they are answered."""
