"""Lines on their way to the model and back: requests, windows, sentences, parts, what is protected."""
