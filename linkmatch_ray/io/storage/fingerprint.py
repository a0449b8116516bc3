"""Numbers that distinguish two versions of a file or object."""


def in_64_bits(number: int) -> int:
    """Returns a time or inode as a signed number of 64 bits, which the ledger and msgpack can hold.

    The highest bits are left out, so that equal numbers stay equal and neighbours differ. Longer numbers occur: a time
    in the year 2300, an inode of a network file system.
    """
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
