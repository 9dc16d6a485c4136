"""Starts processes that work with a journal, and tells them what to do at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast, final

if TYPE_CHECKING:
    from collections.abc import Generator

WORKER = Path(__file__).with_name("journal_worker.py")


@final
class Worker:
    """A process with a journal."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Take the process."""
        self._process = process

    def tell(self, *command: object) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def answer(self) -> object:
        """Wait for the answer to a command; of an error, its class and its text."""
        assert self._process.stdout is not None
        return cast("object", json.loads(self._process.stdout.readline()))

    def error(self) -> tuple[str, str] | None:
        """Wait for the answer to a command that gives nothing, or an error."""
        answer = self.answer()
        return None if answer is None else cast("tuple[str, str]", answer)

    def ask(self, *command: object) -> object:
        """Send a command and wait for its answer."""
        self.tell(*command)
        return self.answer()


@contextmanager
def workers(url: str, count: int) -> Generator[list[Worker]]:
    """Start so many processes with a journal each; they are ready to begin at the same time."""
    command = [sys.executable, "-W", "error", str(WORKER), url]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(count)
        ]
        working = [Worker(process) for process in started]
        for worker in working:
            assert worker.answer() == "ready"
        yield working
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
        assert [process.wait() for process in started] == [0] * count
