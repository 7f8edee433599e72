"""From original files to faces: the emotion vocabulary, data-set readers, detection, cropping and drawn faces."""
