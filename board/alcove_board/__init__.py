"""The web server of boards: read-only pages of what everyone may see, and a team's own reports by its own links."""
