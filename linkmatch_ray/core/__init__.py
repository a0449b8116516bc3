"""The pure core: bytes and a restrictions index in, records and verdicts out. No Ray, no files, no clock."""
