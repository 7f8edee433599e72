"""Calibrate the model of a run: fit its temperature on validation images and store it in the .keras file."""

from pathlib import Path
from typing import Any

from edram_fer import foreign, keras_file
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
        run: The run folder.
        split: Split of images that the model was not trained on; None: the one that chose the best epoch, and
            "validation" for a model from elsewhere.
        data, data_dir: See `evaluation.evaluate`.
        batch_size: Images per batch.

    Returns:
        The result of `calibration.fit`, with "data" and "split".

    Raises:
        MissingFileError: The run, its model or the data set is missing.
        UserError: The split is the one of the training or has fewer than 10 images of the model's classes, or an output
            is not finite.

    >>> calibrate("runs/demo")["images"]
    14
    """
    run = Path(run)
    source, path = layout.run_data(run, data, data_dir)[0], checkpoints.model_path(run)
    if foreign.is_card(path):
        validation_split, train_split = "validation", ""
    else:
        recipe = checkpoints.read_recipe(run)
        validation_split, train_split = recipe.validation_split, recipe.train_split
    split = validation_split if split is None else split
    if data is None and set(split.split("+")) & set(train_split.split("+")):
        raise UserError(f"--split: expected images that {run} was not trained on, got {split!r}")
    model = checkpoints.load(run)
    model.calibration = None
    features, labels = inference.load_labelled(run, model, split, data=data, data_dir=data_dir)
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
