"""`nmt config init`: a configuration to start from, made for given text files."""
