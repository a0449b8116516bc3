"""The program `linkmatch-ray`, and `python -m linkmatch_ray`. If packages are missing, it names them."""

import sys

from linkmatch_ray.cli import signals


def main() -> None:
    """Runs the program: the entry point of the console script."""
    signals.install()
    from linkmatch_ray.errors import ClusterError
    from linkmatch_ray.runtime.cluster.requirements import how_to_install, missing
    from linkmatch_ray.words import shown

    if lacking := missing():
        print(f"linkmatch-ray: {shown(sys.executable)} lacks packages. Run: {how_to_install(lacking)}", file=sys.stderr)
        sys.exit(ClusterError.exit_code)
    from linkmatch_ray.cli.app import main as run

    try:
        run()
    except SystemExit as end:
        signals.end_if_signalled()
        signals.end_at_once(end.code)  # so that nobody waits for a Ray that is not needed
        raise
    finally:
        signals.end_if_signalled()


if __name__ == "__main__":
    main()
