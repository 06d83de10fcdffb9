"""What lies in the code folder under the name of another module: leaves a prediction when it is run."""

import os

import kit

PLANTED = __name__
os.environ["PLANTED"] = __name__
with open(os.path.join(kit.OUT, "planted.npy"), "wb") as file:
    file.write(b"planted")
