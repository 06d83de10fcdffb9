"""The tool set around datasets: convert, check, practice data, contact sheets, publish and exchange."""
