"""The edge that all features share: who may call, how bodies look, how streams are written."""
