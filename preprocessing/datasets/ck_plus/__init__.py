"""CK+ (extended Cohn-Kanade): posed expressions of 123 people as sequences of frames, eight emotions with contempt."""
