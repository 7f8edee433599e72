"""Your own pictures in folders named after emotions."""
