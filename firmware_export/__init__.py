"""How an int8 network is written down and run elsewhere: `.tflite`, C, memory plan, runners."""
