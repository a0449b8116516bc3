"""Random search, seeded: what draws inputs, what compares, shared by the tests (fixed seeds) and `scripts/fuzz`."""
