"""Proof that the suite bites: the real engine with one thing wrong at a time, and the cases that notice."""
