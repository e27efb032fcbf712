"""Tables of text in and out: uploads read, kept and gone through in slices, files written."""
