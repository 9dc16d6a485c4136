"""The elements of an SVG picture: text that can't break it, shapes, and the style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMESPACE: Final = "http://www.w3.org/2000/svg"

# The colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), which the colour-blind can tell
# apart, some of them darker so that text on them can be read.
STYLE: Final = """
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  font-size: 12px; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.soft, .time, .again { fill: #59636e; }
.time, .again { font-size: 11px; }
.step { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.number { font-size: 11px; }
.number.on-dark { fill: #ffffff; }
.number.on-light { fill: #1f2328; }
.number.on-hatched { stroke: #ffffff; stroke-width: 4px; paint-order: stroke; }
.paper { fill: #ffffff; }
.lane { fill: #f3f5f8; }
.grid { stroke: #d5dae0; }
.axis { stroke: #59636e; }
.break { fill: #ffffff; }
.edge { fill: none; stroke: #59636e; }
.done { fill: #00785a; }
.interrupted { fill: #e8a200; }
.failed { fill: #c04a00; }
.answered { fill: #6fbce8; }
.skipped { fill: #b8bfc7; }
.left { fill: #59636e; }
.lost { fill: url(#hatched); stroke: #59636e; }
.open { fill: #0068a8; }
.hatch { stroke: #59636e; stroke-width: 2; }
.stale, .superseded, .dropped { fill: none; stroke: #b07800; stroke-width: 2; }
.superseded, .dropped { stroke: #59636e; }
.mark { stroke: #ffffff; }
.cross { fill: none; stroke: #c04a00; stroke-width: 2.5; }
.cross.on-bar { stroke: #ffffff; }
.back { fill: none; stroke: #a8447c; stroke-width: 2; }
.ahead { stroke-dasharray: 4 3; }
.head { fill: #a8447c; }
.order { font-size: 10px; font-weight: 600; fill: #a8447c; }
.resumed { stroke: #c04a00; stroke-width: 1.5; stroke-dasharray: 5 4; }
.no-return { stroke: #1f2328; stroke-width: 4; }
.over { stroke: #59636e; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .soft, .time, .again { fill: #9aa5b1; }
  .paper { fill: #0d1117; }
  .lane { fill: #171d26; }
  .grid { stroke: #2d3540; }
  .axis, .hatch, .lost, .over { stroke: #9aa5b1; }
  .left { fill: #818b98; }
  .done { fill: #008f6b; }
  .open { fill: #0a7cc4; }
  .break { fill: #0d1117; }
  .edge { stroke: #9aa5b1; }
  .number.on-hatched { stroke: #0d1117; }
  .mark { stroke: #0d1117; }
  .back { stroke: #d98bb8; }
  .head, .order { fill: #d98bb8; }
  .cross:not(.on-bar), .resumed { stroke: #f0763a; }
  .stale { stroke: #e8a200; }
  .superseded, .dropped { stroke: #9aa5b1; }
  .no-return { stroke: #e6edf3; }
}
"""


def plain(text: str) -> str:
    """Give a text that XML can hold and that stays on its line; what can't be shown is marked."""
    words = " ".join(text.split())
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in words)


@final
class Picture:
    """An SVG picture that is being drawn."""

    def __init__(self, title: str, description: str) -> None:
        """Begin with an empty one.

        Args:
            title: what it shows.
            description: what is to be seen, for those who don't.
        """
        self._root: Final = ET.Element(
            "svg",
            {
                "xmlns": NAMESPACE,
                "role": "img",
                "aria-labelledby": "title description",
            },
        )
        self._named("title", title, "title")
        self._named("desc", description, "description")
        ET.SubElement(self._root, "style").text = STYLE
        definitions = ET.SubElement(self._root, "defs")
        pattern = {"id": "hatched", "width": "6", "height": "6", "patternUnits": "userSpaceOnUse"}
        hatched = ET.SubElement(definitions, "pattern", pattern)
        ET.SubElement(hatched, "path", {"class": "hatch", "d": "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2"})
        # What is drawn into, the innermost one last.
        self._groups: Final = [self._root]

    def _named(self, tag: str, text: str, name: str) -> None:
        ET.SubElement(self._root, tag, {"id": name}).text = plain(text)

    def begin(self, *title: str, kind: str = "") -> None:
        """Begin a group; the lines of its title show where the pointer rests on it."""
        attributes = {"class": kind} if kind else {}
        self._groups.append(ET.SubElement(self._groups[-1], "g", attributes))
        if title:
            ET.SubElement(self._groups[-1], "title").text = "\n".join(map(plain, title))

    def end(self) -> None:
        """End the group."""
        self._groups.pop()

    def shape(self, tag: str, kind: str, **numbers: float) -> None:
        """Draw a shape of this class."""
        attributes = {name.replace("_", "-"): short(number) for name, number in numbers.items()}
        ET.SubElement(self._groups[-1], tag, {"class": kind} | attributes)

    def path(self, kind: str, line: str) -> None:
        """Draw a path of this class."""
        ET.SubElement(self._groups[-1], "path", {"class": kind, "d": line})

    def text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        """Write a text of this class."""
        attributes = {"class": kind, "x": short(x), "y": short(y)}
        if anchor != "start":
            attributes["text-anchor"] = anchor
        ET.SubElement(self._groups[-1], "text", attributes).text = plain(text)

    def drawn(self, width: float, height: float) -> str:
        """Give the picture of this size, in pixels, as text in ASCII."""
        size = {"width": short(width), "height": short(height)}
        for name, value in size.items():
            self._root.set(name, value)
        self._root.set("viewBox", f"0 0 {size['width']} {size['height']}")
        paper: Mapping[str, str] = {"class": "paper", **size}
        # Behind all else.
        self._root.insert(4, ET.Element("rect", dict(paper)))
        ET.indent(self._root, "")
        text: bytes = ET.tostring(self._root, encoding="us-ascii")
        return f"{text.decode('ascii')}\n"


def short(number: float) -> str:
    """Give a number for a picture: a tenth of a pixel is exact enough."""
    return f"{number:.1f}".removesuffix(".0")


def points(corners: Iterable[tuple[float, float]]) -> str:
    """Give a closed path through these corners."""
    return f"M{' L'.join(f'{short(x)},{short(y)}' for x, y in corners)} Z"
