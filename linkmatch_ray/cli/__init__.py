"""The command line: options in, text or JSON out. Uses only the public functions of `linkmatch_ray`."""
