"""Write a model as a file for another runtime: ONNX Runtime, LiteRT, or TensorFlow without Keras."""
