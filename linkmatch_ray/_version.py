"""Read by the build, and below the rest of the package, which is imported lazily."""

__version__ = "0.1.0"
