"""From original files to faces: the emotion vocabulary, data-set readers, detection, crops and drawn faces."""
