"""AffectNet: 290,000 web photos of faces with eight expressions, valence and arousal, in three official layouts."""
