"""Where the checkout lies, and its modules."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("preprocessing", "models", "edram_fer")


def modules():
    """{dotted name: path} of every module of the package; models/ and preprocessing/ lie in it as links."""
    paths = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts if folder == "edram_fer" else ("edram_fer", *parts)).removesuffix(".__init__")
            paths[name] = path
    return paths
