"""Evaluation: from a run and the images of a split to predictions and scores."""
