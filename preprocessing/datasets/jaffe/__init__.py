"""JAFFE: 213 images of ten Japanese women with seven posed expressions."""
