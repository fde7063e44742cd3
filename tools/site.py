"""What mkdocs asks for each page of the site: links that lead out of docs/ lead to the repository, or are plain text.

On GitHub and on a disk such links work as they are (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\[]+)\]\((?P<target>[^)\s:#]+)(?P<rest>#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: "Page", config: "MkDocsConfig", **_: Any) -> str:
    """The page's text with links as the site needs them."""
    docs = Path(config.docs_dir)
    place = (docs / page.file.src_uri).parent

    def lead(found: re.Match[str]) -> str:
        target = (place / found["target"]).resolve()
        # A page of a directory: the site has none, and the repository shows what is in it.
        if target.is_relative_to(docs) and not target.is_dir():
            return found[0]
        if not target.exists():
            # mkdocs names it.
            return found[0]
        path = target.relative_to(docs.parent)
        kind = "tree" if target.is_dir() else "blob"
        return f"[{found['text']}]({config.repo_url}/{kind}/HEAD/{path})" if config.repo_url else found["text"]

    return _LINK.sub(lead, markdown)
