"""From text files to the store of ids: filters, passes over the text, the report."""
