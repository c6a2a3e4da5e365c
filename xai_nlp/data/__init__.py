"""Examples whose truth is known."""
