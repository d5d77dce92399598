"""Beam's pool of Python workers, for several TaskManagers of one machine.

Each TaskManager counts its workers from one, and Beam's pool keeps them by that number alone: when the first of two
TaskManagers gives its worker back, the pool ends the worker of the second, which waits for it for three minutes and
fails. Where every TaskManager has a pool of its own, as beside each in Kubernetes, Beam's serves as it is:
``python -m apache_beam.runners.worker.worker_pool_main --service_port PORT``.

Here no worker is ended by number. A worker ends by itself when its connection does, which is when its TaskManager gives
it back, and also when that TaskManager is killed.
"""

from __future__ import annotations

import argparse
import logging
import signal
import threading

from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

_LOGGER = logging.getLogger("worker_pool")


class SharedWorkerPool(BeamFnExternalWorkerPoolServicer):
    """A pool whose workers are told apart by their process rather than by the number that was asked for."""

    def StartWorker(self, start_worker_request, unused_context):
        answer = super().StartWorker(start_worker_request, unused_context)
        process = self._worker_processes.pop(start_worker_request.worker_id, None)
        if process is not None:
            self._worker_processes[f"process {process.pid}"] = process
            endpoint = start_worker_request.control_endpoint.url
            threading.Thread(target=self._see_off, args=(process, endpoint), daemon=True).start()
        return answer

    def StopWorker(self, stop_worker_request, unused_context):
        return beam_fn_api_pb2.StopWorkerResponse()

    def _see_off(self, process, endpoint: str) -> None:
        _LOGGER.info("worker %d works for %s", process.pid, endpoint)
        for line in process.stdout:  # a pipe that nobody reads would stop the worker some day
            _LOGGER.info("worker %d: %s", process.pid, line.decode(errors="replace").rstrip())
        status = process.wait()
        _LOGGER.info("worker %d ended with status %d", process.pid, status)


def main() -> None:
    """Serves until it is told to end; its workers end with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service_port", type=int, required=True, help="port to listen at")
    port = parser.parse_args().service_port
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    address, server = SharedWorkerPool.start(use_process=True, port=port)
    _LOGGER.info("listening at %s", address)
    stop.wait()
    server.stop(0)


if __name__ == "__main__":
    main()
