"""Check a built site: every file and anchor that a page links to exists, and no page loads external files.

python docs/check_links.py docs/_build/html
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, the targets of its links, and the files that it loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = {name: value for name, value in attrs if value}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])


def problems(site: Path) -> list[str]:
    """A line for each broken link, each invalid external address, and each file loaded from the network."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    faults = []
    for path, page in pages.items():
        for target in page.links + page.loaded:
            if fault := _fault(target, path, pages, target in page.loaded):
                faults.append(f"{path.relative_to(site.resolve())}: {target[:100]}: {fault}")
    return sorted(set(faults))


def _fault(target: str, path: Path, pages: dict[Path, Page], loaded: bool) -> str:
    parts = urlsplit(target)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        if loaded:
            return "loaded from the network"
        return "" if parts.scheme in ("http", "https", "mailto") and (parts.netloc or parts.path) else "no web address"
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if file.is_dir():
        file = file / "index.html"
    if not file.exists():
        return "no such file"
    if parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].ids:
        return "no such anchor"
    return ""


if __name__ == "__main__":
    site = Path(sys.argv[1])
    lines = problems(site) if (site / "index.html").exists() else [f"{site}: no index.html"]
    print("\n".join(lines) or "all links lead somewhere")
    sys.exit(bool(lines))
