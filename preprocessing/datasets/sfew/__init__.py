"""SFEW 2.0: frames of films with seven expressions."""
