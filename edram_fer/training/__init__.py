"""Training: from a recipe and a prepared data set to a run folder."""
