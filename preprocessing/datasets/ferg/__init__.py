"""FERG-DB: 55,767 drawn pictures of six characters with seven expressions."""
