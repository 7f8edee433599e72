"""A trained model on new images."""
