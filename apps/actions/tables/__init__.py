"""What the actions on rows of tables share."""
