"""The sections of a configuration. `nmt.config.schema` puts them together."""
