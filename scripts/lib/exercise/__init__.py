"""An exercise corpus: English-German sentence pairs from a synchronous grammar, with their word alignments.

From the words up: `morphology` inflects them, `lexicon` lists them, `grammar` puts them in order in both languages at
once, `sampling` chooses what to say, `generator` and `corpus` make files of it.
"""
