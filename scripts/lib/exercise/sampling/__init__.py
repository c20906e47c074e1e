"""Random choices: what to say."""
