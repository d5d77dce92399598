"""Runs a planned job on a Beam runner and says how it ended."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from models.datasets.local_threads import threads_runner
from models.handlers.backends import available_threads
from pipeline.graph import build_graph
from pipeline.ledger import LedgerError
from pipeline.markers import OutputBusy, marking_run
from pipeline.options import DEFAULT_RUNNER, only_written_down
from pipeline.planning import RunPlan
from pipeline.progress import ProgressLine
from pipeline.redaction import start_logging
from pipeline.scratch import scratch_folder
from pipeline.sinks import storage
from pipeline.sinks.commit import CommitConflict, check_still_latest
from pipeline.supervision import kill_workers, watching_workers
from pipeline.usage import FAILED
from pipeline.worker import silence_traces

# In Beam 2.77 DirectRunner first tries to download another runner; this is the one that it falls back to.
_LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"

_WORTH_PROCESSES = 1000  # photos; at 600 both kinds of workers take the same time, start-up included

INTERRUPTED = "interrupted; the last committed run is untouched, finished assets are kept"
INTERRUPTED_STATUS = 130  # 128 + SIGINT, as shells have it
_UNTOUCHED = "the last committed run is untouched, finished photos are kept: start it again"

EXPECTED_ERRORS = (LedgerError, CommitConflict, OutputBusy, storage.StorageError)


def run_job(
    plan: RunPlan, options: PipelineOptions, *, all_cores: bool = True, show_progress: bool = True
) -> dict[str, Any] | None:
    """Runs the job to its end; or, with Dataflow's ``--template_location``, only writes down what is to be run.

    Args:
      plan: what to do.
      options: Beam's options; DirectRunner is the default.
      all_cores: whether a local run takes a worker for each core, rather than what ``options`` say.
      show_progress: whether to say on standard error how far a local run is.

    Returns:
      The content of run.json, or None of a job that was only written down: the service begins it after this.

    Raises:
      LedgerError: the counts do not balance; nothing was committed.
      CommitConflict: another run was committed meanwhile.
      BusyError: another run of this machine is writing to the same local folder.
      RuntimeError: the runner failed.
    """
    _check_job_server(options)
    with storage.claimed(storage.join(plan.config.output, "runs")):
        check_still_latest(plan.config.output, plan.run, plan.expected_latest)
        storage.remove_abandoned(plan.config.output)
        _run_on(plan, options, all_cores, show_progress)
    return None if only_written_down(options) else read_run(plan.config.output, plan.run)


def workers_for(photos: int, cores: int) -> tuple[str, int]:
    """Returns which kind of workers a local run takes, one for each core, and how many.

    Processes do not wait for each other's interpreter and do a sixth more photos a second than threads, but each
    takes some seconds to start and holds its own model (docs/BENCHMARKS.md).

    Args:
      photos: to be made pictures of, as far as that is known before they are read.
      cores: that the run may use, at least 1.

    Returns:
      Beam's ``direct_running_mode`` and ``direct_num_workers``.
    """
    if cores == 1:
        return "in_memory", 1
    return "multi_processing" if photos >= _WORTH_PROCESSES else "multi_threading", cores


def _run_on(plan: RunPlan, options: PipelineOptions, all_cores: bool, show_progress: bool) -> None:
    standard = options.view_as(StandardOptions)
    local = (standard.runner or DEFAULT_RUNNER) in (DEFAULT_RUNNER, "FnApiRunner", _LOCAL_RUNNER)
    runner = None
    if local:
        standard.runner = _LOCAL_RUNNER
        direct = options.view_as(DirectOptions)
        if all_cores:
            sure = plan.refresh.new + plan.refresh.outdated
            direct.direct_running_mode, direct.direct_num_workers = workers_for(sure, available_threads())
        if direct.direct_running_mode == "multi_processing":
            # in that mode Beam starts workers of its own kind, by a path that may not have a space in it
            direct.direct_running_mode = "in_memory"
            runner = FnApiRunner(SubprocessSDKEnvironment.from_command_string(_worker_command()))
        elif direct.direct_running_mode == "multi_threading":
            direct.direct_running_mode = "in_memory"
            runner = threads_runner()
    with (
        scratch_folder() as scratch,
        _ending_on_interrupt(scratch),
        marking_run(plan.config.output, plan.run, local=local, handed_over=only_written_down(options)) as marker,
        watching_workers(lambda death: _end(scratch, f"the job failed: {death}; {_UNTOUCHED}", FAILED)),
    ):
        pipeline = beam.Pipeline(runner, options)
        counter = Path(scratch, "progress")
        counter.touch()
        if local:  # all workers see this machine's files
            synced = not storage.syncs_together(storage.join(plan.config.output, "assets"))
            build_graph(pipeline, plan, marker=marker, progress=str(counter), aside=scratch, synced=synced)
        else:
            build_graph(pipeline, plan, marker=marker)
        if local and show_progress:
            with ProgressLine(str(counter), plan.to_do):
                _finish(pipeline)
        else:
            _finish(pipeline)
    if not local:
        # what a lost worker of this machine was writing when the runner started its photos over
        storage.remove_abandoned(plan.config.output)


def _check_job_server(options: PipelineOptions) -> None:
    """Raises RuntimeError if a job server was named and does not answer, before anything is written."""
    portable = options.view_as(PortableOptions)
    if portable.job_endpoint in (None, "", "embed"):
        return
    with grpc.insecure_channel(portable.job_endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(portable.job_server_timeout)
        except grpc.FutureTimeoutError:
            raise RuntimeError(
                f"no job server answers at --job_endpoint={portable.job_endpoint!r} within "
                f"{portable.job_server_timeout} s (--job_server_timeout); start it or name another"
            ) from None


def _worker_command() -> str:
    verbose = logging.getLogger("apache_beam").isEnabledFor(logging.ERROR)
    module = "apache_beam.runners.worker.sdk_worker_main" if verbose else "pipeline.worker"
    return f"{shlex.quote(sys.executable)} -m {module}"


def read_run(output: str, run: str) -> dict[str, Any]:
    """Returns the content of a run's run.json."""
    return json.loads(storage.read_bytes(storage.join(output, "runs", run, "run.json")))


