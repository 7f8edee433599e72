"""The page in the browser: an image, a film or the camera in; faces, glimpses and probabilities out."""
