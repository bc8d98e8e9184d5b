"""Many runs on several processes: resumable, and safe beside other processes that work on the same output.

Each worker walks through the same list of runs and does those that are neither done nor in the hands of another
process; file locks say which, and they end with the process that held them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from engines.cores import usable_cores
from engines.errors import TrainingError
from engines.training.evaluation.prepare import LocatedSet, Prepared, prepare
from engines.training.evaluation.results import ResultFolder, Run
from engines.training.evaluation.runner import EvaluateOptions, failed, measure_inference_ms, run_fingerprint, run_once

OnStep = Callable[[str, int, int], None]
"""(name of the step, done, total); called on the thread that executes the plan."""


@dataclass(frozen=True)
class Plan:
    """Everything that is to be done."""

    runs: tuple[Run, ...]
    sets: tuple[LocatedSet, ...]
    options: EvaluateOptions
    source: str
    """Hash of the source at the start."""
    output: Path
    cache: Path
    jobs: int = 1
    accept_other_source: bool = False
    """Results that were made by other versions of the source, data or options count as done."""
    retry_failed: bool = False

    def data(self, run: Run) -> LocatedSet:
        """The data set of a run."""
        return next(data for data in self.sets if data.labels.name == run.dataset)

    def fingerprint(self, run: Run) -> str:
        """See `run_fingerprint`."""
        return run_fingerprint(run, self.data(run), self.options, self.source)

    def is_done(self, run: Run) -> bool:
        """Whether there is a result of this run, with the same data, options, packages and source."""
        found = ResultFolder(self.output).find(run, None if self.accept_other_source else self.fingerprint(run))
        return found is not None and not (self.retry_failed and found.error)

    @property
    def groups(self) -> tuple[Run, ...]:
        """One run for each data set and detector: what has features of its own."""
        return tuple({(run.dataset, run.detector): run for run in self.runs}.values())


def execute(plan: Plan, on_step: OnStep) -> None:
    """Do all runs that are not done yet.

    Raises:
        TrainingError: a worker died.
        KeyboardInterrupt: as it comes; what is done stays.
    """
    left = tuple(run for run in plan.runs if not plan.is_done(run))
    if not left:
        return
    plan = replace(plan, runs=left)
    # Not forked: torch and its threads do not survive that.
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, BaseProcess] = {}
    try:
        for number in range(min(plan.jobs, len(left))):
            receiver, sender = context.Pipe(duplex=False)
            worker: BaseProcess = context.Process(target=_work, args=(plan, sender), name=f"evaluate-{number}")
            worker.start()
            sender.close()
            workers[receiver] = worker
        _follow(workers, plan, on_step)
    finally:
        for worker in workers.values():
            worker.terminate()
            worker.join()


def _follow(workers: dict[Connection, BaseProcess], plan: Plan, on_step: OnStep) -> None:
    """Collect the workers' messages until all have ended."""
    images = {(group.dataset, group.detector): len(plan.data(group).files) for group in plan.groups}
    computed: dict[tuple[str, str], int] = {}
    done: set[Run] = set()
    open_ends = set(workers)
    while open_ends:
        for receiver in wait(list(open_ends)):
            assert isinstance(receiver, Connection)
            try:
                message = receiver.recv()
            except EOFError:
                open_ends.discard(receiver)
                worker = workers[receiver]
                worker.join()
                if worker.exitcode:
                    raise TrainingError(
                        f"worker {worker.name} ended with code {worker.exitcode} after {len(done)} of {len(plan.runs)} "
                        "runs (-9: no memory; then use fewer --jobs); start again to go on from here"
                    ) from None
                continue
            if isinstance(message, Run):
                if message not in done:
                    done.add(message)
                    on_step("runs", len(done), len(plan.runs))
                continue
            group, count = message
            if count > computed.get(group, 0) and not done:
                computed[group] = count
                on_step("features", sum(computed.values()), sum(images.values()))


def _work(plan: Plan, sender: Connection) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    worker = _Worker(plan, sender)
    for group in _mine_first(plan.groups):
        worker.prepare(group[0], wait_for_others=group[1])
    for run, wait_for_others in _mine_first(plan.runs):
        worker.do(run, wait_for_others=wait_for_others)
    sender.close()


def _mine_first(runs: tuple[Run, ...]) -> Iterator[tuple[Run, bool]]:
    """All runs twice: what another process has in hands is passed over, and waited for in the end."""
    for wait_for_others in (False, True):
        for run in runs:
            yield run, wait_for_others


class _Worker:
    def __init__(self, plan: Plan, sender: Connection) -> None:
        self._plan = plan
        self._sender = sender
        self._output = ResultFolder(plan.output)
        self._prepared: dict[tuple[str, str], Prepared | TrainingError] = {}
        self._inference_ms: dict[tuple[str, str], float] = {}
        self._told: set[Run] = set()

    def prepare(self, run: Run, *, wait_for_others: bool) -> None:
        """Features of all images for the data set and the detector of this run."""
        key = run.dataset, run.detector
        if key in self._prepared:
            return
        data = self._plan.data(run)
        with self._output.lock(f"features-{run.dataset}-{run.detector}", wait=wait_for_others) as mine:
            if not mine:
                return
            try:
                self._prepared[key] = prepare(
                    data,
                    run.detector,
                    self._plan.options.backbone,
                    self._plan.cache,
                    lambda done, _total: self._sender.send((key, done)),
                )
            except TrainingError as error:  # reported with every run that needs them
                self._prepared[key] = error
        self._sender.send((key, len(data.files)))

    def do(self, run: Run, *, wait_for_others: bool) -> None:
        """The run, unless it is done or another process is at it."""
        if run in self._told:
            return
        with self._output.lock(run.name, wait=wait_for_others) as mine:
            if not mine:
                return
            if not self._plan.is_done(run):
                self._do(run)
        self._told.add(run)
        self._sender.send(run)

    def _do(self, run: Run) -> None:
        plan = self._plan
        key = (run.dataset, run.detector)
        fingerprint = plan.fingerprint(run)
        try:
            prepared = self._prepared[key]
            if isinstance(prepared, TrainingError):
                raise prepared
            result, arrays = run_once(run, plan.data(run), prepared, plan.options, fingerprint)
            if key not in self._inference_ms:
                threads = usable_cores()
                self._inference_ms[key] = measure_inference_ms(prepared.detector, plan.data(run).spec, threads)
            result = replace(result, inference_ms=self._inference_ms[key])
        except Exception as error:  # noqa: BLE001  stage boundary: it is recorded, and the other runs go on
            result, arrays = failed(run, plan.options, fingerprint, error), {}
        self._output.write(result, arrays)


def _end_with_parent() -> None:
    """A worker whose parent was killed must not go on unseen."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
