"""The optimizer of a recipe."""

import keras

# Parts of the paths of variables that are not decayed; on the emission network decay pulls glimpses to the centre.
UNDECAYED = ("bias", "beta", "gamma", "alpha", "emission")


def make(recipe, steps, variables):
    """Adam or AdamW with the recipe's schedule.

    Args:
        recipe: Recipe.
        steps: of an epoch.
        variables: that it will train.
    """
    rate = _learning_rate(recipe, steps)
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, global_clipnorm=recipe.clip_norm)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm)
    # Keras holds names against a variable's own name ("kernel"), which does not tell whose it is: so the variables.
    optimizer.exclude_from_weight_decay([v for v in variables if any(part in v.path for part in UNDECAYED)])
    return optimizer


def _learning_rate(recipe, steps):
    if recipe.schedule != "cosine":
        return recipe.learning_rate
    warmup = round(recipe.warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else recipe.learning_rate,
        max(recipe.epochs * steps - warmup, 1),
        alpha=recipe.min_learning_rate / recipe.learning_rate,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
