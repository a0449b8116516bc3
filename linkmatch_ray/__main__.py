"""`python -m linkmatch_ray` is the same program as `linkmatch-ray`."""

from linkmatch_ray.cli.app import main

if __name__ == "__main__":
    main()
