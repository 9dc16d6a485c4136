"""A real browser for the tests, without a window, and the real Mermaid to run in it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final, final

# As Debian, other systems, and Chromium's relatives call it.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# No window, nothing on the network, nothing left from before.
FLAGS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--force-device-scale-factor=1"),
)
# Of the diagrams in the tests; a newer one may draw them in another way.
MERMAID: Final = "mermaid@11.12.0"

PAGE: Final = """<!DOCTYPE html>
<meta charset="utf-8">
<style>body { margin: 0 }</style>
<body>
%s
<pre id="result"></pre>
<script>
(async () => { %s })().catch(error => ({error: String(error)})).then(result => {
    document.getElementById("result").textContent = JSON.stringify(result);
});
</script>
"""


class MissingError(Exception):
    """There is no browser, or no Mermaid; the text says what to install."""


@final
class Browser:
    """A browser that is installed here."""

    def __init__(self) -> None:
        """Find it.

        Raises:
            MissingError: if there is none.
        """
        found = [path for name in NAMES if (path := shutil.which(name)) is not None]
        if not found:
            message = "needs a browser: apt-get install chromium"
            raise MissingError(message)
        self.program: Final = found[0]

    def evaluate(self, body: str, script: str) -> object:
        """Show a page; give what its script returns, which may wait for things, as JSON."""
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder, "page.html")
            page.write_text(PAGE % (body, script), "utf-8")
            done = subprocess.run(
                [
                    *(self.program, *FLAGS, f"--user-data-dir={folder}/profile"),
                    *("--virtual-time-budget=60000", "--dump-dom", page.as_uri()),
                ],
                capture_output=True,
                check=True,
                encoding="utf-8",
                timeout=120,
            )
        result = re.search('<pre id="result">(.+?)</pre>', done.stdout, re.DOTALL)
        assert result is not None, done.stderr
        value: object = json.loads(html.unescape(result[1]))
        assert not (isinstance(value, dict) and "error" in value), value
        return value


def unpack_mermaid(folder: Path) -> Path:
    """Fetch Mermaid with npm; give the path of its script.

    Args:
        folder: where to put it.

    Raises:
        MissingError: if there is no npm, or if it can't fetch it.
    """
    npm = shutil.which("npm")
    if npm is None:
        message = "needs Mermaid, and npm to fetch it: apt-get install npm"
        raise MissingError(message)
    command = [npm, "pack", MERMAID, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(
        command, capture_output=True, check=False, encoding="utf-8", cwd=folder, timeout=120
    )
    archives = [*folder.glob("*.tgz")]
    if done.returncode or not archives:
        message = f"needs Mermaid, and npm can't fetch it: {done.stderr.strip()}"
        raise MissingError(message)
    script = "package/dist/mermaid.min.js"
    with tarfile.open(archives[0]) as archive:
        archive.extract(script, folder, filter="data")
    return folder / script
