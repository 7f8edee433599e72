"""FERG-DB: 55,767 drawn images of six characters with seven expressions."""
