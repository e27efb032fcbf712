"""The matrix of rights: every address of the house, asked for by every sort of account."""
