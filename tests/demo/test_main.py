"""`python -m reflow` from the inside: options, exit codes and what is printed."""

from __future__ import annotations

import runpy
import signal
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Never

import anyio
import pytest
from person import ANSWERED, typist

from reflow.__main__ import main
from reflow.demo import terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def types(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Generator[Callable[[Sequence[str]], None]]:
    """Give what types lines."""
    yield from typist(monkeypatch, tmp_path / "input")


@both_backends
def test_to_the_end(
    types: Callable[[Sequence[str]], None], capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    """The typed results are printed at the end, and the exit code is 0."""
    types([*ANSWERED, "answer plan basic", "snow", "yes"])
    assert main(["--backend", backend]) == 0
    printed = capsys.readouterr().out
    assert "Noted: plan is basic.\nplan has changed, so this is asked again: doctor" in printed
    assert printed.endswith("""\
Signed. The typed results:
  name: str = 'Ada Lovelace'
  email: str = 'ada@example.org'
  phone: str | None = None
  birthday: date = datetime.date(1990, 12, 10)
  plan: Plan = <Plan.BASIC: 'basic'>
  members: list[str] | None = None
  doctor: Doctor = <Doctor.SNOW: 'Dr. Snow'>
  card: Card | None = Card(number=<set>)
""")


@both_backends
def test_left_early(types: Callable[[Sequence[str]], None], backend: str) -> None:
    """When the input ends too early, the exit code is 1; output may go anywhere."""
    types(ANSWERED)
    with redirect_stdout(StringIO()) as printed:
        assert main(["--backend", backend]) == 1
    assert printed.getvalue().endswith("\nLeft early, nothing was signed: the input has ended.\n")


@both_backends
def test_ctrl_c(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Ctrl+C ends with the exit code that shells give it."""

    async def interrupted(*_: object) -> None:
        async with anyio.create_task_group():
            signal.raise_signal(signal.SIGINT)
            while True:
                await anyio.sleep_forever()

    monkeypatch.setattr(terminal, "converse", interrupted)
    assert main(["--backend", backend]) == 130
    assert capsys.readouterr().out == "Interrupted, nothing was signed.\n"


def test_ctrl_c_while_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C is no traceback either before there is an event loop."""

    def interrupted(*_: object, **__: object) -> Never:
        raise KeyboardInterrupt

    monkeypatch.setattr(terminal, "main", interrupted)
    assert main([]) == 130


@both_backends
def test_nobody_reads_the_output(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """What rich raises on a broken pipe ends the program, also out of a task group."""

    async def broken(*_: object) -> None:
        async with anyio.create_task_group():
            raise SystemExit(1)

    monkeypatch.setattr(terminal, "converse", broken)
    assert main(["--backend", backend]) == 1


@pytest.mark.parametrize(
    ("backend", "missing", "said"),
    [
        ("asyncio", ["rich"], "rich not found"),
        ("asyncio", ["trio", "email_validator", "rich"], "email-validator, rich not found"),
        ("trio", ["trio"], "trio not found"),
    ],
)
def test_missing_extra(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    missing: list[str],
    said: str,
) -> None:
    """What isn't installed is named, all of it, with the command that installs it."""
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as ended:
        main(["--backend", backend])
    assert ended.value.code == 2
    assert f'{said}; run: python -m pip install "reflow[demo]"' in capsys.readouterr().err


def test_livekit_on_trio(capsys: pytest.CaptureFixture[str]) -> None:
    """LiveKit needs asyncio, and that is said."""
    with pytest.raises(SystemExit) as ended:
        main(["--livekit", "--backend", "trio"])
    assert ended.value.code == 2
    assert "--livekit runs on asyncio only" in capsys.readouterr().err


@pytest.mark.parametrize("whole", [False, True])
def test_without_livekit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    """Without LiveKit, or with other parts of it only, the command is printed that installs it."""
    if whole:
        monkeypatch.delitem(sys.modules, "livekit.agents", raising=False)
        monkeypatch.setitem(sys.modules, "livekit", None)
    else:
        monkeypatch.setitem(sys.modules, "livekit.agents", None)
    with pytest.raises(SystemExit) as ended:
        main(["--livekit"])
    assert ended.value.code == 2
    said = 'livekit-agents not found; run: python -m pip install "reflow[demo,livekit]"'
    assert said in capsys.readouterr().err


def test_run_as_a_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m reflow` finds the program, which explains itself."""
    monkeypatch.setattr(sys, "argv", ["reflow", "--help"])
    monkeypatch.delitem(sys.modules, "reflow.__main__")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("reflow", run_name="__main__")
    assert ended.value.code == 0
    assert "usage: python -m reflow [-h] [--backend {asyncio,trio}]" in capsys.readouterr().out
