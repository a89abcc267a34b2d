"""What examples in the OpenAPI document have in common."""

EXAMPLE_ID = "6f0e6a1c-5a1e-4f8e-9a53-0d4f3b1c2d7e"
"""The id of things in examples."""
