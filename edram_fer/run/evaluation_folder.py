"""The folder that receives an evaluation: the run itself, or a folder of its own for other data and included models.

A folder of its own is a run folder without history and checkpoints: it holds copies of the model, of recipe.json and of
environment.json, and evaluation.json, which names the model and the data. Each study, figure and comparison works on it
as on a run, and nothing that belongs to the run is overwritten.
"""

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from edram_fer import data as prepared
from edram_fer import files, foreign, keras_file, weights
from edram_fer.errors import ExistingRunError, UserError
from edram_fer.run import checkpoints, layout
from edram_fer.run.model_file import is_exported
from edram_fer.runtime import load_exported


class EvaluationFolder(NamedTuple):
    """A run folder, and the data set on which its model is evaluated there.

    Attributes:
        path: The folder.
        data: A source that `edram_fer.data` reads.
        data_dir: Folder of prepared data sets; None: the default of `edram_fer.data`.
    """

    path: Path
    data: str
    data_dir: Path | str | None


class _Origin(NamedTuple):
    """Where a model comes from: its run, or None; its name; its recipe and environment; and the fingerprint of its data
    set, where known."""

    run: Path | None
    name: str
    identity: str
    recipe: dict[str, Any]
    environment: dict[str, Any]
    fingerprint: str | None = None


def open_folder(
    model: Path | str,
    *,
    data: str | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
) -> EvaluationFolder:
    """Find the folder for the results of a model on a data set; create it if it is not the run itself.

    Args:
        model: A run folder, a .keras file, the card of a model from elsewhere, an exported file, or one of
            `edram_fer.list_weights()`; a path that exists comes before a name.
        data: A source that `edram_fer.data` reads; None: the data set that the model was trained on.
        data_dir: Folder of prepared data sets; None: the folder used for training.
        out: The folder. None: for a run and its data set, the run; for a run and another data set,
            RUN/evaluations/DATA; for an included model or a file, evaluations/NAME, or evaluations/NAME-DATA for
            another data set.

    Raises:
        MissingFileError: The model, its recipe.json or the data set is missing.
        ExistingRunError: `out` holds a run, or the evaluation of another model or data set.
        UserError: A .keras file needs `data`, or a file is damaged.
        OSError: The folder cannot be written.
    """
    origin = _origin(model)
    default, default_dir = (
        layout.run_data(origin.run) if origin.run else (origin.recipe.get("data"), origin.environment.get("data_dir"))
    )
    if data is None and default is None:
        raise UserError(f"{model} does not name the data set it was trained on: expected --data")
    source, source_dir = str(data or default), data_dir or default_dir
    is_default = source == default and (data_dir is None or _absolute(data_dir) == _absolute(default_dir))
    if not is_default:
        is_default = _is_same_data(source, source_dir, default, origin.fingerprint)
    if origin.run and is_default and (out is None or Path(out).resolve() == origin.run.resolve()):
        files.check_writable(origin.run)
        return EvaluationFolder(origin.run, source, source_dir)
    described = prepared.describe(source, data_dir=source_dir)  # raises before anything is written
    if out is None:
        out = _default_folder(origin, "" if is_default else _slug(source))
    files.check_writable(out)
    _write(Path(out), origin, model, source, source_dir, described["fingerprint"])
    return EvaluationFolder(Path(out), source, source_dir)


def find(model: Path | str) -> Path:
    """The folder of an evaluated run: the path, or for the name of an included model the default folder.

    Raises:
        UserError: The path is a file.
    """
    if Path(model).is_file():
        command = shlex.join(["edram-fer", "evaluate", str(model)])
        raise UserError(f"{model}: expected the folder of an evaluated run, which `{command}` makes")
    is_name = not Path(model).exists() and str(model) in weights.list_weights()
    return Path(layout.EVALUATIONS) / str(model) if is_name else Path(model)


def _origin(model: Path | str) -> _Origin:
    path = Path(model)
    if path.name in (layout.MODEL, layout.CARD) and (path.parent / layout.RECIPE).exists():
        path = path.parent  # the file of a run stands for the run
    identity = str(path.resolve())
    if path.is_dir():
        environment = path / layout.ENVIRONMENT
        known = files.read_json(environment) if environment.exists() else {}
        recipe, evaluation = files.read_json(path / layout.RECIPE), path / layout.EVALUATION
        described = files.read_json(evaluation) if evaluation.exists() else known.get("data", {})
        return _Origin(path, path.resolve().name, identity, recipe, known, described.get("fingerprint"))
    if path.exists() and foreign.is_card(path):
        card = foreign.read_card(path)
        recipe = {"name": card.name, "model": card.model.name, "card": card.to_json()}
        return _Origin(None, path.stem, identity, recipe, {})
    if path.exists() and is_exported(path):
        return _Origin(None, path.name, identity, {"model": load_exported(path).description.model}, {})
    if path.exists():
        config = keras_file.read(checkpoints.model_path(path))[keras_file.CONFIG]
        return _Origin(None, path.stem, identity, {"model": config["class_name"]}, {})
    checkpoints.model_path(model)  # raises if there is no such model
    entry = weights.entry(str(model))
    environment = {name: entry[name] for name in ("seed", "data", "commit")} | {"data_dir": None}
    recipe, fingerprint = {**entry["recipe"], "data": entry["data"]["source"]}, entry["data"]["fingerprint"]
    return _Origin(None, str(model), str(model), recipe, environment, fingerprint)


def _absolute(folder):
    return None if folder is None else Path(folder).absolute()


def _is_same_data(source, data_dir, default, fingerprint):
    """Whether a source is the data set of a run: one data set may have two names, and two may have the same name."""
    if fingerprint is None:
        return source == default
    return prepared.describe(source, data_dir=data_dir)["fingerprint"] == fingerprint


def _default_folder(origin, slug):
    if origin.run:
        return origin.run / layout.EVALUATIONS / (slug or _slug(origin.name))
    return Path(layout.EVALUATIONS) / "-".join(filter(None, (origin.name, slug)))


def _slug(source: str) -> str:
    """The name of a data set as the name of a folder."""
    return re.sub(r"[^\w.+-]+", "-", Path(source).stem if source.endswith(".npz") else source).strip(".") or "data"


def _write(folder, origin, model, source, data_dir, fingerprint):
    model_file = checkpoints.model_path(origin.run or model)
    content = {
        "model": origin.identity,
        "data": source,
        "data_dir": None if data_dir is None else str(Path(data_dir).absolute()),
        "fingerprint": fingerprint,
        layout.WORKING_FOLDER: str(Path.cwd()),
    }
    evaluation = folder / layout.EVALUATION
    if (folder / layout.RECIPE).exists():
        if not evaluation.exists():
            raise ExistingRunError(f"{folder} holds a run: expected another folder for the evaluation on {source}")
        previous = files.read_json(evaluation)
        same_data = any(previous.get(name) == content[name] for name in ("data", "fingerprint"))
        if previous.get("model") != content["model"] or not same_data:
            raise ExistingRunError(
                f"{folder} holds the evaluation of {previous.get('model')} on {previous.get('data')}: expected "
                f"another folder for {content['model']} on {source}"
            )
    files.write_json(evaluation, content)  # first, so that the folder is never mistaken for a run
    files.write_json(folder / layout.RECIPE, origin.recipe)
    files.write_json(folder / layout.ENVIRONMENT, origin.environment)
    if foreign.is_card(model_file):
        foreign.copy_model(model_file, folder / layout.CARD)
    elif is_exported(model_file):
        files.copy(model_file, folder / f"model{model_file.suffix.lower()}")
    else:
        files.copy(model_file, folder / layout.MODEL)
