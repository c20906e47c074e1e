"""The experiments of docs/attention.md: scripts/long_sentences, scripts/attention_scores, scripts/alignment_error."""
