"""One self-contained HTML page about an evaluated run: `write(run)`."""

from edram_fer.report.page import write

__all__ = ["write"]
