"""Markdown that people wrote, as HTML that can do nothing: no tags of theirs, no pictures."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_DEEPEST = 20  # lists within lists


def html_of(text: str) -> Markup:
    r"""Return a text as HTML; headings begin at the second level, since the page has the first.

    HTML in it stays visible text, and no link runs a script.

    >>> html_of("# Saw <b>")
    Markup('<h2>Saw &lt;b&gt;</h2>\n')
    >>> "href" in html_of("[x](javascript:alert)")
    False
    """
    reader = _reader()
    tokens = reader.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    # The reader escapes what is not its own.
    return Markup(reader.renderer.render(tokens, reader.options, {}))


@cache
def _reader() -> MarkdownIt:
    # Two megabytes that only who reads such a text needs.
    from markdown_it import MarkdownIt

    out = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST})
    return out.enable("table").disable(["image", "html_block", "html_inline"])
