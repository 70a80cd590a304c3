"""Work in a process of its own, watched: whatever becomes of it, what it did before is known, and the rest is tried again.

A child writes a line of JSON to its log before and after each item of its work. It may hang in a kernel, lose the device to an
illegal address, or be killed for its memory: then the next child passes over all that the log says was begun. So one bad item
costs its own result and a start.

    {"begin": item}               and then, unless the child died in it,
    {"end": item, ...}            with whatever came of it
    {...}                         anything else that is to be known
    {"finished": true}            all is done
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INTERRUPTED, LATE = STOPPED = ("interrupted", "not done in time")  # why work was ended that may have been going well
PAUSE = 0.05  # seconds between two looks at a log


class Log:
    """The child's end: what was begun by earlier children, and a line at a time for the parent."""

    def __init__(self, path: str | Path):
        before = [line for line in (_parsed(text) for text in Path(path).read_text().splitlines()) if line is not None]
        self.begun = {line["begin"] for line in before if "begin" in line}
        self.file = open(path, "a")
        self.parent = os.getppid()

    def write(self, **line: Any) -> None:
        """A line, in the file before this returns, so that no end of this process takes it back. Ends a process whose parent is
        gone: nobody reads what it does."""
        if os.getppid() != self.parent:
            os._exit(1)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()


def _parsed(text: str) -> dict[str, Any] | None:
    """A line of a log; None for one that a dying child did not finish."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Watched:
    """A child, started again as often as it gets further; `on_line` gets each line of its log. One that gives no sign of life
    for `patience` seconds is ended.

    lost     (item, what happened) of those that were begun and never ended
    whole    whether a child said that all is done
    why      how the last child ended
    printed  what the children wrote to their output, the end of it
    status   the exit status of the last child; None while it runs, or if it had to be ended"""

    def __init__(self, command: list[str], on_line: Callable[[dict[str, Any]], None], patience: float, **environment: str):
        self.command, self.on_line, self.patience, self.environment = command, on_line, patience, environment
        self.folder = tempfile.TemporaryDirectory()
        self.log, self.output = Path(self.folder.name) / "log", Path(self.folder.name) / "output"
        self.log.touch()
        self.read = 0
        self.lost: list[tuple[str, str]] = []
        self.whole = self.done = False
        self.status: int | None = None
        self.printed = self.why = ""
        self.open: dict[str, None] = {}  # items that were begun and have not ended, in order
        self.starts = self.begun = self.begun_before = 0
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """The next child, which is the leader of its own group, so that what it starts can be ended with it."""
        environment = os.environ | self.environment | {"CHILD_LOG": str(self.log)}
        with self.output.open("a") as output:
            self.process = subprocess.Popen(
                self.command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, process_group=0
            )
        self.starts += 1
        self.begun_before, self.heard = self.begun, time.monotonic()

    def tick(self) -> bool:
        """Read what is new and act on it; whether the work is over."""
        if self.done:
            return True
        if self.process is None:
            self.start()
        code = self.process.poll()  # before reading, so that nothing is written after the last look
        self._read()
        if code is not None:
            self.status = code
            self._settle(f"the process ended with status {code}")
        elif time.monotonic() - self.heard > self.patience:
            self.signal(signal.SIGKILL)
            self.gone(2.0)
            self._settle(f"no sign of life for {self.patience:.0f} s")
        return self.done

    def signal(self, number: int) -> None:
        """A signal for the child and what it started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)

    def gone(self, seconds: float) -> None:
        """Wait for the child's end, but not for long: one that hangs in the driver may stay."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)

    def close(self, why: str) -> None:
        """Keep what is there. The child is gone, or nobody looks after it any more."""
        if self.done:
            return
        if self.process is not None:
            self._read()
            self.process = None
        self._lose(why)
        self.why = why
        if self.output.exists():
            self.printed = self.output.read_text(errors="replace")
        self.folder.cleanup()
        self.done = True

    def _read(self) -> None:
        with self.log.open("rb") as file:
            file.seek(self.read)
            text = file.read()
        lines = text.split(b"\n")[:-1]  # what is behind the last newline is not all there yet
        self.read += sum(len(line) + 1 for line in lines)
        for line in filter(None, (_parsed(line.decode(errors="replace")) for line in lines)):
            self.heard = time.monotonic()
            if "begin" in line:
                self.open[line["begin"]] = None
                self.begun += 1
            self.open.pop(line.get("end"), None)
            self.whole |= bool(line.get("finished"))
            self.on_line(line)

    def _settle(self, why: str) -> None:
        """A child is gone: the work is over, or the next one goes on behind the item that it died in."""
        self.process = None
        if self.whole or (self.begun == self.begun_before and not self.open):
            self.close(why)
            return
        self._lose(why)
        with self.log.open("ab") as file:  # a line that was cut must not swallow the next child's first
            file.write(b"\n")

    def _lose(self, why: str) -> None:
        self.lost += [(item, why) for item in self.open]
        self.open.clear()


def run_all(children: list[Watched], ends: float, now_and_then: Callable[[], None] = lambda: None) -> None:
    """Run children side by side until their work is over or `ends` (of time.monotonic) has come; leave none behind, whatever
    interrupts this. Calls now_and_then() every two seconds."""
    why, called = INTERRUPTED, time.monotonic()
    try:
        while not all([child.tick() for child in children]):
            if time.monotonic() > ends:
                why = LATE
                break
            if time.monotonic() - called > 2:
                now_and_then()
                called = time.monotonic()
            time.sleep(PAUSE)
    finally:  # first a request, for a checker may have something to say; then no question
        for number, seconds in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            running = [child for child in children if child.process is not None]
            for child in running:
                child.signal(number)
            for child in running:
                child.gone(seconds / len(running))
        for child in children:
            child.close(why)
