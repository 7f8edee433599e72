"""Run exported models (.onnx, .tflite) with NumPy and their runtime alone: neither Keras nor TensorFlow is imported."""
