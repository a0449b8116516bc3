"""Small jobs at a URL as large ones: tasks write their parts themselves, and commits come often."""


def setup():
    """For `worker_process_setup_hook`, and for the driver."""
    from linkmatch_ray.io.results.bucket import Bucket
    from linkmatch_ray.runtime.jobs import worker

    worker.STAGED_BYTES_MIN = 1 << 13
    Bucket.commit_seconds = 0.2