@contextlib.contextmanager
def _ending_on_interrupt(scratch: str) -> Iterator[None]:
    """Ends the process at Ctrl-C.

    A KeyboardInterrupt may be raised inside a library's callback and be lost there, and the job would go on.
    Nothing needs unwinding: files appear whole or not at all, and only a finished run is committed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGINT, lambda *_: _end(scratch, INTERRUPTED, INTERRUPTED_STATUS))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(scratch: str, message: str, status: int) -> NoReturn:
    """Ends the process and its workers at once, whatever their threads wait for."""
    kill_workers()
    shutil.rmtree(scratch, ignore_errors=True)
    os.write(2, f"\npackshot: {message}\n".encode())
    os._exit(status)


def _finish(pipeline: beam.Pipeline) -> None:
    try:
        result = pipeline.run()
        if only_written_down(pipeline.options):
            return
        state = result.wait_until_finish()
    except Exception as error:
        cause = _root(error)
        if isinstance(cause, EXPECTED_ERRORS) and cause is not error:
            raise cause from error
        raise
    if str(state) not in ("DONE", "None"):
        raise RuntimeError(f"the runner ended in state {state}; see its log")


def _root(error: BaseException) -> BaseException:
    """Returns the first of our own errors in a chain of causes, or the last cause."""
    while not isinstance(error, EXPECTED_ERRORS) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return error


def silence_libraries(verbose: bool) -> None:
    """Keeps the libraries' chatter off the terminal, unless it is asked for."""
    start_logging()
    if verbose:
        logging.getLogger().setLevel(logging.INFO)
    if not verbose:
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # the trace of every error that ends a job
        silence_traces()
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
