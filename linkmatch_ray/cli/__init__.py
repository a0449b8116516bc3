"""The command line: options in, text or JSON out. Uses only what `linkmatch_ray` offers to every program."""
