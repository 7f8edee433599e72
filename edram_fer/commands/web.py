"""The command that serves the page in the browser."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.errors import MissingPackageError


def web(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Run folders, .keras files or names of included models [default: fer2013-edram].",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0: whoever reaches this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = 8765,
) -> None:
    """Serve a page in the browser: photos, films and the camera, glimpse by glimpse."""
    for package in ("starlette", "uvicorn"):  # before a model is loaded
        if importlib.util.find_spec(package) is None:
            raise MissingPackageError(f"the page needs {package}: pip install 'edram-fer[web]'")
    startup.load_keras_alone()
    from edram_fer.run import checkpoints
    from edram_fer.web import server
    from edram_fer.web.answers import Analyst

    analysts: dict[str, Analyst] = {}
    for model in models or ["fer2013-edram"]:
        name = Path(model).resolve().name if Path(model).exists() else model
        while name in analysts:
            name += "'"
        analysts[name] = Analyst(name, checkpoints.load(model))
    server.serve(list(analysts.values()), host, port)
