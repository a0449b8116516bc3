"""Numbers by which two versions of a file or object are told apart."""


def in_64_bits(number: int) -> int:
    """A time or inode that ledger and msgpack can hold: beyond 64 bits with a sign the highest are left out, so that
    equal ones stay equal and neighbours differ (a file of the year 2300, an inode of a network file system)."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
