"""How often visitors call chatflows, counted for all processes together."""
