"""Sites that translate in the browser: a folder of static files with a model and an engine in JavaScript."""
