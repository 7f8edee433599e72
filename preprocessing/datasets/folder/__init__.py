"""Your own images in folders named after emotions."""
