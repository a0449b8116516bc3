"""Files: listing and reading them, the result directory and its ledger. No Ray."""
