"""The token for a cluster that asks for one: this user's, from the places where Ray looks for it.

Ray sends the token only with RAY_AUTH_MODE=token, and then to every address, asked or not. This module sends it to a
cluster that asks, because the user named that cluster and gives it code and data anyway. It does not send the token to
a cluster that does not ask, or if RAY_AUTH_MODE is set to something else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from linkmatch_ray.errors import ClusterError
from linkmatch_ray.runtime.session import ray_internals
from linkmatch_ray.runtime.session.ray_internals import AUTH_MODE
from linkmatch_ray.words import shown


def token_remedy() -> str:
    """Returns what to do if a token is missing or wrong."""
    mode = os.environ.get(AUTH_MODE, "token")
    unset = f"Unset {AUTH_MODE}, which is {shown(mode)} here, and put" if mode.lower() != "token" else "Put"
    return (
        f"{unset} the cluster's token (`ray get-auth-token` prints it on the head node) into RAY_AUTH_TOKEN, into the"
        " file that RAY_AUTH_TOKEN_PATH names, or into ~/.ray/auth_token."
    )


def token_to_lend() -> str | None:
    """Returns the token for a cluster that asks; None without one, or if the user has set RAY_AUTH_MODE."""
    return None if AUTH_MODE in os.environ else ray_internals.token()


@contextmanager
def let_in(address: str, where: str) -> Iterator[None]:
    """Makes Ray send the token in the meantime, if the cluster at an address asks for it.

    Args:
        where: The name of the cluster in messages.

    Raises:
        ClusterError: The cluster asks, and the token is missing or wrong. Ray itself tries a wrong one for 20 seconds.
    """
    gcs = ray_internals.as_joined(address)
    if gcs is None or not ray_internals.is_refused(gcs):
        yield
    elif token_to_lend() is None:
        raise ClusterError(f"{where}: refuses access, because the token is missing or wrong. {token_remedy()}")
    else:
        with ray_internals.sending_the_token():
            if ray_internals.is_refused(gcs):
                raise ClusterError(f"{where}: refuses this user's token. {token_remedy()}")
            yield
