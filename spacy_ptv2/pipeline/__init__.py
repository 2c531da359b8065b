"""Components of a spaCy pipeline, one per file, with their factories and how they are scored and saved."""
