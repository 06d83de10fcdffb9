"""Code of the AutoDL challenge runs: TensorFlow 1 as far as 2.15 has it, and the modules of the public starting kit.

Only where ``code.framework`` is ``tensorflow1``. Nothing in here is loaded otherwise.
"""
