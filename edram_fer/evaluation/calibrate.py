"""Calibrate the model of a run: fit its temperature on validation images and store it in the .keras file."""

from pathlib import Path
from typing import Any

from edram_fer import files, foreign, keras_file, weights
from edram_fer.errors import UserError
from edram_fer.evaluation import calibration, inference
from edram_fer.run import checkpoints, layout


def calibrate(
    run: Path | str,
    *,
    split: str | None = None,
    data: str | None = None,
    data_dir: Path | str | None = None,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Fit a temperature and the threshold of prediction sets, and store them in the run's model.keras or card.yaml.

    The weights and the predicted classes stay the same; from then on `inference.predict` gives calibrated
    probabilities, so a run that was evaluated before has to be evaluated again. Calibrating again starts from the
    uncalibrated probabilities.

    Args:
        run: A run folder, a .keras file or the card of a model from elsewhere; the last two need `data`.
        split: Split of images that the model was not trained on; None: the one that chose the best epoch, and
            "validation" where that is not known.
        data, data_dir: See `evaluation.evaluate`.
        batch_size: Images per batch.

    Returns:
        The result of `calibration.fit`, with "data" and "split".

    Raises:
        MissingFileError: The run, its model or the data set is missing.
        UserError: The model is an included one, a file needs `data`, the split is the one of the training or has fewer
            than 10 images of the model's classes, or an output is not finite.
        OSError: The folder of the file cannot be written.

    >>> calibrate("runs/demo")["images"]
    14
    """
    path = checkpoints.model_path(run)
    if path.parent.resolve() == weights.FOLDER.resolve():
        raise UserError(f"{run} is an included model, which is calibrated: expected a run folder or a file of your own")
    in_run = (path.parent / layout.RECIPE).exists()
    if not in_run and data is None:
        raise UserError(f"{run} does not name the data set it was trained on: expected --data")
    recipe = files.read_json(path.parent / layout.RECIPE) if in_run else {}
    source, data_dir = layout.run_data(path.parent, data, data_dir) if in_run else (str(data), data_dir)
    train_split = str(recipe.get("train_split", ""))
    split = split or str(recipe.get("validation_split", "validation"))
    if data is None and set(split.split("+")) & set(train_split.split("+")):
        raise UserError(f"--split: expected images that {run} was not trained on, got {split!r}")
    files.check_writable(path.parent)
    model = checkpoints.load(path)
    model.calibration = None
    features, labels = inference.labelled(model, source, split, data_dir)
    landmarks = inference.inputs(model, features).get("landmarks")
    try:
        outputs = inference.predict(model, features["image"], batch_size, landmarks=landmarks)
    except inference.NonFiniteOutput as error:
        raise UserError(error.message_for(features["id"], split)) from error
    result = {**calibration.fit(outputs["probabilities"], labels), "data": source, "split": split}
    if foreign.is_card(path):
        foreign.set_calibration(path, result)
    else:
        keras_file.set_option(path, "calibration", result)
    return result
