"""Distillation: a model learns from the probabilities of a trained one.

Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models.contract import FERModel
from edram_fer.training.losses import are_probabilities


class Teacher:
    """Mixes the labels of a batch with the probabilities that a trained model gives to the same images.

    It sees each image as the student does, after augmentation, erasing and mixup, inside the compiled training step
    (Beyer et al. 2022, arXiv 2106.05237: a patient and consistent teacher).

    Args:
        model: the trained model; its answer after the last step counts.
        share: weight of its probabilities in [0, 1]; that of the labels is 1 - share.
        temperature: above 0; its logits are divided by it.

    Call arguments: inputs, {"image": [B, H, W, C], ...}; targets, {"emotion": int [B] or probabilities [B, K], ...}.
    Returns: the inputs, and the targets with probabilities float32 [B, K] as "emotion".

    >>> import edram_fer, numpy as np
    >>> model = edram_fer.build("cnn", image_size=(18, 18), classes=2, glimpse_units=8)
    >>> _, targets = Teacher(model, share=0.5)({"image": np.zeros((1, 18, 18, 1))}, {"emotion": np.array([0])})
    >>> targets["emotion"].shape[-1], float(targets["emotion"][0, 0]) > 0.5
    (2, True)
    """

    def __init__(self, model: FERModel, share: float = 1.0, temperature: float = 1.0) -> None:
        self.model, self.share, self.temperature = model, share, temperature

    def check(self, student: FERModel) -> None:
        """Raise a UserError unless the teacher knows the student's classes and takes its inputs."""
        if self.model.emotions != student.emotions:
            known, wanted = (", ".join(model.emotions or ()) for model in (self.model, student))
            raise UserError(f"teacher: expected a model of the classes {wanted}, in this order, got {known}")
        wanted, available = self.model.input_shapes(), student.input_shapes()
        if unfit := [f"{name} {list(shape[1:])}" for name, shape in wanted.items() if available.get(name) != shape]:
            raise UserError(f"teacher: takes {', '.join(unfit)}, which the batches of this model do not hold")

    def __call__(
        self, inputs: Mapping[str, Any], targets: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        seen = {name: inputs[name] for name in self.model.input_shapes()}
        # Not a call of the model itself, which answers through a function that is compiled on its own.
        logits = keras.Model.__call__(self.model, seen, training=False)["emotion"][:, -1]
        taught = ops.stop_gradient(ops.softmax(ops.cast(logits, "float32") / self.temperature))
        labels = targets["emotion"]
        if not are_probabilities(labels, taught.shape[-1]):
            labels = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), taught.shape[-1])
        mixed = self.share * taught + (1 - self.share) * ops.cast(labels, "float32")
        return inputs, {**targets, "emotion": mixed}
