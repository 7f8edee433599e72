"""Settings for training from scratch."""

from edram_fer.data.augment import Augmentation

SCRATCH = {"optimizer": "sgd", "weight_decay": 1e-3, "label_smoothing": 0.1, "mixup": 0.3, "ema": 0.9}

AUGMENTATION = Augmentation(erase=0.5)
