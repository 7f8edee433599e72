"""FERG-DB: 55,767 rendered images of six animated characters with seven expressions."""
