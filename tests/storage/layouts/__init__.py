"""What each version of the app has stored, row by row and message by message, as that version wrote it."""
