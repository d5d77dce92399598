"""A worker process of a local run: Beam's own, without what that prints."""

from __future__ import annotations

import logging
import sys

# Where Beam's cloud extra is not installed, its import logs a warning, upon which Python would set up logging to
# standard error; the worker's records go to the command, which writes them without credentials.
logging.getLogger().addHandler(logging.NullHandler())

from apache_beam.runners.worker import sdk_worker, sdk_worker_main  # noqa: E402


def silence_traces() -> None:
    """Keeps Beam from printing the trace of every error that ends a job.

    It logs it as well, and the command says the error in a line. Where standard error is a file on a full disk, the
    print fails, the error is never reported, and the job waits for ever.
    """
    vars(sdk_worker)["print"] = lambda *_, **__: None


if __name__ == "__main__":
    silence_traces()
    sdk_worker_main.main(sys.argv)
