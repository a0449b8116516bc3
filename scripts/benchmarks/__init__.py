"""The benchmark behind `scripts/bench`: corpora, contenders, measurement, tables."""
