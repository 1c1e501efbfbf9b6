"""Run jobs: refreshes of clusters, in worker threads of this process, shared by all callers that wait.

Waiting is polling the job's row, for jobs of this process and of others alike. One watcher thread per process, alive
only while jobs run, writes their progress and looks whether they were asked to stop.
"""

import logging
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import anyio

from mcp_server.errors import FenqunError, InternalError, Interrupted
from mcp_server.store.catalog import Catalog
from mcp_server.store.housekeeping import sweep
from mcp_server.store.jobs import STANDING, STOPPED, JobStore, Published
from mcp_server.store.records import Facts, JobRecord, JobState, StopReason
from mcp_server.store.workspace import Workspace
from mcp_server.text import Text

logger = logging.getLogger(__name__)

ALMOST = 99
"""The most that a running computation shows: 100 comes with the commit that publishes its result."""


class JobControl:
    """What a computation and its runner share, across threads: progress, the request to stop, temporary files."""

    def __init__(self, workspace: Workspace, need: "Callable[[int, JobControl], JobRecord] | None" = None) -> None:
        self._workspace = workspace
        self._need = need
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], object]] = []
        self._temporary: list[Path] = []
        self._percent = 0
        self._reason: StopReason | None = None
        self.shown = 0
        """The progress that the job's row shows; the runner's own note."""

    # -- for the computation -------------------------------------------------------------------------------------

    def report(self, percent: float) -> None:
        """Report how far it is, 0 to 100; cheap, from any thread. Going back is ignored."""
        self._percent = max(self._percent, min(ALMOST, int(percent)))

    @property
    def interrupted(self) -> bool:
        """True once it should stop."""
        return self._reason is not None

    def check(self) -> None:
        """Raise Interrupted once it should stop."""
        if self._reason is not None:
            raise Interrupted(STOPPED[self._reason])

    def on_interrupt(self, callback: Callable[[], object]) -> None:
        """Run `callback`, in another thread, when it should stop; at once where that is so already."""
        with self._lock:
            if self._reason is None:
                self._callbacks.append(callback)
                return
        callback()

    def need(self, cluster_id: int) -> JobRecord:
        """Have another cluster computed first; its job as it ended. Only in a job."""
        if self._need is None:
            raise RuntimeError("only a job can need another cluster")
        return self._need(cluster_id, self)

    def temp_path(self, suffix: str = "") -> Path:
        """Return a new temporary path. What is still there when the computation has ended is removed."""
        path = self._workspace.temp_path(suffix)
        self._temporary.append(path)
        return path

    # -- for the runner --------------------------------------------------------------------------------------------

    @property
    def percent(self) -> int:
        """The last progress reported."""
        return self._percent

    @property
    def reason(self) -> StopReason | None:
        """Why it should stop; None while it should not."""
        return self._reason

    def interrupt(self, reason: StopReason) -> None:
        """Ask it to stop. The first reason stays."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # the query may have ended and closed its connection meanwhile
                logger.debug("an interrupt came too late", exc_info=True)

    def clear(self) -> None:
        """Remove the temporary files that are left."""
        for path in self._temporary:
            with suppress(OSError):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


SHORTEST_PAUSE = 0.005
LONGEST_PAUSE = 0.2
"""Seconds between two looks of a waiter; the pause grows from the one to the other."""
WATCH_SECONDS = 0.1
"""Seconds between two looks of the watcher: how stale shown progress is, and how late a stop from elsewhere comes."""
SWEEP_EVERY = 20
"""Results after which the workspace is swept."""

_BUG = Text(
    "The computation failed because of a bug in fenqun. The log has the details under incident {incident}.",
    "计算因 fenqun 的内部错误而失败。详情见日志，事件编号 {incident}。",
)


@dataclass(frozen=True, slots=True)
class Computed:
    """What a computation made: its members file, still under `tmp/`, and how many users it holds."""

    users_num: int
    file: Path
    facts: Facts = field(default_factory=dict)


Compute = Callable[[JobRecord, JobControl], Computed]
"""Runs the query of a job in the current thread: `job.definition` on `job.generation`, with `job.local_day` as today."""
OnPercent = Callable[[int], Awaitable[None]]


class _Ending(NamedTuple):
    """How a job ends that made no version."""

    state: JobState
    code: str
    text: Text


class JobRunner:
    """Starts jobs, joins those that run, waits for them, and runs its own; safe to call from any thread."""

    def __init__(self, catalog: Catalog, compute: Compute, *, slots: int = 2) -> None:
        """`slots` is how many queries run at once in this process; further jobs wait their turn at progress 0."""
        self.store = JobStore(catalog)
        self._catalog = catalog
        self._workspace = catalog.workspace
        self._compute = compute
        self._slots = slots
        self._lock = threading.Lock()
        self._queue: deque[JobRecord] = deque()
        self._active: dict[int, JobControl] = {}
        self._workers: set[threading.Thread] = set()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()
        self._unclaimed: dict[int, list[str]] = {}
        """Waiters that `start_or_join` left for the `wait` that follows it."""
        self._unrecorded: dict[int, _Ending] = {}
        """Endings that could not be written (a full disk, say); the watcher tries again."""
        self._results = 0

    # -- starting --------------------------------------------------------------------------------------------------

    def start_or_join(self, cluster_id: int) -> JobRecord:
        """The job that computes the cluster as it is now: the running one, of any process, or a new one.

        The caller counts as waiting from now on, up to its `wait`. NotFound, NoData.
        """
        waiter = secrets.token_hex(6)
        job = self._start(cluster_id, waiter)
        with self._lock:
            self._unclaimed.setdefault(job.id, []).append(waiter)
        return job

    def start_background(self, cluster_id: int) -> JobRecord:
        """The same, detached: it goes on while nobody waits."""
        return self._start(cluster_id, STANDING)

    def _start(self, cluster_id: int, waiter: str) -> JobRecord:
        if self._closed.is_set():
            raise Interrupted(STOPPED["closed"])
        job, started = self.store.start_or_join(cluster_id, waiter)
        if started:
            self._enqueue(job)
        return job

    def _enqueue(self, job: JobRecord) -> None:
        with self._lock:
            self._active[job.id] = JobControl(self._workspace, self.need)
            self._queue.append(job)
            if len(self._workers) < self._slots:
                worker = threading.Thread(target=self._work, name="fenqun-job", daemon=True)
                self._workers.add(worker)
                worker.start()
            self._watch_while_needed()

    @property
    def active(self) -> tuple[int, ...]:
        """The jobs of this process that run or wait for their turn."""
        with self._lock:
            return tuple(self._active)

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def refresh(self, cluster_id: int, seconds: float | None, on_percent: OnPercent | None = None) -> JobRecord:
        """`start_or_join`, then `wait`."""
        return await self.wait(self.start_or_join(cluster_id).id, seconds, on_percent)

    async def wait(self, job_id: int, seconds: float | None, on_percent: OnPercent | None = None) -> JobRecord:
        """Wait until the job ends, at most `seconds` (None: however long); the job as it is then.

        `on_percent` gets its progress whenever that has grown. Running out of time detaches the job: it goes on.
        Being cancelled stops it, but only if nobody else waits for it and it is not detached. NotFound.
        """
        end = None if seconds is None else anyio.current_time() + seconds
        job = self.store.get(job_id)
        waiter = self._claim(job, create=seconds is None or seconds > 0)
        pause, shown = SHORTEST_PAUSE, -1
        try:
            while True:
                if on_percent is not None and job.progress > shown:
                    shown = job.progress
                    await on_percent(shown)
                left = LONGEST_PAUSE if end is None else end - anyio.current_time()
                if not job.running or left <= 0:
                    break
                await anyio.sleep(min(pause, left))
                pause = min(pause * 1.5, LONGEST_PAUSE)
                job = self.store.get(job_id)
        except BaseException:
            self._leave(job_id, waiter)
            raise
        if job.running and waiter:
            self.store.detach(job_id, waiter)
        return job

    def _claim(self, job: JobRecord, *, create: bool) -> str:
        """The waiter that was left for this wait, or (`create`) a new one; "" where there is nothing to wait for."""
        with self._lock:
            left = self._unclaimed.get(job.id, [])
            waiter = left.pop() if left else ""
            if not left:
                self._unclaimed.pop(job.id, None)
        if not waiter and create and job.running:
            waiter = secrets.token_hex(6)
            self.store.join(job.id, waiter)
        return waiter

    def _leave(self, job_id: int, waiter: str) -> None:
        """Give up waiting. Never raises: a cancellation is on its way."""
        try:
            if waiter and self.store.leave(job_id, waiter):
                self._interrupt(job_id, "unwanted")
        except Exception:  # the job then runs to its end, which harms nobody
            logger.warning("job %s could not be left", job_id, exc_info=True)

    def _interrupt(self, job_id: int, reason: StopReason) -> None:
        """Stop a job of this process; one of another process is stopped there, by its watcher."""
        with self._lock:
            control = self._active.get(job_id)
            queued = next((job for job in self._queue if job.id == job_id), None)
            if queued is not None:
                self._queue.remove(queued)
                self._active.pop(job_id, None)
        if queued is not None:
            self._end(job_id, _stopped(reason))
        elif control is not None:
            control.interrupt(reason)

    # -- running (in worker threads) -----------------------------------------------------------------------------

    def _work(self) -> None:
        """Run queued jobs until there are none."""
        try:
            while (task := self._next_task()) is not None:
                job, control = task
                self._run(job, control)
                with self._lock:
                    self._active.pop(job.id, None)
                    self._unclaimed.pop(job.id, None)
        finally:
            self._catalog.database.release()

    def _next_task(self) -> tuple[JobRecord, JobControl] | None:
        """The next job of the queue; where there is none, this worker counts as gone."""
        with self._lock:
            if self._closed.is_set() or not self._queue:
                self._workers.discard(threading.current_thread())
                return None
            job = self._queue.popleft()
            return job, self._active[job.id]

    def _run(self, job: JobRecord, control: JobControl) -> None:
        try:
            if self.store.begin(job.id):
                self._compute_and_publish(job, control)
            else:
                self._end(job.id, _stopped(self.store.stops().get(job.id, "unwanted")))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is this job's ending
            self._end(job.id, _ending(error, control))
        finally:
            control.clear()

    def _compute_and_publish(self, job: JobRecord, control: JobControl) -> None:
        began = time.perf_counter()
        result = self._compute(job, control)
        duration = time.perf_counter() - began
        final = self._workspace.result_path(self._workspace.members, f"cluster_{job.cluster}", result.file.suffix)
        self._workspace.publish(result.file, final)
        published = False
        try:
            draft = Published(self._workspace.relative(final), result.users_num, duration, result.facts)
            published = self.store.publish(job.id, draft)
        finally:
            if not published:
                with suppress(OSError):
                    final.unlink(missing_ok=True)
        self._tidy_up_now_and_then()

    def _tidy_up_now_and_then(self) -> None:
        with self._lock:
            self._results += 1
            due = self._results % SWEEP_EVERY == 0
        if due:
            try:
                sweep(self._catalog, self.store)
            except FenqunError:
                logger.warning("the workspace could not be swept", exc_info=True)

    def _end(self, job_id: int, ending: _Ending) -> None:
        """Write how a job ended. Where that fails it is kept, and tried again."""
        try:
            self.store.end(job_id, *ending)
        except Exception:  # it must not be forgotten, whatever the reason
            if self._closed.is_set():
                return  # the owner is gone; the next reader of the job will see that
            logger.warning("the end of job %s could not be written yet", job_id, exc_info=True)
            with self._lock:
                self._unrecorded[job_id] = ending
                self._watch_while_needed()

    def need(self, cluster_id: int, control: JobControl) -> JobRecord:
        """Compute another cluster from within a computation; its job as it ended. Blocks the current thread.

        It runs in this very thread unless it runs already: queued behind those that need it, all would wait.
        """
        waiter = secrets.token_hex(6)
        job, started = self.store.start_or_join(cluster_id, waiter)
        control.on_interrupt(lambda: self._leave(job.id, waiter))
        own = self._taken(job, started=started)
        if own is not None:
            self._run(job, own)
            with self._lock:
                self._active.pop(job.id, None)
        pause = SHORTEST_PAUSE
        while (job := self.store.get(job.id)).running:
            control.check()
            self._closed.wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return job

    def _taken(self, job: JobRecord, *, started: bool) -> JobControl | None:
        """The control of a job that is new, or still waits in the queue of this process: it is the caller's now."""
        with self._lock:
            if started:
                self._active[job.id] = JobControl(self._workspace, self.need)
                return self._active[job.id]
            queued = next((q for q in self._queue if q.id == job.id), None)
            if queued is None:
                return None
            self._queue.remove(queued)
            return self._active[job.id]

    # -- watching (in the watcher thread) ------------------------------------------------------------------------

    def _watch_while_needed(self) -> None:
        """Start the watcher where there is none. The lock is held."""
        if self._watcher is None and not self._closed.is_set():
            self._watcher = threading.Thread(target=self._watch, name="fenqun-watch", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        try:
            while not self._closed.wait(WATCH_SECONDS):
                with self._lock:
                    if not self._active and not self._unrecorded:
                        self._watcher = None
                        return
                try:
                    self._look()
                except Exception:  # the next look may go better
                    logger.warning("jobs could not be looked after", exc_info=True)
        finally:
            self._catalog.database.release()

    def _look(self) -> None:
        """Stop what was asked to stop, write endings that could not be written before, show progress."""
        for job_id, reason in self.store.stops().items():
            self._interrupt(job_id, reason)
        with self._lock:
            active, unrecorded = dict(self._active), self._unrecorded
            self._unrecorded = {}
        for job_id, ending in unrecorded.items():
            self._end(job_id, ending)
        for job_id, control in active.items():
            if control.percent > control.shown:
                self.store.save_progress(job_id, control.percent)
                control.shown = control.percent

    # -- ending --------------------------------------------------------------------------------------------------------

    def close(self, patience: float = 5.0) -> None:
        """Shut down: interrupt what runs, wait up to `patience` seconds for it, mark the rest, let go of the owner lock.

        May be called twice. A query that does not end in time ends with the process; its result is dropped.
        """
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
            self._queue.clear()
            controls, threads = (
                list(self._active.values()),
                [*self._workers, *([self._watcher] if self._watcher else [])],
            )
        for control in controls:
            control.interrupt("closed")
        until = time.monotonic() + patience
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        try:
            self.store.end_all()
        except FenqunError:
            logger.warning(
                "jobs could not be marked; they read as interrupted once this process is gone", exc_info=True
            )
        self._workspace.close()


def _stopped(reason: StopReason) -> _Ending:
    return _Ending("interrupted", Interrupted.code, STOPPED[reason])


def _ending(error: Exception, control: JobControl) -> _Ending:
    """How a job ends whose computation raised. After an interrupt the engine may raise anything."""
    if control.reason is not None:
        return _stopped(control.reason)
    if isinstance(error, Interrupted):
        return _Ending("interrupted", error.code, error.message)
    if isinstance(error, FenqunError):
        return _Ending("failed", error.code, error.message.then(error.next_step))
    incident = secrets.token_hex(4)
    logger.error("a computation failed; incident %s", incident, exc_info=error)
    return _Ending("failed", InternalError.code, _BUG.format(incident=incident))
