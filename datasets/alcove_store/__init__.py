"""Access to the object store: client, errors, transfer, unpacking."""
