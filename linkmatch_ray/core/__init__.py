"""The pure core: bytes and an index in, verdicts and lines out. No Ray, no files, no clock.

The terms of the package, in order of containment:

    input    what the user names: a path, a directory, a glob or a URL; it stands for one file or many
    file     one file or object of the plan, read once, known by its path or URL and its fingerprint
    range    the lines of a large file that begin between two bytes of it; any other file has one range
    unit     what one task reads: whole files in a row, or one range
    window   the bytes of a range that are held in the buffer and scanned at a time
    record   one JSON value that is looked up: a line, an element of an array, or a document
    part     what a unit gives at a time: bytes for the outputs, and pieces that say whose they are
    piece    one file's share of a part, or that of whole small files in a row: what the ledger commits
    span     where the bytes of a piece lie in one output, and their digest
    output   one list of lines that the job writes: matched, unmatched or quarantine
    entry    one line of the quarantine: input that could not be read; of a list, one restriction
"""
