"""Files: inputs, lists, result directories and their ledger. No Ray."""
