"""Text that experiments of docs/concepts/attention.md need."""
