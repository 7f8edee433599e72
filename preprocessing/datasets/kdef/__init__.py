"""KDEF: 4,900 photos of 70 people with seven posed expressions from five angles."""
