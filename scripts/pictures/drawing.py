"""What both pictures are drawn with: plain SVG with a card behind it, readable on light and dark pages."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
BACKGROUND, FRAME, PLAIN, DIM = "#14191f", "#2b3540", "#dde4ea", "#8a97a3"
GREEN, RED, YELLOW, BLUE = "#7ec98f", "#f08a7d", "#e6c07b", "#82b4e8"


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an element; ``_`` in the names of attributes stands for ``-``, a final one is dropped. ``content`` is SVG."""
    given = "".join(f" {key.rstrip('_').replace('_', '-')}={quoteattr(str(value))}" for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """Return a line of text whose blanks count."""
    return element("text", escape(words), x=f"{x:g}", y=f"{y:g}", **attributes)


def picture(width: int, height: int, title: str, *content: str, style: str = "") -> str:
    """Return a whole picture. ``title`` is what is read out to those who do not see it."""
    rules = f"text {{ font-family: {FONT}; font-size: 14px }}\n{style}"
    parts = [
        element("title", escape(title)),
        element("style", rules),
        element("rect", width=width, height=height, rx=10, fill=BACKGROUND, stroke=FRAME),
        *content,
    ]
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    names: dict[str, object] = {"xmlns": "http://www.w3.org/2000/svg", "xml:space": "preserve", "role": "img", "fill": PLAIN}
    return element("svg", "\n" + "\n".join(parts) + "\n", **names, **size) + "\n"
