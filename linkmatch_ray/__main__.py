"""`python -m linkmatch_ray` is the same program as `linkmatch-ray`; it says so where it lacks what it needs."""

import sys

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.packages import how_to_install, missing
from linkmatch_ray.words import shown

if __name__ == "__main__":
    if lacking := missing():
        print(f"linkmatch-ray: {shown(sys.executable)} lacks packages. Run: {how_to_install(lacking)}", file=sys.stderr)
        sys.exit(ClusterError.exit_code)
    from linkmatch_ray.cli.app import main

    main()
