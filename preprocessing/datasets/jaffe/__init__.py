"""JAFFE: 213 pictures of ten Japanese women with seven posed expressions."""
